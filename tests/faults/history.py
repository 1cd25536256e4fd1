"""Databases that a server finds at its start."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from superchat.storage.migrations import prepare, shipped

BORN_MS: Final = 1_750_000_000_000
"""When the first message was posted; in June 2025."""

_CHANNEL: Final = """
INSERT INTO channel (id, name, name_key, display_name, description, channel_type, retention_hours, created_at)
VALUES (1, 'old', 'old', 'old', '', 0, ?, ?)
"""
_MESSAGE: Final = """
INSERT INTO message (id, channel_id, root_id, author_nickname, author_session, created_at, content)
VALUES (?1, 1, ?1, 'somebody', 1, ?2, ?3)
"""


def make_history(database: Path, messages: int, *, retention_hours: int = 0, version: int | None = None) -> None:
    """Make a database with so many messages in its channel 1; of an earlier *version* of the schema, if given."""
    _make(database, version)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        _fill(connection, messages, retention_hours)


def make_interrupted(database: Path, messages: int) -> None:
    """The same as a server leaves it that was killed: all messages are in the write-ahead log, which is long."""
    whole = database.with_name("whole.db")
    _make(whole, None)
    with closing(sqlite3.connect(whole, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        _fill(connection, messages, 0)
        for suffix in ("", "-wal"):
            shutil.copy(f"{whole}{suffix}", f"{database}{suffix}")
    whole.unlink()


def messages_in(database: Path) -> int:
    """How many messages a database has."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM message").fetchone()
    return int(number)


def _make(database: Path, version: int | None) -> None:
    database.parent.mkdir(parents=True, exist_ok=True)
    prepare(database, BORN_MS / 1000, shipped()[:version])


def _fill(connection: sqlite3.Connection, messages: int, retention_hours: int) -> None:
    connection.execute("BEGIN")
    connection.execute(_CHANNEL, (retention_hours, BORN_MS))
    rows = ((number << 22, BORN_MS + number, b"something said long ago, " * 10) for number in range(1, messages + 1))
    connection.executemany(_MESSAGE, rows)
    connection.execute("COMMIT")
