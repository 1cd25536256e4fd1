"""Reads what `power.c` has written down."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final

import attrs

_HEADER: Final = struct.Struct("=IHHQQQ")


class Kind(IntEnum):
    """What was done; the numbers are those of power.c."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_DIRECTORY = 5
    RENAME = 6
    LINK = 7
    UNLINK = 8
    MKDIR = 9


@attrs.frozen
class Record:
    """One call that had an effect on a disk; `end` is how long the journal was then."""

    kind: Kind
    inode: int = 0
    offset: int = 0
    """Of what was written; the new size; of a sync, how long the journal was when it began."""
    path: str = ""
    other: str = ""
    data: bytes = b""
    end: int = 0


def records(journal: Path) -> Iterator[Record]:
    """Everything in a journal, in its order. Raises EOFError when it ends within a record."""
    with journal.open("rb", buffering=1 << 20) as file:
        end = 0
        while header := file.read(_HEADER.size):
            if len(header) < _HEADER.size:
                raise EOFError("the journal ends within a record")
            kind, path_bytes, other_bytes, inode, offset, data_bytes = _HEADER.unpack(header)
            rest = file.read(path_bytes + other_bytes + data_bytes)
            if len(rest) < path_bytes + other_bytes + data_bytes:
                raise EOFError("the journal ends within a record")
            end += len(header) + len(rest)
            names = rest[: path_bytes + other_bytes]
            path, other = names[:path_bytes].decode(), names[path_bytes:].decode()
            yield Record(Kind(kind), inode, offset, path, other, rest[len(names) :], end)
