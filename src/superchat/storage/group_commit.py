"""One thread that commits what many ask for in as few transactions as it can."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from superchat.histogram import Histogram
from superchat.storage.connections import commit
from superchat.storage.errors import Unavailable
from superchat.storage.requests import (
    BulkOperation,
    Operation,
    Request,
    Requests,
    ThreadedReactor,
    run_each,
    run_together,
)

A = TypeVar("A")
T = TypeVar("T")

SECONDS_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
OPERATIONS_BOUNDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class _Spoiled(Exception):
    """An operation failed in a way that leaves the transaction unfit to commit; the cause says how."""


class GroupCommit:
    """Runs operations one after the other in transactions; all that arrive during a commit share the next.

    An operation is called with the connection inside a transaction, in the thread of the writer. It MUST NOT
    begin or end transactions, and may raise. If it raises before it wrote anything, other than a
    sqlite3.Error, only its own Deferred fails. Otherwise the transaction is rolled back and each operation
    of the batch is tried again in a transaction of its own, so an operation MUST NOT mind being called twice.
    When a transaction cannot be begun or committed, all of its operations fail.

    A Deferred fires after COMMIT has returned, in order of submission.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: ThreadedReactor,
        connect: Callable[[], sqlite3.Connection],
        *,
        max_pending: int = 50_000,
        max_batch: int = 1_000,
    ) -> None:
        self.commits = 0
        self.operations = 0
        self.largest_batch = 0
        self.commit_seconds = Histogram(SECONDS_BOUNDS)
        self.commit_operations = Histogram(OPERATIONS_BOUNDS)
        self._reactor = reactor
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._requests = Requests(reactor, max_pending)
        self._max_batch = max_batch
        self._queue: SimpleQueue[Request[Any] | None] = SimpleQueue()  # None is the end
        self._held: Request[Any] | None = None
        self._stopping = False
        self._at_end = False
        self._stopped: Deferred[None] = Deferred()
        self._thread = Thread(target=self._run, name="superchat-writer", daemon=True)

    @property
    def pending(self) -> int:
        """Operations whose Deferreds have not fired yet."""
        return self._requests.pending

    def start(self) -> None:
        """Connect, and start the writer's thread. Raises sqlite3.Error."""
        self._connection = self._connect()
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Deferred[T]:
        """Have ``operation`` run and committed; call on the reactor's thread.

        The Deferred fires with what it returned, or fails with what it raised, or with Unavailable: at once
        when more than ``max_pending`` operations wait, or after ``stop``.
        """
        return self.submit_to(run_each, operation)

    def submit_to(self, run: BulkOperation[A, T], argument: A) -> Deferred[T]:
        """Like ``submit``, for an operation that costs less when it is done for many at once.

        ``run`` is called with the arguments of all requests for the very same ``run`` that follow each other
        in a batch. What it returns for each is its outcome, or the refusal when that is an exception. What
        it raises counts against the transaction.
        """
        if self._stopping:
            return fail(Unavailable("the storage is closed"))
        try:
            request = self._requests.admit(run, argument)
        except Unavailable as full:
            return fail(full)
        self._queue.put(request)
        return request.deferred

    def submit_alone(self, operation: Operation[T]) -> Deferred[T]:
        """Have ``operation`` run between two transactions: it begins and ends its own, if it needs any.

        What it leaves open when it raises is rolled back. Otherwise like ``submit``.
        """
        return self.submit_to(_run_alone, operation)

    def stop(self) -> Deferred[None]:
        """Commit what was submitted, then end the thread and close its connection. Call once."""
        self._stopping = True
        self._queue.put(None)
        return self._stopped

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                if batch[0].run is _run_alone:
                    self._carry_out(batch[0])
                else:
                    self._commit(batch)
            except BaseException as error:  # noqa: BLE001 (whatever it was, the next batch deserves its try)
                self._log.failure("the writer of the database failed, and goes on")
                self._fail(batch, error)
            self._requests.answer(batch)
        self._disconnect()
        self._reactor.callFromThread(self._finish)

    def _next_batch(self) -> list[Request[Any]]:
        """Wait for something to do; nothing means that the end has come."""
        batch: list[Request[Any]] = []
        while len(batch) < self._max_batch and (request := self._next(wait=not batch)) is not None:
            if request.run is not _run_alone:
                batch.append(request)
            elif batch:
                self._held = request
                break
            else:
                return [request]
        return batch

    def _next(self, *, wait: bool) -> Request[Any] | None:
        """The next request; None when none is there, or the end has come."""
        if self._held is not None:
            held, self._held = self._held, None
            return held
        if self._at_end:
            return None
        try:
            request = self._queue.get(wait)
        except Empty:
            return None
        self._at_end = request is None
        return request

    def _finish(self) -> None:
        self._thread.join()
        self._stopped.callback(None)

    def _carry_out(self, request: Request[Any]) -> None:
        """Give a request that does not share a transaction its outcome."""
        try:
            connection = self._connected()
            try:
                request.settle(request.argument(connection))
            except BaseException:
                self._roll_back(connection)
                raise
        except Exception as error:  # noqa: BLE001 (it is the waiter's, not ours)
            request.settle(error)

    def _commit(self, batch: list[Request[Any]]) -> None:
        """Give every request of ``batch`` its outcome."""
        try:
            self._transact(batch)
        except _Spoiled:
            self._commit_one_by_one(batch)
        except (sqlite3.Error, Unavailable) as error:
            self._fail(batch, error)

    def _commit_one_by_one(self, batch: list[Request[Any]]) -> None:
        for index, request in enumerate(batch):
            try:
                self._transact([request])
            except _Spoiled as spoiled:
                request.settle(spoiled.args[0])
            except (sqlite3.Error, Unavailable) as error:
                # No transaction can be had: each of the rest would wait for the same answer.
                self._fail(batch[index:], error)
                return

    def _transact(self, batch: list[Request[Any]]) -> None:
        connection = self._connected()
        started = perf_counter()
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._run_all(batch, connection)
            commit(connection)
        except BaseException:
            self._roll_back(connection)
            raise
        self.commits += 1
        self.operations += len(batch)
        self.largest_batch = max(self.largest_batch, len(batch))
        self.commit_seconds.observe(perf_counter() - started)
        self.commit_operations.observe(len(batch))

    def _run_all(self, batch: list[Request[Any]], connection: sqlite3.Connection) -> None:
        try:
            for _, requests in groupby(batch, key=attrgetter("run")):
                run_together([*requests], connection)
        except Exception as error:
            raise _Spoiled(error) from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Some errors have rolled back already; a connection that cannot is replaced by a new one."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @staticmethod
    def _fail(batch: list[Request[Any]], error: BaseException) -> None:
        for request in batch:
            request.settle(error)


def _run_alone(operations: Sequence[Operation[T]], connection: sqlite3.Connection) -> list[T | Exception]:
    """Marks the requests that share no transaction; they are carried out one by one."""
    raise NotImplementedError

