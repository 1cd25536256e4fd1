"""Frames: the seven-byte header, LZ4 compression and the size limits around a payload (wire 1)."""

from __future__ import annotations

import struct
from functools import cached_property
from typing import Final, NamedTuple

import attrs
import lz4.block

from superchat.wire.errors import Broken, Unencodable
from superchat.wire.records import Message

VERSION: Final = 2
COMPRESSED: Final = 0x01

HEADER: Final = struct.Struct(">IBBB")
LENGTH: Final = struct.Struct(">I")  # its first field, which does not count itself
MIN_LENGTH: Final = HEADER.size - LENGTH.size
MAX_LENGTH: Final = 1 << 20
MAX_PAYLOAD: Final = 1 << 20  # once decompressed

COMPRESS_FROM_BYTES: Final = 512
_SIZE: Final = struct.Struct(">I")
_BEST_RATIO: Final = 255  # an LZ4 block never yields more bytes per byte of its own


class Header(NamedTuple):
    """A frame's header as it stood on the wire; ``payload_length`` counts bytes before decompression."""

    version: int
    code: int
    flags: int
    payload_length: int

    def __str__(self) -> str:
        return f"type=0x{self.code:02X} flags=0x{self.flags:02X} payload={self.payload_length} bytes"


def encode(message: Message, *, compress: bool = False, version: int = VERSION) -> bytes:
    """Return the whole frame of ``message``, compressed if asked for and if it gets smaller by it.

    Raises Unencodable if a value does not fit its field or the frame exceeds 1 MiB.
    """
    payload = message.pack()
    packed = _compressed(message, payload, version) if compress and len(payload) >= COMPRESS_FROM_BYTES else None
    return packed or _frame(message, 0, payload, version)


@attrs.frozen(eq=False)
class Encoded:
    """One message for many peers, encoded at most once in each of its two forms."""

    message: Message

    @cached_property
    def _payload(self) -> bytes:
        return self.message.pack()

    @cached_property
    def plain(self) -> bytes:
        """The frame as everybody understands it. Raises Unencodable as ``encode`` does."""
        return _frame(self.message, 0, self._payload, VERSION)

    @cached_property
    def compressed(self) -> bytes:
        """The compressed frame, or ``plain`` where that does not pay. Raises Unencodable like ``encode``."""
        return _compressed(self.message, self._payload, VERSION) or self.plain

    def for_version(self, peer_version: int) -> bytes:
        """The frame for a peer of this version: compressed for exactly 2 (decisions 1.2)."""
        return self.compressed if peer_version == VERSION else self.plain


def decompress(payload: bytes) -> bytes:
    """Undo the compression of a frame's payload. Raises Broken if it is not what it says.

    The declared size is believed only as far as the bytes present could possibly yield it: a few bytes do not
    reserve a megabyte.
    """
    if len(payload) < _SIZE.size:
        raise Broken("compressed payload without its size")
    (size,) = _SIZE.unpack_from(payload)
    block = payload[_SIZE.size :]
    if size > min(MAX_PAYLOAD, _BEST_RATIO * len(block)):
        raise Broken(f"compressed payload declares {size} bytes")
    try:
        plain: bytes = lz4.block.decompress(block, uncompressed_size=size)
    except lz4.block.LZ4BlockError as error:
        raise Broken("compressed payload is no LZ4 block") from error
    if len(plain) != size:
        raise Broken(f"compressed payload declares {size} bytes and holds {len(plain)}")
    return plain


def _compressed(message: Message, payload: bytes, version: int) -> bytes | None:
    """Return the compressed frame, or None if the payload is too short for it or would not shrink."""
    if len(payload) < COMPRESS_FROM_BYTES:
        return None
    packed = _SIZE.pack(len(payload)) + lz4.block.compress(payload, store_size=False)
    return _frame(message, COMPRESSED, packed, version) if len(packed) < len(payload) else None


def _frame(message: Message, flags: int, payload: bytes, version: int) -> bytes:
    length = MIN_LENGTH + len(payload)
    if length > MAX_LENGTH:
        raise Unencodable(f"{message.NAME}: a frame of {length} bytes exceeds {MAX_LENGTH}")
    return HEADER.pack(length, version, message.CODE, flags) + payload
