"""A database that is taken away under a running server, and its size."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.errors import Unavailable
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.contract import new_channel, rehearsal
from tests.storage.engines import NOON_MS
from tests.storage.reactor import SteppedReactor

T = TypeVar("T")


class DatabaseFileTests(SynchronousTestCase):
    """An open storage whose files change under it."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())
        self.storage = SQLiteStorage(self.path, self.reactor)
        self.successResultOf(self.storage.open())
        self.addCleanup(lambda: self.result(self.storage.close()))
        self.result(self.storage.create_channel(new_channel(), NOON_MS))

    def result(self, deferred: Deferred[T]) -> T:
        self.reactor.run_until_fired(deferred)
        return self.successResultOf(deferred)

    def refusal(self) -> str:
        """What a probe says that fails; no other operation is harmed."""
        probe = self.storage.probe(NOON_MS)
        self.reactor.run_until_fired(probe)
        error: Unavailable = self.failureResultOf(probe, Unavailable).value
        return str(error)

    def test_in_place(self) -> None:
        """A probe is written to the file, in one row however often."""
        for moment in (1, 2):
            self.result(self.storage.probe(NOON_MS + moment))
        with closing(sqlite3.connect(self.path)) as connection:
            self.assertEqual(connection.execute("SELECT * FROM probe").fetchall(), [(1, NOON_MS + 2)])

    def test_file_gone(self) -> None:
        """A file that was removed is missed, though SQLite would go on writing into it."""
        self.path.unlink()
        self.assertEqual(self.refusal(), f"{self.path} is gone: No such file or directory")

    def test_log_gone(self) -> None:
        """A write-ahead log that was removed is missed: what is committed to it would be lost at the next start."""
        log = self.path.with_name(f"{self.path.name}-wal")
        log.unlink()
        self.assertEqual(self.refusal(), f"{log} is gone: No such file or directory")

    def test_file_replaced(self) -> None:
        """A file that another one was put in the place of is missed as well."""
        copy = self.path.with_name("copy")
        copy.write_bytes(self.path.read_bytes())
        os.replace(copy, self.path)
        self.assertEqual(
            self.refusal(), f"{self.path} is not the file that was opened: another one took its place"
        )

    def test_size_on_disk(self) -> None:
        """The size is that of the file and its write-ahead log."""
        size = self.result(self.storage.measure())
        log = self.path.with_name(f"{self.path.name}-wal")
        self.assertEqual(size.file_bytes, self.path.stat().st_size + log.stat().st_size)

    def test_rehearsals_leave_no_rows(self) -> None:
        """No table of the file has a row more after a hundred rehearsals."""
        before = self.rows()
        for _ in range(100):
            self.result(self.storage.rehearse(rehearsal()))
        self.assertEqual(self.rows(), before)

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with closing(sqlite3.connect(self.path)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}

    def test_commits_are_timed(self) -> None:
        """Operators can see how long commits take, and how many operations each carries."""
        self.result(self.storage.probe(NOON_MS))
        statistics = self.storage.statistics()
        self.assertEqual(statistics.commit_seconds.count, statistics.commits)
        self.assertGreater(statistics.commit_seconds.total, 0)
        self.assertEqual(statistics.commit_operations.total, statistics.operations)
