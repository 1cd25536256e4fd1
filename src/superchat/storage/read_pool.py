"""A few threads that read beside the writer, each with a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail

from superchat.storage.errors import Unavailable
from superchat.storage.requests import (
    Operation,
    Request,
    Requests,
    ThreadedReactor,
    run_each,
    run_together,
)

T = TypeVar("T")


class ReadPool:
    """Runs operations that only read; each sees all that was committed before it began.

    Readers never wait for the writer, nor it for them (write-ahead log).
    """

    def __init__(
        self,
        reactor: ThreadedReactor,
        connect: Callable[[], sqlite3.Connection],
        *,
        threads: int = 2,
        max_pending: int = 50_000,
    ) -> None:
        self._reactor = reactor
        self._connect = connect
        self._requests = Requests(reactor, max_pending)
        self._queue: SimpleQueue[Request[Any] | None] = SimpleQueue()
        self._stopped: Deferred[None] = Deferred()
        self._threads = [
            Thread(target=self._run, name=f"superchat-reader-{number}", daemon=True) for number in range(threads)
        ]
        self._running = threads

    def start(self) -> None:
        """Start the threads; they connect at once, or as soon as they can when they are needed."""
        for thread in self._threads:
            thread.start()

    def submit(self, operation: Operation[T]) -> Deferred[T]:
        """Have ``operation`` run; call on the reactor's thread.

        The Deferred fires with what it returned, or fails with what it raised, or with Unavailable: at once
        when more than ``max_pending`` operations wait.
        """
        try:
            request = self._requests.admit(run_each, operation)
        except Unavailable as full:
            return fail(full)
        self._queue.put(request)
        return request.deferred

    def stop(self) -> Deferred[None]:
        """Answer what was submitted, then end the threads and close their connections. Call once, at last."""
        for _ in self._threads:
            self._queue.put(None)
        return self._stopped

    def _run(self) -> None:
        connection = self._first_connection()
        while request := self._queue.get():
            try:
                connection = connection or self._connect()
                run_together([request], connection)
            except Exception as error:  # noqa: BLE001 (it is the waiter's, not ours)
                request.settle(error)
            self._requests.answer([request])
        if connection is not None:
            connection.close()
        self._reactor.callFromThread(self._ended)

    def _first_connection(self) -> sqlite3.Connection | None:
        """One from before there may be no descriptor left for it."""
        try:
            return self._connect()
        except Exception:  # noqa: BLE001 (it is tried again, and told, when somebody waits for it)
            return None

    def _ended(self) -> None:
        self._running -= 1
        if not self._running:
            for thread in self._threads:
                thread.join()
            self._stopped.callback(None)
