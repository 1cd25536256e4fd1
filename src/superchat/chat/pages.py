"""Lists that must fit one frame: what does not fit is left for the next request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from superchat.wire.frames import MAX_LENGTH
from superchat.wire.records import Record

R = TypeVar("R", bound=Record)

ROOM_BYTES: Final = MAX_LENGTH - 64
"""What a frame of 1 MiB leaves for the entries of a list, whatever else its message holds."""


def fitting(entries: Iterable[R]) -> Iterator[R]:
    """As many of *entries*, from the first on, as fit one frame without compression (decisions 4.3)."""
    room = ROOM_BYTES
    for entry in entries:
        room -= len(entry.write())
        if room < 0:
            return
        yield entry
