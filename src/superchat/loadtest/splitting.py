"""Cuts a byte stream into frames without decoding what is in them, which would be too slow for a flood."""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

from superchat.wire.errors import Broken
from superchat.wire.frames import COMPRESSED, HEADER, LENGTH, MAX_LENGTH, MIN_LENGTH, decompress

RawFrame: TypeAlias = "tuple[int, bytes]"
"""A message's type and its payload, decompressed."""

_IDS: Final = struct.Struct(">QQ")
_COUNT: Final = struct.Struct(">H")
_OPTIONAL_IDS: Final = 3  # subchannel, parent, author
_BEHIND_TEXT_BYTES: Final = 13  # created_at, edited_at if absent, reply_count


def split(data: bytes) -> tuple[list[RawFrame], int]:
    """Return the whole frames that ``data`` begins with, and where the rest begins. Raises Broken like ``wire``."""
    frames: list[RawFrame] = []
    at, size = 0, len(data)
    while size - at >= HEADER.size:
        length, _, code, flags = HEADER.unpack_from(data, at)
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            raise Broken(f"frame length {length} is not within {MIN_LENGTH}..{MAX_LENGTH}")
        end = at + LENGTH.size + length
        if end > size:
            break
        payload = data[at + HEADER.size : end]
        if flags & COMPRESSED and payload:
            payload = decompress(payload)
        frames.append((code, payload))
        at = end
    return frames, at


def new_message(payload: bytes) -> tuple[int, int, bytes]:
    """Read message id, channel id and text out of NEW_MESSAGE (wire 0x8D). Raises ValueError if it is none."""
    try:
        message_id, channel_id = _IDS.unpack_from(payload)
        at = _IDS.size
        for _ in range(_OPTIONAL_IDS):
            at += 9 if payload[at] else 1
        at += _COUNT.size + _COUNT.unpack_from(payload, at)[0]  # the author's nickname
        end = at + _COUNT.size + _COUNT.unpack_from(payload, at)[0]
    except (struct.error, IndexError):
        raise ValueError("NEW_MESSAGE is too short") from None
    if end + _BEHIND_TEXT_BYTES > len(payload):
        raise ValueError("NEW_MESSAGE is too short")
    return message_id, channel_id, payload[at + _COUNT.size : end]


class FrameBuffer:
    """The rest of a stream that is not a whole frame yet."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[RawFrame]:
        """Take bytes and return the frames that are whole now. Raises Broken when framing is lost."""
        data = self._rest + data if self._rest else data
        frames, end = split(data)
        self._rest = data[end:]
        return frames
