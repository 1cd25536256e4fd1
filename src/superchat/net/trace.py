"""Frames as lines of the debug log."""

from __future__ import annotations

from collections.abc import Iterator

from superchat.wire.frames import HEADER, LENGTH, MIN_LENGTH, Header


def headers(frames: bytes) -> Iterator[Header]:
    """The header of each of the whole *frames*."""
    start = 0
    while start < len(frames):
        length, version, code, flags = HEADER.unpack_from(frames, start)
        yield Header(version, code, flags, length - MIN_LENGTH)
        start += LENGTH.size + length
