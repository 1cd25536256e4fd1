"""Gives the space of what was removed back to the file system, in slices.

SQLite keeps free pages for later use. To cut them off, it must move what stands behind them at the end of the file,
which needs ``auto_vacuum``; and the file itself only shrinks when the write-ahead log is copied into it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from superchat.storage.connections import commit

INCREMENTAL: Final = 2
"""The value of ``PRAGMA auto_vacuum`` with which pages are given back on demand."""


def gives_back(connection: sqlite3.Connection) -> bool:
    """Whether a database is one that can give pages back."""
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    return bool(mode == INCREMENTAL)


def rewrite(connection: sqlite3.Connection) -> None:
    """Make a database one that can give pages back. Raises sqlite3.Error, and has changed nothing then."""
    connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
    connection.execute("VACUUM")


def give_back(pages: int, connection: sqlite3.Connection) -> int:
    """Give at most *pages* back; how many were. If there are any, the transaction that it takes is left to commit."""
    before = _free_pages(connection)
    if not before:
        return 0
    # Each step of the statement frees one page; only a script takes all of them without the interpreter's lock.
    connection.executescript(f"BEGIN IMMEDIATE; PRAGMA incremental_vacuum({pages})")
    return before - _free_pages(connection)


def page_bytes(connection: sqlite3.Connection) -> int:
    """How large a page is."""
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(size)


def commit_only(connection: sqlite3.Connection) -> None:
    """Commit, and leave the write-ahead log as long as it gets by that."""
    (limit,) = connection.execute("PRAGMA wal_autocheckpoint").fetchone()
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
    try:
        commit(connection)
    finally:
        connection.execute(f"PRAGMA wal_autocheckpoint = {limit}").fetchone()


def copy_log(connection: sqlite3.Connection) -> None:
    """Copy what can be copied of the write-ahead log into the file, which shrinks by it."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def empty_log(connection: sqlite3.Connection) -> bool:
    """Copy all of the write-ahead log into the file, and cut the log off; whether that could be done.

    It cannot while somebody reads from the log; nobody is waited for.
    """
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0").fetchone()
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}").fetchone()
    return not busy


def _free_pages(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(count)
