"""Databases give disk space back, new ones and those from before."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from superchat.storage import vacuum
from superchat.storage.connections import connect
from superchat.storage.migrations import Migration, prepare, shipped

FILL = "CREATE TABLE filler (number INTEGER PRIMARY KEY, content BLOB)"
ROWS = 500
GIVES_BACK = vacuum.gives_back


class VacuumTests(SynchronousTestCase):
    """``superchat.storage.vacuum``, and what ``prepare`` does with it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def prepare(self, migrations: Sequence[Migration] | None = None) -> None:
        prepare(self.path, 0, shipped() if migrations is None else migrations)

    def open(self) -> sqlite3.Connection:
        connection = connect(self.path)
        self.addCleanup(connection.close)
        return connection

    def make_old(self) -> None:
        """A database as the release before made it, with much in it that was removed again."""
        self.patch(vacuum, "INCREMENTAL", 0)
        self.patch(vacuum, "gives_back", lambda connection: True)
        self.prepare(shipped()[:1])
        self.patch(vacuum, "INCREMENTAL", 2)
        self.patch(vacuum, "gives_back", GIVES_BACK)
        with closing(connect(self.path)) as connection:
            connection.execute("INSERT INTO channel VALUES (7, 'general', 'general', '', '', 1, 24, NULL, 0)")
            self.fill_and_empty(connection)
        self.assertEqual(self.mode(), 0)

    def fill_and_empty(self, connection: sqlite3.Connection) -> None:
        connection.execute(FILL)
        connection.executemany("INSERT INTO filler (content) VALUES (?)", [(b"x" * 5000,)] * ROWS)
        connection.execute(f"DELETE FROM filler WHERE number <= {ROWS // 2}")

    def mode(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
            return int(mode)

    def logged(self, word: str) -> int:
        return sum(word in str(event.get("log_format")) for event in self.events)

    # New and old databases

    def test_new_database(self) -> None:
        """A new database can give pages back from the start."""
        self.prepare()
        self.assertEqual(self.mode(), vacuum.INCREMENTAL)
        self.assertEqual(self.logged("rewriting"), 0)

    def test_old_database(self) -> None:
        """A database of the release before is rewritten once, in which it loses nothing but what was empty."""
        self.make_old()
        before = self.path.stat().st_size
        for _ in range(2):
            self.prepare()
            self.assertEqual(self.mode(), vacuum.INCREMENTAL)
            self.assertEqual(self.logged("rewriting"), 1)
        self.assertLess(self.path.stat().st_size, before * 2 // 3)
        with closing(connect(self.path)) as connection:
            self.assertEqual(connection.execute("SELECT id, name FROM channel").fetchall(), [(7, "general")])
            self.assertEqual(connection.execute("SELECT count(*) FROM filler").fetchone(), (ROWS - ROWS // 2,))
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("wal",))
            self.assertEqual(connection.execute("SELECT seq FROM sqlite_sequence").fetchone(), (7,))

    def test_old_database_on_a_full_disk(self) -> None:
        """A database that cannot be rewritten works as before, says so, and is tried again at the next start."""

        def full(connection: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        self.make_old()
        rewrite = vacuum.rewrite
        self.patch(vacuum, "rewrite", full)
        self.prepare()
        self.assertEqual((self.mode(), self.logged("cannot rewrite")), (0, 1))
        connection = self.open()
        self.assertGreater(connection.execute("PRAGMA freelist_count").fetchone(), (0,))
        self.assertEqual(vacuum.give_back(1000, connection), 0)
        connection.close()
        self.patch(vacuum, "rewrite", rewrite)
        self.prepare()
        self.assertEqual(self.mode(), vacuum.INCREMENTAL)

    # Slices

    def test_slices(self) -> None:
        """Pages are given back in slices of the size that was asked for, until there are no more."""
        self.prepare()
        connection = self.open()
        self.fill_and_empty(connection)
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        given = []
        while pages := vacuum.give_back(100, connection):
            connection.execute("COMMIT")
            given.append(pages)
        self.assertFalse(connection.in_transaction)
        self.assertEqual(sum(given), free)
        self.assertEqual(given[:-1], [100] * (free // 100))
        self.assertEqual(vacuum.page_bytes(connection), 4096)

    def test_file_shrinks(self) -> None:
        """The file shrinks when the write-ahead log is emptied, and so does the log."""
        self.prepare()
        connection = self.open()
        self.fill_and_empty(connection)
        self.assertTrue(vacuum.empty_log(connection))
        full = self.path.stat().st_size
        vacuum.give_back(10_000, connection)
        connection.execute("COMMIT")
        self.assertTrue(vacuum.empty_log(connection))
        self.assertLess(self.path.stat().st_size, full * 2 // 3)
        self.assertEqual(self.path.with_name(f"{self.path.name}-wal").stat().st_size, 0)
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def test_nobody_is_waited_for(self) -> None:
        """While somebody reads, the log stays, and the writer is as patient as before in everything else."""
        self.prepare()
        connection, reader = self.open(), self.open()
        patience = connection.execute("PRAGMA busy_timeout").fetchone()
        self.fill_and_empty(connection)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM filler").fetchone()
        connection.execute("DELETE FROM filler")
        self.assertFalse(vacuum.empty_log(connection))
        self.assertEqual(connection.execute("PRAGMA busy_timeout").fetchone(), patience)
        reader.execute("ROLLBACK")
        self.assertTrue(vacuum.empty_log(connection))
