"""Opens SQLite connections that all keep one promise, and says their errors in the interface's terms."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from superchat.storage.errors import StorageError, Unavailable

BUSY_TIMEOUT_SECONDS = 5.0
WAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024
OWNER_ONLY = 0o600

_REFUSED_STATEMENTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Connect to an existing database, for one thread at a time.

    Transactions begin and end by explicit statements only. A commit that returned is on stable storage
    (decisions 4.6). Raises sqlite3.Error.
    """
    address = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(
        address, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # A setting made once holds for its own connection only: the reference left most of its pool without
        # them (reference W29).
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_SIZE_LIMIT_BYTES}")
        connection.execute(f"PRAGMA query_only = {int(read_only)}")
        # Only the first look into the file says whether it can be read at all.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def make_private(path: Path) -> None:
    """Create ``path`` as an empty file that nobody but its owner reads. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY))


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, to stable storage."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def translated(error: BaseException) -> BaseException:
    """What a caller of the storage gets to see for ``error``; what is not SQLite's stays as it is."""
    if not isinstance(error, sqlite3.Error):
        return error
    kind = StorageError if isinstance(error, _REFUSED_STATEMENTS) else Unavailable
    answer = kind(f"the database says: {error}")
    answer.__cause__ = error
    return answer
