"""Runs what may hang in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class FromThreads(Protocol):
    """What is needed of a reactor."""

    def callFromThread(self, callable: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See IReactorFromThreads."""


class InThread(Protocol):
    """Has a function called somewhere else, and tells what came of it."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """The Deferred fires with what *function* returned or raised."""


def in_daemon_thread(reactor: FromThreads) -> InThread:
    """Calls each function in a thread that nobody waits for: one that hangs, on a dead disk say, does not keep the
    process from ending, as a thread of the reactor's pool would."""

    def run(function: Callable[[], T], /) -> Deferred[T]:
        result: Deferred[T] = Deferred()

        def call() -> None:
            try:
                outcome: T | Failure = function()
            except Exception:  # noqa: BLE001  # it is the waiter's, not ours
                outcome = Failure()
            reactor.callFromThread(result.callback, outcome)

        Thread(target=call, name="superchat-measure", daemon=True).start()
        return result

    return run
