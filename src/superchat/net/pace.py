"""How much of the reactor's time one kind of work may take, however much of it there is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SLICE_SECONDS: Final = 0.001
"""After this long in one go, the rest waits."""
LONGEST_REST_SECONDS: Final = 1.0
"""So that a clock that is set forward stops nothing."""


class Pace:
    """Runs pieces of work in the order they came: at once, unless that is more than its share of the time.

    Each run, of one piece or of `SLICE_SECONDS`, is followed by a rest of *rest* times what it took. So 1 is half
    of the time at the most, 4 a fifth.
    """

    def __init__(self, clock: IReactorTime, rest: float) -> None:
        self._clock = clock
        self._rest = rest
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = False
        self._resting: IDelayedCall | None = None

    def add(self, work: Callable[[], None]) -> None:
        """Run *work* now or later. It MUST NOT raise."""
        self._waiting.append(work)
        if not self._running and self._resting is None:
            self._run()

    def _run(self) -> None:
        self._resting = None
        self._running = True
        started = self._clock.seconds()
        spent = 0.0
        while self._waiting and spent < SLICE_SECONDS:
            self._waiting.popleft()()
            spent = self._clock.seconds() - started
        self._running = False
        if spent > 0:
            self._resting = self._clock.callLater(min(spent * self._rest, LONGEST_REST_SECONDS), self._run)
