"""Many operations share a commit; what goes wrong with one of them hurts no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.errors import StorageError, Unavailable, UnknownMessage
from superchat.storage.group_commit import GroupCommit
from tests.storage.reactor import PATIENCE_SECONDS, SteppedReactor

T = TypeVar("T")

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE item (number INTEGER PRIMARY KEY);
CREATE TABLE pointer (number INTEGER REFERENCES item (number) DEFERRABLE INITIALLY DEFERRED);
"""


def insert(number: int, connection: sqlite3.Connection) -> int:
    connection.execute("INSERT INTO item VALUES (?)", (number,))
    return number


def insert_all(numbers: Sequence[int], connection: sqlite3.Connection) -> list[int | Exception]:
    """A bulk operation that refuses negative numbers."""
    outcomes: list[int | Exception] = []
    for number in numbers:
        outcomes.append(UnknownMessage("negative") if number < 0 else insert(number, connection))
    return outcomes


def refuse(connection: sqlite3.Connection) -> None:
    raise UnknownMessage("no such thing")


def insert_then_refuse(number: int, connection: sqlite3.Connection) -> None:
    insert(number, connection)
    raise UnknownMessage("too late")


class GroupCommitTests(SynchronousTestCase):
    """``GroupCommit`` on a real database, with its real thread."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(SCHEMA)
        self.connections = 0
        self.writer = self.start()

    def start(self, **bounds: int) -> GroupCommit:
        writer = GroupCommit(self.reactor, self.connect, **bounds)
        writer.start()
        self.addCleanup(self.stop, writer)
        return writer

    def stop(self, writer: GroupCommit) -> None:
        if not writer._stopping:
            self.result(writer.stop())

    def connect(self) -> sqlite3.Connection:
        self.connections += 1
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def result(self, deferred: Deferred[T]) -> T:
        self.reactor.run_until_fired(deferred)
        return self.successResultOf(deferred)

    def assert_fails(self, deferred: Deferred[Any], error: type[BaseException], text: str = "") -> None:
        self.reactor.run_until_fired(deferred)
        value = self.failureResultOf(deferred, error).value
        self.assertIs(type(value), error)
        self.assertIn(text, str(value))

    def hold(self, writer: GroupCommit) -> Callable[[], None]:
        """Keep ``writer`` inside a transaction until the returned function is called."""
        entered, go_on = Event(), Event()

        def wait(connection: sqlite3.Connection) -> None:
            entered.set()
            go_on.wait(PATIENCE_SECONDS)

        writer.submit(wait)
        entered.wait(PATIENCE_SECONDS)
        return go_on.set

    def stored(self) -> list[int]:
        with closing(sqlite3.connect(self.path)) as connection:
            return [number for (number,) in connection.execute("SELECT number FROM item ORDER BY number")]

    def submit_together(self, *operations: Callable[[sqlite3.Connection], Any]) -> list[Deferred[Any]]:
        """Have ``operations`` share one batch."""
        release = self.hold(self.writer)
        waiting = [self.writer.submit(operation) for operation in operations]
        release()
        return waiting

    def test_arrivals_share_the_next_commit(self) -> None:
        """All that arrive while a commit runs are committed together."""
        release = self.hold(self.writer)
        waiting = [self.writer.submit(partial(insert, number)) for number in range(100)]
        self.assertEqual(self.writer.pending, 101)
        release()
        self.assertEqual([self.result(deferred) for deferred in waiting], [*range(100)])
        self.assertEqual((self.writer.commits, self.writer.operations), (2, 101))
        self.assertEqual((self.writer.largest_batch, self.writer.pending), (100, 0))
        self.assertEqual(self.stored(), [*range(100)])

    def test_batches_are_bounded(self) -> None:
        """A batch holds at most `max_batch` operations, so that no reactor turn answers more at once."""
        writer = self.start(max_batch=10)
        release = self.hold(writer)
        waiting = [writer.submit(partial(insert, number)) for number in range(25)]
        release()
        self.assertEqual([self.result(deferred) for deferred in waiting], [*range(25)])
        self.assertEqual((writer.commits, writer.largest_batch), (4, 10))

    def test_answers_come_in_order_in_one_turn(self) -> None:
        """The Deferreds of a batch fire in order of submission, within one turn of the reactor."""
        fired: list[tuple[int, int]] = []
        waiting = self.submit_together(*(partial(insert, number) for number in range(20)))
        for deferred in waiting:
            deferred.addCallback(lambda number: fired.append((number, self.reactor.turns)))
        self.result(waiting[-1])
        self.assertEqual([number for number, _ in fired], [*range(20)])
        self.assertEqual(len({turn for _, turn in fired}), 1)

    def test_answers_come_after_the_commit(self) -> None:
        """When a Deferred fires, everybody else can see what it confirms (decisions 4.6)."""
        seen: list[list[int]] = []
        deferred = self.writer.submit(partial(insert, 7)).addCallback(lambda _: seen.append(self.stored()))
        self.result(deferred)
        self.assertEqual(seen, [[7]])

    def test_refusal_before_writing(self) -> None:
        """An operation that says no before it wrote fails alone; its batch is committed at the first try."""
        first, refused, last = self.submit_together(partial(insert, 1), refuse, partial(insert, 2))
        self.assert_fails(refused, UnknownMessage, "no such thing")
        self.assertEqual([self.result(first), self.result(last)], [1, 2])
        self.assertEqual(self.writer.commits, 2)

    def test_refusal_after_writing(self) -> None:
        """An operation that fails half-way leaves nothing behind, and fails alone."""
        first, refused, last = self.submit_together(
            partial(insert, 1), partial(insert_then_refuse, 9), partial(insert, 2)
        )
        self.assert_fails(refused, UnknownMessage, "too late")
        self.assertEqual([self.result(first), self.result(last)], [1, 2])
        self.assertEqual(self.stored(), [1, 2])

    def test_only_the_guilty_fails(self) -> None:
        """After a database error each operation of the batch is tried alone (reference W22)."""
        waiting = self.submit_together(*(partial(insert, number) for number in (1, 2, 1, 3)))
        self.assert_fails(waiting[2], StorageError, "UNIQUE constraint failed")
        self.assertEqual([self.result(waiting[n]) for n in (0, 1, 3)], [1, 2, 3])
        self.assertEqual(self.stored(), [1, 2, 3])

    def test_bulk(self) -> None:
        """Arguments of a bulk operation that follow each other are handed to it together, in order."""
        calls: list[list[int]] = []

        def run(numbers: Sequence[int], connection: sqlite3.Connection) -> list[int | Exception]:
            calls.append([*numbers])
            return insert_all(numbers, connection)

        release = self.hold(self.writer)
        early = [self.writer.submit_to(run, number) for number in (1, -2, 3)]
        between = self.writer.submit(partial(insert, 4))
        late = self.writer.submit_to(run, 5)
        release()
        self.assertEqual([self.result(early[0]), self.result(early[2])], [1, 3])
        self.assert_fails(early[1], UnknownMessage)
        self.assertEqual([self.result(between), self.result(late)], [4, 5])
        self.assertEqual(calls, [[1, -2, 3], [5]])
        self.assertEqual(self.stored(), [1, 3, 4, 5])

    def test_bulk_that_fails(self) -> None:
        """When a bulk operation raises, each of its arguments is tried alone."""
        release = self.hold(self.writer)
        waiting = [self.writer.submit_to(insert_all, number) for number in (1, 1, 2)]
        release()
        self.assert_fails(waiting[1], StorageError, "UNIQUE constraint failed")
        self.assertEqual([self.result(waiting[0]), self.result(waiting[2])], [1, 2])

    def test_disk_full(self) -> None:
        """A full disk fails writes as Unavailable; when there is room again, writing goes on."""

        def fill(connection: sqlite3.Connection) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
            connection.execute("CREATE TABLE too_much (content)")

        self.assert_fails(self.writer.submit(fill), Unavailable, "full")
        self.result(self.writer.submit(lambda connection: connection.execute("PRAGMA max_page_count = 99999")))
        self.assertEqual(self.result(self.writer.submit(partial(insert, 1))), 1)

    def test_commit_fails(self) -> None:
        """When COMMIT fails, all of its operations fail and nothing of them is there."""

        def point_nowhere(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO pointer VALUES (404)")

        for deferred in self.submit_together(partial(insert, 1), point_nowhere):
            self.assert_fails(deferred, StorageError, "FOREIGN KEY")
        self.assertEqual(self.stored(), [])
        self.assertEqual(self.result(self.writer.submit(partial(insert, 2))), 2)

    def test_locked(self) -> None:
        """While another program keeps the database locked, writes fail as Unavailable; later ones succeed."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.assert_fails(self.writer.submit(partial(insert, 1)), Unavailable, "locked")
        self.assertEqual(self.result(self.writer.submit(partial(insert, 2))), 2)

    def test_locked_between_tries(self) -> None:
        """When no transaction can be had any more, the rest of a batch fails without trying one by one."""
        other = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.addCleanup(other.close)

        def lose_the_lock(connection: sqlite3.Connection) -> None:
            connection.execute("ROLLBACK")
            other.execute("BEGIN IMMEDIATE")
            raise sqlite3.OperationalError("something broke")

        spoiler, *rest = self.submit_together(lose_the_lock, partial(insert, 1), partial(insert, 2))
        for deferred in (spoiler, *rest):
            self.assert_fails(deferred, Unavailable, "locked")
        other.execute("ROLLBACK")
        self.assertEqual(self.result(self.writer.submit(partial(insert, 3))), 3)
        self.assertEqual(self.stored(), [3])

    def test_broken_connection(self) -> None:
        """A connection that is of no more use is replaced."""
        self.assert_fails(self.writer.submit(sqlite3.Connection.close), StorageError, "closed")
        self.assertEqual(self.result(self.writer.submit(partial(insert, 1))), 1)
        self.assertEqual(self.connections, 2)

    def test_vanished_database(self) -> None:
        """While the database cannot be connected to, writes fail as Unavailable."""
        self.assert_fails(self.writer.submit(sqlite3.Connection.close), StorageError)
        connect = self.writer._connect
        self.writer._connect = lambda: sqlite3.connect(self.path / "nowhere")
        self.assert_fails(self.writer.submit(partial(insert, 1)), Unavailable, "unable to open")
        self.writer._connect = connect
        self.assertEqual(self.result(self.writer.submit(partial(insert, 1))), 1)

    def test_stop_without_a_connection(self) -> None:
        """A writer that has lost its connection can be stopped."""
        self.assert_fails(self.writer.submit(sqlite3.Connection.close), StorageError)
        self.result(self.writer.stop())

    def test_survives_anything(self) -> None:
        """Not even what is meant to end a program ends the writer."""

        def leave(connection: sqlite3.Connection) -> None:
            raise SystemExit("bye")

        self.assert_fails(self.writer.submit(leave), SystemExit, "bye")
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
        self.assertEqual(self.result(self.writer.submit(partial(insert, 1))), 1)

    def test_cancelled_waiter(self) -> None:
        """Who stops waiting disturbs nobody, and what was asked for is still done."""
        release = self.hold(self.writer)
        impatient, patient = self.writer.submit(partial(insert, 1)), self.writer.submit(partial(insert, 2))
        impatient.addErrback(lambda failure: None)
        impatient.cancel()
        release()
        self.assertEqual(self.result(patient), 2)
        self.assertEqual(self.stored(), [1, 2])

    def test_full_queue(self) -> None:
        """More operations than `max_pending` are refused at once, so that memory is bounded."""
        writer = self.start(max_pending=3)
        release = self.hold(writer)
        waiting = [writer.submit(partial(insert, number)) for number in range(2)]
        self.failureResultOf(writer.submit(partial(insert, 9)), Unavailable)
        release()
        self.assertEqual([self.result(deferred) for deferred in waiting], [0, 1])
        self.assertEqual(self.result(writer.submit(partial(insert, 9))), 9)

    def test_stop_finishes_what_was_submitted(self) -> None:
        """Stopping commits and answers everything submitted before, and refuses what comes after."""
        release = self.hold(self.writer)
        waiting = [self.writer.submit(partial(insert, number)) for number in range(5)]
        stopped = self.writer.stop()
        self.failureResultOf(self.writer.submit(partial(insert, 9)), Unavailable)
        release()
        self.result(stopped)
        self.assertEqual([self.successResultOf(deferred) for deferred in waiting], [*range(5)])
        self.assertEqual(self.stored(), [*range(5)])
        self.assertFalse(self.writer._thread.is_alive())

    # Operations that run alone

    def in_transaction(self, connection: sqlite3.Connection) -> bool:
        return connection.in_transaction

    def test_between_transactions(self) -> None:
        """An operation that runs alone finds no transaction, and everything before it committed, nothing after it."""
        release = self.hold(self.writer)
        order: list[object] = []

        def look(connection: sqlite3.Connection) -> list[int]:
            self.assertFalse(connection.in_transaction)
            return self.stored()

        before = [self.writer.submit(partial(insert, number)) for number in (1, 2)]
        alone = self.writer.submit_alone(look)
        after = [self.writer.submit(partial(insert, number)) for number in (3, 4)]
        everything: list[Deferred[Any]] = [*before, alone, *after]
        for deferred in everything:
            deferred.addCallback(order.append)
        release()
        self.reactor.run_until_fired(after[-1])
        self.assertEqual(order, [1, 2, [1, 2], 3, 4])

    def test_several_alone(self) -> None:
        """Operations that run alone do so one by one."""
        release = self.hold(self.writer)
        alone = [self.writer.submit_alone(self.in_transaction) for _ in range(3)]
        shared = self.writer.submit(self.in_transaction)
        release()
        self.assertEqual([self.result(deferred) for deferred in (*alone, shared)], [False, False, False, True])

    def test_own_transaction(self) -> None:
        """What it commits itself is there, and its failure rolls back what it left open."""

        def commit(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            insert(1, connection)
            connection.execute("COMMIT")

        def fail(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            insert(2, connection)
            insert(1, connection)

        self.result(self.writer.submit_alone(commit))
        self.assert_fails(self.writer.submit_alone(fail), StorageError, "UNIQUE")
        self.assertEqual(self.result(self.writer.submit(partial(insert, 3))), 3)
        self.assertEqual(self.stored(), [1, 3])

    def test_refusal_of_one_alone(self) -> None:
        """A refusal reaches its own caller only."""
        refused = self.writer.submit_alone(refuse)
        posted = self.writer.submit(partial(insert, 1))
        self.assertEqual(self.result(posted), 1)
        self.failureResultOf(refused, UnknownMessage)

    def test_stop_waits_for_one_alone(self) -> None:
        """Stopping finishes it as well."""
        release = self.hold(self.writer)
        alone = self.writer.submit_alone(self.in_transaction)
        stopped = self.writer.stop()
        release()
        self.result(stopped)
        self.assertFalse(self.successResultOf(alone))
