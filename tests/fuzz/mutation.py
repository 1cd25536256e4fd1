"""Makes inputs of inputs: bits, lengths, pieces, and words that mean something."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x100000, 0x100001, 0x7FFFFFFF, 0xFFFFFFFF)
_MOST_CHANGES = 6
_EDGES = re.compile(rb"\b|\Z")


def mutate(data: bytes, others: Sequence[bytes], words: Sequence[bytes], rng: random.Random, longest: int) -> bytes:
    """An input somewhat like *data*, with pieces of *others* perhaps, at most *longest* bytes long."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, _MOST_CHANGES))):
        _change(changed, others, words, rng)
    if rng.random() < 0.01 and changed:
        changed *= longest // len(changed)  # the same again and again is what work grows with
    return bytes(changed[:longest])


def _change(data: bytearray, others: Sequence[bytes], words: Sequence[bytes], rng: random.Random) -> None:
    start, end = sorted(rng.randint(0, len(data)) for _ in range(2))
    end = min(end, start + rng.choice((1, 2, 4, 16, 256, 4096)))
    match rng.randint(0, 11):
        case 0 | 1 if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 2 if data:
            data[rng.randrange(len(data))] = rng.choice(
                (0, 1, 2, 0x0A, 0x0D, 0x20, 0x7F, 0x80, 0xFF, rng.randrange(256))
            )
        case 3:
            del data[start:end]
        case 4:
            data[start:start] = data[start:end]
        case 5:
            data[start:end] = rng.randbytes(rng.randint(1, 8))
        case 6:
            del data[start:]
        case 7 | 8 if words:
            _put_word(data, start, rng.choice(words), rng)
        case 9:
            _put_number(data, start, rng)
        case 10 if others:
            other = rng.choice(others)
            first, last = sorted(rng.randint(0, len(other)) for _ in range(2))
            data[start:end] = other[first:last]
        case _ if others:
            other = rng.choice(others)
            data[start:] = other[rng.randint(0, len(other)) :]


def _put_word(data: bytearray, at: int, word: bytes, rng: random.Random) -> None:
    """Anywhere, or where a word or a number ends or begins; before what is there, or in its place."""
    match rng.randrange(4):
        case 0:
            data[at:at] = word
        case 1:
            data[at : at + len(word)] = word
        case way:
            edges = [found.start() for found in _EDGES.finditer(data)] or [at]
            edge = rng.randrange(len(edges))
            end = edges[min(edge + 1, len(edges) - 1)] if way == 2 else edges[edge]
            data[edges[edge] : end] = word


def _put_number(data: bytearray, at: int, rng: random.Random) -> None:
    """Where a length may be: a number that is special, or near the one that is there, or near what remains."""
    size = rng.choice((1, 2, 4, 8))
    there = int.from_bytes(data[at : at + size], "big")
    number = rng.choice((rng.choice(_NUMBERS), there + rng.randint(-2, 2), len(data) - at - size + rng.randint(-2, 2)))
    data[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, rng.choice(("big", "big", "big", "little")))
