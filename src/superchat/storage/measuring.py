"""Looks at a database as a whole: whether it is still there, and how much is in it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import attrs

from superchat.storage import queries
from superchat.storage.errors import Unavailable
from superchat.storage.interface import Size

# Apart from the queries that clients wait for, for these grow with the database. Without a condition SQLite
# counts the leaves of the smallest index, some ten million rows per second.
_COUNT_CHANNELS = "SELECT count(*) FROM channel"
_COUNT_MESSAGES = "SELECT count(*) FROM message"
_COUNT_ACCOUNTS = "SELECT count(*) FROM account WHERE deleted_at IS NULL"


@attrs.frozen
class DatabaseFile:
    """The file that was opened, by its identity: a path alone may come to mean another file, or none."""

    path: Path
    device: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> DatabaseFile:
        """The file that is at *path* now. Raises OSError."""
        status = path.stat()
        return cls(path, status.st_dev, status.st_ino)

    def check(self) -> None:
        """Raise Unavailable if the file, or its write-ahead log, is not where SQLite has it open."""
        try:
            found = DatabaseFile.at(self.path)
            self._log.stat()
        except OSError as error:
            raise Unavailable(f"{error.filename} is gone: {os.strerror(error.errno or 0)}") from error
        if found != self:
            raise Unavailable(f"{self.path} is not the file that was opened: another one took its place")

    def size_bytes(self) -> int:
        """What it takes on disk, with its write-ahead log. Raises OSError."""
        return sum(path.stat().st_size for path in self._files() if path.exists())

    @property
    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _files(self) -> Iterator[Path]:
        yield self.path
        yield self._log


def probe(file: DatabaseFile, now_ms: int, connection: sqlite3.Connection) -> None:
    """See ``IStorage.probe``."""
    file.check()
    connection.execute(queries.PROBE, (now_ms,))


def measure(file: DatabaseFile, connection: sqlite3.Connection) -> Size:
    """See ``IStorage.measure``."""
    (channels,) = connection.execute(_COUNT_CHANNELS).fetchone()
    (messages,) = connection.execute(_COUNT_MESSAGES).fetchone()
    (accounts,) = connection.execute(_COUNT_ACCOUNTS).fetchone()
    return Size(file.size_bytes(), int(channels), int(messages), int(accounts))
