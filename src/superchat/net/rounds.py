"""Work that does not fit one turn of the reactor: everybody goes on with a little of it, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

SLICE_SECONDS: Final = 0.0001
"""So long, in one turn, may those take who have more to do than others; whoever has little waits that long for each
turn that an answer takes."""
LONGEST_SLICE_SECONDS: Final = 0.01
"""The same where everything else takes longer than that anyway: they get half of the time."""


def _give_way_to_nobody() -> None:
    """For a reactor beside which no threads work."""


class Rounds:
    """Runs steps in the order they came, from the next turn on, for a slice of each turn.

    A step that leaves something to do adds another, which comes after those of everybody else. So one that always
    has more to do takes no more than a slice from the others, and two do not keep a third waiting for ever. While
    there is more to do, *give_way* is called once a turn.
    """

    def __init__(self, clock: IReactorTime, give_way: Callable[[], None] = _give_way_to_nobody) -> None:
        self._clock = clock
        self._give_way = give_way
        self._steps: deque[Callable[[], None]] = deque()
        self._scheduled_at: float | None = None

    def add(self, step: Callable[[], None]) -> None:
        """Run *step*, which should take a fraction of a slice, later. It MUST NOT raise."""
        self._steps.append(step)
        if self._scheduled_at is None:
            self._schedule(self._clock.seconds())

    def _schedule(self, now: float) -> None:
        self._scheduled_at = now
        self._clock.callLater(0, self._run)

    def _run(self) -> None:
        now = self._clock.seconds()
        others = now - (self._scheduled_at or now)
        ends = now + min(max(SLICE_SECONDS, others), LONGEST_SLICE_SECONDS)
        # What is added meanwhile is for the next turn: a turn ends, even on a clock that stands still.
        for _ in range(len(self._steps)):
            self._steps.popleft()()
            now = self._clock.seconds()
            if now >= ends:
                break
        self._scheduled_at = None
        if self._steps:
            self._give_way()
            self._schedule(now)
