"""Connections keep their promises also when the disk does not; `tests.faults.syscalls` lets real calls fail."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.storage import connections
from superchat.storage.connections import commit, connect, connect_to_write, is_there


class UnsyncedConnection(sqlite3.Connection):
    """One whose first COMMIT fails."""

    fails = True

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        if statement == "COMMIT" and self.fails:
            self.fails = False
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(statement, parameters)


class ConnectionTests(SynchronousTestCase):
    """``connect``, ``connect_to_write`` and ``commit``."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE item (number INTEGER)")

    def stored(self) -> list[int]:
        """What is committed."""
        with closing(sqlite3.connect(self.path)) as connection:
            return [number for (number,) in connection.execute("SELECT number FROM item")]

    def test_commit(self) -> None:
        """What was committed is there."""
        with closing(connect_to_write(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO item VALUES (1)")
            commit(connection)
            self.assertEqual(self.stored(), [1])

    def test_refused_commit(self) -> None:
        """Of a commit that failed nothing is left, and in the log something else stands in its place, so that no later
        start takes it for committed (decisions 4.6)."""
        connection = sqlite3.connect(self.path, isolation_level=None, factory=UnsyncedConnection)
        self.addCleanup(connection.close)
        log = self.path.with_name(f"{self.path.name}-wal")
        before = log.stat().st_size if log.exists() else 0
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO item VALUES (1)")
        self.assertRaises(sqlite3.OperationalError, commit, connection)
        self.assertFalse(connection.in_transaction)
        self.assertGreater(log.stat().st_size, before)
        self.assertEqual(self.stored(), [])
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO item VALUES (2)")
        commit(connection)
        self.assertEqual(self.stored(), [2])

    def test_opened_for_reading(self) -> None:
        """SQLite opens what it cannot open for writing for reading, without a word; here that is an error."""
        self.patch(connections, "connect", self.readable)
        error = self.assertRaises(sqlite3.OperationalError, connect_to_write, self.path)
        self.assertIn("readonly", str(error))

    def readable(self, path: Path) -> sqlite3.Connection:
        """What SQLite makes of a database for which there is no descriptor to write with."""
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)

    def test_nothing_is_written_by_connecting(self) -> None:
        """Whoever connects changes nothing."""
        with closing(connect(self.path)) as other:
            (before,) = other.execute("PRAGMA data_version").fetchone()
            connect_to_write(self.path).close()
            self.assertEqual(other.execute("PRAGMA data_version").fetchone(), (before,))


class ThereTests(SynchronousTestCase):
    """``is_there``."""

    def test_there(self) -> None:
        """Files and folders are, and others are not."""
        path = Path(self.mktemp())
        self.assertFalse(is_there(path))
        path.touch()
        self.assertTrue(is_there(path))

    def test_unknown(self) -> None:
        """What cannot be found out is not taken for absent: a new database would take the place of the old one."""
        loop = Path(self.mktemp())
        loop.symlink_to(loop.absolute())
        self.assertEqual(self.assertRaises(OSError, is_there, loop).errno, errno.ELOOP)
