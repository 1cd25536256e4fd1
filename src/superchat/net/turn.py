"""How much of one reactor turn all clients together may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from superchat.net.rounds import Rounds

TURN_SECONDS: Final = 0.01
"""After this long in one turn, clients whose requests wait are served in the next one, in their order."""


class Turn:
    """Shared by all connections of a server; Twisted reads every ready socket in one turn, however many there are."""

    def __init__(self, clock: IReactorTime, give_way: Callable[[], None]) -> None:
        self._clock = clock
        self._ends: float | None = None
        self.rounds = Rounds(clock, give_way)
        """Where those go on later who have more to do than fits their share of this turn."""

    def is_over(self, now: float) -> bool:
        """Whether the present turn has served clients for long enough at *now*, seconds of the clock."""
        if self._ends is None:
            self._ends = now + TURN_SECONDS
            self._clock.callLater(0, self._end)
        return now >= self._ends

    def _end(self) -> None:
        self._ends = None
