"""Reads run beside the writer and beside each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Barrier, Event
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.connections import connect
from superchat.storage.errors import Unavailable
from superchat.storage.read_pool import ReadPool
from tests.storage.reactor import PATIENCE_SECONDS, SteppedReactor

T = TypeVar("T")


def count(connection: sqlite3.Connection) -> int:
    (items,) = connection.execute("SELECT count(*) FROM item").fetchone()
    return int(items)


class ReadPoolTests(SynchronousTestCase):
    """``ReadPool`` on a real database, with its real threads."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())
        self.writer = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.writer.close)
        self.writer.executescript("PRAGMA journal_mode = WAL; CREATE TABLE item (number)")
        self.pool = self.start()

    def start(self, **options: Any) -> ReadPool:
        pool = ReadPool(self.reactor, self.connect, **options)
        pool.start()
        self.addCleanup(lambda: self.result(pool.stop()))
        return pool

    def connect(self) -> sqlite3.Connection:
        return connect(self.path, read_only=True)

    def result(self, deferred: Deferred[T]) -> T:
        self.reactor.run_until_fired(deferred)
        return self.successResultOf(deferred)

    def assert_fails(self, deferred: Deferred[Any], error: type[Exception]) -> None:
        self.reactor.run_until_fired(deferred)
        self.failureResultOf(deferred, error)

    def test_sees_what_is_committed(self) -> None:
        """A read sees everything that was committed before it, and nothing that is not."""
        self.writer.execute("INSERT INTO item VALUES (1)")
        self.assertEqual(self.result(self.pool.submit(count)), 1)
        self.writer.execute("BEGIN IMMEDIATE")
        self.writer.execute("INSERT INTO item VALUES (2)")
        self.assertEqual(self.result(self.pool.submit(count)), 1)
        self.writer.execute("COMMIT")
        self.assertEqual(self.result(self.pool.submit(count)), 2)

    def test_reads_run_at_the_same_time(self) -> None:
        """One slow read does not hold up another."""
        meeting = Barrier(2)

        def meet(connection: sqlite3.Connection) -> int:
            meeting.wait(PATIENCE_SECONDS)
            return count(connection)

        waiting = [self.pool.submit(meet) for _ in range(2)]
        self.assertEqual([self.result(deferred) for deferred in waiting], [0, 0])

    def test_cannot_write(self) -> None:
        """A reader changes nothing, whatever it tries."""
        deferred = self.pool.submit(lambda connection: connection.execute("INSERT INTO item VALUES (1)"))
        self.assert_fails(deferred, Unavailable)
        self.assertEqual(self.result(self.pool.submit(count)), 0)

    def test_failure_is_the_waiters(self) -> None:
        """What a read raises goes to who asked, and the reader goes on."""
        pool = self.start(threads=1)
        self.assert_fails(pool.submit(lambda connection: 1 // 0), ZeroDivisionError)
        self.assertEqual(self.result(pool.submit(count)), 0)

    def test_answers_share_a_turn(self) -> None:
        """What is ready when the reactor comes round is answered in one turn, in order."""
        pool = self.start(threads=1)
        ready = Event()
        order: list[int] = []

        def number(n: int) -> Callable[[sqlite3.Connection], int]:
            return lambda connection: n

        waiting = [pool.submit(number(n)) for n in range(10)]
        for deferred in waiting:
            deferred.addCallback(order.append)
        last = pool.submit(lambda connection: ready.set())
        ready.wait(PATIENCE_SECONDS)
        before = self.reactor.turns
        self.result(last)
        self.assertEqual(order, [*range(10)])
        self.assertLessEqual(self.reactor.turns - before, 2)

    def test_full_queue(self) -> None:
        """More reads than `max_pending` are refused at once, so that memory is bounded."""
        pool = self.start(max_pending=1, threads=1)
        go_on = Event()
        slow = pool.submit(lambda connection: go_on.wait(PATIENCE_SECONDS))
        self.failureResultOf(pool.submit(count), Unavailable)
        go_on.set()
        self.result(slow)
        self.assertEqual(self.result(pool.submit(count)), 0)

    def test_connects_again(self) -> None:
        """While the database cannot be opened, reads fail as Unavailable; later ones succeed."""
        good, self.path = self.path, self.path.with_name("missing.db")
        pool = self.start(threads=1)
        self.assert_fails(pool.submit(count), Unavailable)
        self.path = good
        self.assertEqual(self.result(pool.submit(count)), 0)

    def test_connects_at_once(self) -> None:
        """Each thread connects when it starts, so reading takes no descriptor later, when there may be none."""
        connected: list[sqlite3.Connection] = []
        both = Barrier(3)

        def connect_and_tell() -> sqlite3.Connection:
            connected.append(self.connect())
            both.wait(PATIENCE_SECONDS)
            return connected[-1]

        pool = ReadPool(self.reactor, connect_and_tell)
        pool.start()
        self.addCleanup(lambda: self.result(pool.stop()))
        both.wait(PATIENCE_SECONDS)
        self.assertEqual(len(connected), 2)
        self.assertEqual(self.result(pool.submit(count)), 0)
        self.assertEqual(len(connected), 2)

    def test_stop_answers_what_was_submitted(self) -> None:
        """Stopping answers everything submitted before, and ends the threads."""
        pool = ReadPool(self.reactor, self.connect)
        pool.start()
        waiting = [pool.submit(count) for _ in range(20)]
        self.result(pool.stop())
        self.assertEqual([self.successResultOf(deferred) for deferred in waiting], [0] * 20)
        self.assertFalse(any(thread.is_alive() for thread in pool._threads))


class ConnectTests(SynchronousTestCase):
    """``connect``."""

    def setting(self, connection: sqlite3.Connection, name: str) -> object:
        (value,) = connection.execute(f"PRAGMA {name}").fetchone()
        return value

    def test_every_connection_keeps_the_promise(self) -> None:
        """Each connection has its keys checked, waits for locks and syncs each commit (reference W29)."""
        path = Path(self.mktemp())
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE item (number)")
        for read_only in (False, True):
            with closing(connect(path, read_only=read_only)) as connection:
                self.assertEqual(self.setting(connection, "foreign_keys"), 1)
                self.assertEqual(self.setting(connection, "synchronous"), 2)
                self.assertEqual(self.setting(connection, "busy_timeout"), 5000)
                self.assertEqual(self.setting(connection, "query_only"), int(read_only))
                self.assertEqual(self.setting(connection, "journal_mode"), "wal")

    def test_makes_no_file(self) -> None:
        """Connecting never makes a database; that is for the migrations."""
        path = Path(self.mktemp())
        self.assertRaises(sqlite3.OperationalError, connect, path)
        self.assertFalse(path.exists())

    def test_odd_file_names(self) -> None:
        """A file's name may hold what means something in an address."""
        path = Path(self.mktemp()).with_name("what? 100% #1.db")
        sqlite3.connect(path).close()
        path.touch()
        connect(path).close()
        self.assertEqual([entry.name for entry in path.parent.glob("what*")], [path.name])
