"""Turns what clients send for a password into what is stored, and compares the two, off the reactor's thread.

The reactor delivers messages while others log in: a bcrypt takes some 70 ms of CPU, which it never has to spare.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread, get_native_id
from time import perf_counter
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs
import bcrypt
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.python.failure import Failure

from superchat.histogram import Histogram

T = TypeVar("T")

COST: Final = 10
"""The reference's (reference 2.1): 2**10 rounds."""

SECONDS_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

SHORTEST_SECRET_BYTES: Final = 40
LONGEST_SECRET_BYTES: Final = 50
"""What stands for a password on the wire has 43 characters in practice (reference 2.1)."""

MOST_THREADS: Final = 4

NICENESS: Final = 10
"""Where threads have priorities of their own, these leave the processor to whoever delivers messages."""

Derivation = Callable[[str, str], str]
"""What a client sends for a nickname and a password (wire 9)."""


class TooBusy(Exception):
    """Too many passwords wait for their turn already, or the server is stopping."""


class Reactor(Protocol):
    """What passwords need of a reactor."""

    def callFromThread(self, callable: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have ``callable`` called in the reactor's thread; see IReactorFromThreads."""


@attrs.define
class PasswordWork:
    """What was and is to be computed: plain numbers, changed on the reactor's thread alone."""

    waiting: int = 0  # passwords whose turn has not come
    running: int = 0  # passwords that a thread computes now
    refused: int = 0  # since the start, because too many waited
    seconds: Histogram = attrs.field(factory=lambda: Histogram(SECONDS_BOUNDS))
    """How long each took, from when it was asked for until it was known; as many as were done."""


class Passwords(Protocol):
    """What the rules ask about passwords. *secret* is what a client sends in place of one (wire 9).

    Every Deferred may fail with `TooBusy`.
    """

    work: PasswordWork

    def hash(self, secret: str) -> Deferred[str]:
        """What to store for a secret that is `acceptable`."""

    def verify(self, secret: str, stored: str) -> Deferred[bool]:
        """Whether *stored* was made of *secret*."""

    def verify_nobody(self, secret: str) -> Deferred[bool]:
        """False, after the time that `verify` takes: nobody learns from it which accounts exist (decisions 2.6)."""

    def derive(self, nickname: str, password: str) -> Deferred[str]:
        """The secret that a client would send for a password in clear."""

    def stop(self) -> Deferred[None]:
        """Refuse everything that has not begun and whatever comes; fires once nothing runs any more."""


def acceptable(secret: str) -> bool:
    """Whether something can stand for a password: 40 to 50 bytes (reference 2.1). bcrypt takes no more than 72."""
    return SHORTEST_SECRET_BYTES <= len(_bytes(secret)) <= LONGEST_SECRET_BYTES


def no_derivation(nickname: str, password: str) -> str:
    """Stand in where no password ever comes in clear."""
    raise NotImplementedError("this server was not told how to derive passwords")


@attrs.frozen
class Computation:
    """bcrypt at one *cost*, 2**cost rounds; every method computes in the calling thread."""

    cost: int = COST
    derivation: Derivation = no_derivation

    def hash(self, secret: str) -> str:
        """See `Passwords.hash`."""
        return bcrypt.hashpw(_bytes(secret), bcrypt.gensalt(self.cost)).decode()

    def verify(self, secret: str, stored: str) -> bool:
        """See `Passwords.verify`."""
        return bcrypt.checkpw(_bytes(secret), stored.encode())

    def verify_nobody(self, secret: str) -> bool:
        """See `Passwords.verify_nobody`: comparing is hashing, too."""
        self.hash(secret)
        return False


class PasswordsAtOnce:
    """`Passwords` that keep their caller waiting: for tests, and for a chat that nobody logs in to."""

    def __init__(self, cost: int = COST, derivation: Derivation = no_derivation) -> None:
        self.work = PasswordWork()
        self._computation = Computation(cost, derivation)

    def hash(self, secret: str) -> Deferred[str]:
        return self._run(lambda: self._computation.hash(secret))

    def verify(self, secret: str, stored: str) -> Deferred[bool]:
        return self._run(lambda: self._computation.verify(secret, stored))

    def verify_nobody(self, secret: str) -> Deferred[bool]:
        return self._run(lambda: self._computation.verify_nobody(secret))

    def derive(self, nickname: str, password: str) -> Deferred[str]:
        return self._run(lambda: self._computation.derivation(nickname, password))

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def _run(self, compute: Callable[[], T]) -> Deferred[T]:
        started = perf_counter()
        done = execute(compute)
        self.work.seconds.observe(perf_counter() - started)
        return done


class _Job(Generic[T]):
    """Something to compute, and who waits for it."""

    __slots__ = ("asked_at", "compute", "deferred")

    def __init__(self, compute: Callable[[], T]) -> None:
        self.compute = compute
        self.asked_at = perf_counter()
        self.deferred: Deferred[T] = Deferred()


class PasswordThreads:
    """`Passwords` in a few threads of their own, first come, first served.

    The threads start with the first password, so that they belong to the daemon that a server becomes. More than
    *max_waiting* passwords are refused at once: who comes then would wait for longer than people do. Without a number
    of *threads* they leave one processor to the chat.
    """

    def __init__(
        self,
        reactor: Reactor,
        derivation: Derivation = no_derivation,
        *,
        threads: int | None = None,
        max_waiting: int = 200,
        cost: int = COST,
    ) -> None:
        self.work = PasswordWork()
        self._reactor = reactor
        self._computation = Computation(cost, derivation)
        self._max_waiting = max_waiting
        self._queue: deque[_Job[Any]] = deque()
        self._changed = Condition()
        self._stopping = False
        self._stopped: Deferred[None] = Deferred()
        self._threads = [
            Thread(target=self._run, name=f"superchat-password-{number}", daemon=True)
            for number in range(_spare_processors() if threads is None else threads)
        ]
        self._alive = 0

    def hash(self, secret: str) -> Deferred[str]:
        return self._submit(lambda: self._computation.hash(secret))

    def verify(self, secret: str, stored: str) -> Deferred[bool]:
        return self._submit(lambda: self._computation.verify(secret, stored))

    def verify_nobody(self, secret: str) -> Deferred[bool]:
        return self._submit(lambda: self._computation.verify_nobody(secret))

    def derive(self, nickname: str, password: str) -> Deferred[str]:
        return self._submit(lambda: self._computation.derivation(nickname, password))

    def stop(self) -> Deferred[None]:
        if self._stopping:
            return self._stopped
        with self._changed:
            self._stopping = True
            unbegun = [*self._queue]
            self._queue.clear()
            self._changed.notify_all()
        for job in unbegun:
            self.work.waiting -= 1
            job.deferred.errback(TooBusy("the server is stopping"))
        if not self._alive:
            self._stopped.callback(None)
        return self._stopped

    def _submit(self, compute: Callable[[], T]) -> Deferred[T]:
        if self._stopping or self.work.waiting >= self._max_waiting:
            self.work.refused += 1
            return fail(TooBusy(f"{self.work.waiting} passwords wait already"))
        self._start()
        job = _Job(compute)
        self.work.waiting += 1
        with self._changed:
            self._queue.append(job)
            self._changed.notify()
        return job.deferred

    def _start(self) -> None:
        if not self._alive:
            self._alive = len(self._threads)
            for thread in self._threads:
                thread.start()

    # In the threads

    def _run(self) -> None:
        _give_way()
        while (job := self._next()) is not None:
            self._reactor.callFromThread(self._began)
            outcome: Any
            try:
                outcome = job.compute()
            except Exception:  # noqa: BLE001 (it is the waiter's, not ours)
                outcome = Failure()
            self._reactor.callFromThread(self._answer, job, outcome)
            # What was computed from must not outlive it here while the thread waits for the next.
            del job, outcome
        self._reactor.callFromThread(self._ended)

    def _next(self) -> _Job[Any] | None:
        with self._changed:
            while not self._queue:
                if self._stopping:
                    return None
                self._changed.wait()
            return self._queue.popleft()

    # Back in the reactor's thread

    def _began(self) -> None:
        self.work.waiting -= 1
        self.work.running += 1

    def _answer(self, job: _Job[T], outcome: T | Failure) -> None:
        self.work.running -= 1
        self.work.seconds.observe(perf_counter() - job.asked_at)
        job.deferred.callback(outcome)

    def _ended(self) -> None:
        self._alive -= 1
        if not self._alive:
            for thread in self._threads:
                thread.join()
            self._stopped.callback(None)


def _bytes(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogateescape")


def _spare_processors() -> int:
    """One processor less than this process may use, at least one and at most `MOST_THREADS`."""
    return min(max(len(os.sched_getaffinity(0)) - 1, 1), MOST_THREADS)


def _give_way() -> None:
    """Let other threads of the process go first, where the system gives each its own priority (Linux does)."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)
