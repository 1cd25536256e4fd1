"""Argon2id in plain Python (RFC 9106), for salts that the libraries at hand refuse: it is slow, and exact.

With the protocol's parameters it takes the better part of a minute. ``passwords`` uses it only where neither
OpenSSL nor libgcrypt can do the work.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

VERSION: Final = 0x13
TYPE_ID: Final = 2
SLICES: Final = 4
BLOCK_BYTES: Final = 1024
BLOCK: Final = struct.Struct("<128Q")
LOW: Final = 0xFFFFFFFF
WORD: Final = 0xFFFFFFFFFFFFFFFF

# The 16 words that one permutation mixes: the rows of a block as a matrix of 8 by 8 double words, then its columns.
ROWS: Final = tuple(tuple(range(16 * row, 16 * row + 16)) for row in range(8))
COLUMNS: Final = tuple(
    tuple(16 * row + 2 * column + half for row in range(8) for half in (0, 1)) for column in range(8)
)
# Which of its 16 words each step of the permutation mixes.
STEPS: Final = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)
MIXES: Final = tuple(
    tuple(words[each] for each in step) for words in (*ROWS, *COLUMNS) for step in STEPS
)


def argon2id(
    password: bytes,
    salt: bytes,
    *,
    passes: int,
    memory_kib: int,
    lanes: int,
    length: int,
    secret: bytes = b"",
    associated: bytes = b"",
) -> bytes:
    """Return ``length`` bytes derived from a password and a salt of any length; at least 8 KiB per lane are needed."""
    per_lane = memory_kib // (SLICES * lanes) * SLICES
    head = struct.pack("<6I", lanes, length, memory_kib, passes, VERSION, TYPE_ID)
    fields = (password, salt, secret, associated)
    seed = blake2b(head + b"".join(_le32(len(each)) + each for each in fields)).digest()
    memory = [[0] * per_lane for _ in range(lanes)]
    for lane, column in ((lane, column) for lane in range(lanes) for column in (0, 1)):
        first = _long_hash(seed + _le32(column) + _le32(lane), BLOCK_BYTES)
        memory[lane][column] = int.from_bytes(first, "little")
    for turn in range(passes):
        for part in range(SLICES):
            for lane in range(lanes):
                _fill(memory, turn, part, lane, passes)
    last = 0
    for blocks in memory:
        last ^= blocks[-1]
    return _long_hash(last.to_bytes(BLOCK_BYTES, "little"), length)


def _fill(memory: list[list[int]], turn: int, part: int, lane: int, passes: int) -> None:
    """Compute one lane's blocks of one slice (RFC 9106, 3.4)."""
    blocks = memory[lane]
    per_slice = len(blocks) // SLICES
    start = 2 if turn == part == 0 else 0
    independent = turn == 0 and part < SLICES // 2
    pseudo_random = _addresses(memory, turn, part, lane, passes) if independent else iter(())
    for _ in range(start if independent else 0):
        next(pseudo_random)
    for index in range(start, per_slice):
        column = part * per_slice + index
        previous = blocks[column - 1]
        choice = next(pseudo_random) if independent else previous & WORD
        other = lane if turn == part == 0 else (choice >> 32) % len(memory)
        at = _reference(choice & LOW, turn, part, index, per_slice, other == lane)
        mixed = _compress(previous, memory[other][at])
        blocks[column] = mixed ^ blocks[column] if turn else mixed


def _reference(choice: int, turn: int, part: int, index: int, per_slice: int, same_lane: bool) -> int:
    """Return the column of the block to mix in, never one that is being computed (RFC 9106, 3.4.2)."""
    finished = (SLICES - 1 if turn else part) * per_slice
    area = finished + index - 1 if same_lane else finished - (index == 0)
    position = area - 1 - (area * (choice * choice >> 32) >> 32)
    start = (part + 1) * per_slice if turn else 0
    return (start + position) % (SLICES * per_slice)


def _addresses(memory: list[list[int]], turn: int, part: int, lane: int, passes: int) -> Iterator[int]:
    """The numbers that choose blocks where they must not depend on the password (RFC 9106, 3.4.1.2)."""
    total = len(memory) * len(memory[0])
    counter = 0
    while True:
        counter += 1
        fields = (turn, lane, part, total, passes, TYPE_ID, counter)
        block = int.from_bytes(struct.pack("<7Q", *fields), "little")
        mixed = _compress(0, _compress(0, block))
        yield from BLOCK.unpack(mixed.to_bytes(BLOCK_BYTES, "little"))


def _compress(left: int, right: int) -> int:
    """Mix two blocks into a new one (RFC 9106, 3.5). Blocks are little-endian integers: they are cheap to XOR."""
    both = left ^ right
    words = list(BLOCK.unpack(both.to_bytes(BLOCK_BYTES, "little")))
    # Written out in one piece: in the 25 million turns of this loop a function call would cost a third more.
    for i, j, k, m in MIXES:
        a, b, c, d = words[i], words[j], words[k], words[m]
        a = (a + b + 2 * (a & LOW) * (b & LOW)) & WORD
        d ^= a
        d = (d >> 32 | d << 32) & WORD
        c = (c + d + 2 * (c & LOW) * (d & LOW)) & WORD
        b ^= c
        b = (b >> 24 | b << 40) & WORD
        a = (a + b + 2 * (a & LOW) * (b & LOW)) & WORD
        d ^= a
        d = (d >> 16 | d << 48) & WORD
        c = (c + d + 2 * (c & LOW) * (d & LOW)) & WORD
        b ^= c
        words[i], words[j], words[k], words[m] = a, (b >> 63 | b << 1) & WORD, c, d
    return both ^ int.from_bytes(BLOCK.pack(*words), "little")


def _long_hash(data: bytes, length: int) -> bytes:
    """BLAKE2b for any length (RFC 9106, 3.3)."""
    data = _le32(length) + data
    if length <= 64:
        return blake2b(data, digest_size=length).digest()
    digest = blake2b(data).digest()
    made = digest[:32]
    while length - len(made) > 64:
        digest = blake2b(digest).digest()
        made += digest[:32]
    return made + blake2b(digest, digest_size=length - len(made)).digest()


def _le32(number: int) -> bytes:
    return number.to_bytes(4, "little")
