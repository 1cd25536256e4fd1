"""Carries questions from the reactor's thread to database threads, and the answers back."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from superchat.storage.connections import translated
from superchat.storage.errors import Unavailable

SLICE_SECONDS: Final = 0.01
"""How long Deferreds are fired in one turn of the reactor; what waits for them may have much to do."""

A = TypeVar("A")
T = TypeVar("T")

Operation = Callable[[sqlite3.Connection], T]
BulkOperation = Callable[[Sequence[A], sqlite3.Connection], Sequence[T | Exception]]


class ThreadedReactor(Protocol):
    """What the storage needs of a reactor."""

    def callFromThread(self, callable: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have ``callable`` called in the reactor's thread; see IReactorFromThreads."""

    def seconds(self) -> float:
        """The time; see IReactorTime."""


def run_each(operations: Sequence[Operation[T]], connection: sqlite3.Connection) -> list[T | Exception]:
    """Run ``operations`` one after the other; what each returned, or what it raised before it wrote anything.

    Raises what an operation raised after it had written, and every sqlite3.Error: the transaction is unfit
    to commit then.
    """
    outcomes: list[T | Exception] = []
    for operation in operations:
        changes = connection.total_changes
        try:
            outcomes.append(operation(connection))
        except Exception as error:
            if isinstance(error, sqlite3.Error) or connection.total_changes != changes:
                raise
            outcomes.append(error)
    return outcomes


class Request(Generic[T]):
    """One argument of a bulk operation, and who waits for what comes of it. One thread has it at a time."""

    __slots__ = ("argument", "deferred", "outcome", "run")

    def __init__(self, run: BulkOperation[A, T], argument: A) -> None:
        self.run: BulkOperation[Any, T] = run
        self.argument: Any = argument
        self.deferred: Deferred[T] = Deferred()
        self.outcome: T | Failure | None = None

    def settle(self, outcome: T | BaseException) -> None:
        """Take ``outcome``; an exception is a failure, in the interface's terms."""
        self.outcome = Failure(translated(outcome)) if isinstance(outcome, BaseException) else outcome


def run_together(requests: Sequence[Request[Any]], connection: sqlite3.Connection) -> None:
    """Settle ``requests``, all of one bulk operation, by a single call of it. Raises what it raises."""
    outcomes = requests[0].run([request.argument for request in requests], connection)
    for request, outcome in zip(requests, outcomes, strict=True):
        request.settle(outcome)


class Requests:
    """The bounded number of requests that are under way."""

    def __init__(self, reactor: ThreadedReactor, max_pending: int) -> None:
        self.pending = 0
        self._reactor = reactor
        self._max_pending = max_pending
        self._answered: list[Request[Any]] = []
        self._firing: deque[Request[Any]] = deque()
        self._lock = Lock()

    def admit(self, run: BulkOperation[A, T], argument: A) -> Request[T]:
        """Make a request, on the reactor's thread. Raises Unavailable when too many are under way."""
        if self.pending >= self._max_pending:
            raise Unavailable(f"{self.pending} requests to the database are waiting already")
        self.pending += 1
        return Request(run, argument)

    def answer(self, requests: Sequence[Request[Any]]) -> None:
        """Fire the Deferreds of ``requests`` in their order; from any thread.

        What is answered until the reactor's turn comes shares it: waking the reactor costs more than a small read.
        """
        with self._lock:
            turn_is_coming = bool(self._answered)
            self._answered += requests
        if not turn_is_coming:
            self._reactor.callFromThread(self._fire)

    def _fire(self) -> None:
        """Fire for a slice of time; everything else in the reactor has its turn before the rest."""
        with self._lock:
            self._firing += self._answered
            self._answered = []
        ends = self._reactor.seconds() + SLICE_SECONDS
        while self._firing:
            request = self._firing.popleft()
            self.pending -= 1
            request.deferred.callback(request.outcome)
            if self._reactor.seconds() >= ends:
                break
        if self._firing:
            self._reactor.callFromThread(self._fire)
