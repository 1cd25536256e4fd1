"""A reactor whose turns a test takes by hand: the clock stands, calls from threads wait in a queue."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

T = TypeVar("T")

PATIENCE_SECONDS = 60.0


class SteppedReactor(Clock):
    """Lets database threads of a unit test answer without the global reactor and without sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self._calls: SimpleQueue[Callable[[], Any]] = SimpleQueue()

    def callFromThread(self, callable: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        self._calls.put(lambda: callable(*args, **kwargs))

    def turn(self) -> None:
        """Wait for something that a thread wants called, and call it."""
        self._calls.get(timeout=PATIENCE_SECONDS)()
        self.turns += 1

    def run_until_fired(self, deferred: Deferred[Any]) -> None:
        """Take turns until ``deferred`` has a result, which stays in it."""
        results: list[Any] = []

        def note(result: T) -> T:
            results.append(result)
            return result

        deferred.addBoth(note)
        while not results:
            self.turn()
