"""All live connections of a server, and one timer for those of them that fall silent."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from operator import attrgetter
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from superchat.chat.counters import CloseCause

AHEAD_SECONDS: Final = 1.0
"""How far ahead a look at all connections sees. Nobody may be silent for less than that."""

_idle_at = attrgetter("idle_at")


class Connected(Protocol):
    """What has to be known of a connection to end it."""

    idle_at: float
    """When it will have been silent for too long, seconds of the clock; `inf` for never. It only ever moves on, and
    then to what is `AHEAD_SECONDS` away at least."""

    def time_out(self) -> None:
        """End it, for it has been silent for too long."""

    def retire(self, reason: str, cause: CloseCause) -> None:
        """End it when the request under way has been answered."""

    def abort(self) -> None:
        """Cut it."""


class Connections:
    """Who is connected; whoever is silent for too long is ended, at the very moment (decisions 1.6).

    A timer for each connection would be a tenth of its memory and of the cost of accepting it. Here one waits for
    the first connection that may be due; then all of them are looked at, and those that will be due within
    `AHEAD_SECONDS` are waited for one after the other. So all are looked at once in a while when nobody falls silent,
    and once a second when everybody does.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._all: set[Connected] = set()
        self._due: list[Connected] = []  # those within the horizon, the first one last
        self._horizon = -inf
        self._timer: IDelayedCall | None = None
        self._empty: Deferred[None] | None = None

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connected]:
        return iter(tuple(self._all))

    def add(self, connection: Connected) -> None:
        """One more; its time is counted from now on."""
        self._all.add(connection)
        self._look_at(connection.idle_at)

    def discard(self, connection: Connected) -> None:
        """One is gone."""
        self._all.discard(connection)
        if not self._all:
            self._due.clear()
            self._cancel()
            if self._empty is not None:
                empty, self._empty = self._empty, None
                empty.callback(None)

    def gone(self) -> Deferred[None]:
        """Fires when there is none any more; MUST NOT be asked for again before that."""
        if not self._all:
            return succeed(None)
        self._empty = Deferred()
        return self._empty

    def _look(self) -> None:
        """End those that are due, and wait for the next."""
        self._timer = None
        now = self._clock.seconds()
        if now >= self._horizon:
            self._look_ahead(now)
        due = self._due
        while due and not now < due[-1].idle_at <= self._horizon:
            connection = due.pop()
            if connection.idle_at <= now:
                with self._log.failuresHandled("a silent connection could not be ended"):
                    connection.time_out()
        if due:
            self._look_at(due[-1].idle_at)
        elif self._all:
            self._look_at(max(self._horizon, min(map(_idle_at, self._all))))

    def _look_ahead(self, now: float) -> None:
        self._horizon = now + AHEAD_SECONDS
        due = [connection for connection in self._all if connection.idle_at <= self._horizon]
        self._due = sorted(due, key=_idle_at, reverse=True)

    def _look_at(self, time: float) -> None:
        """Look at *time*, unless a look comes before it anyway."""
        if time == inf or (self._timer is not None and self._timer.getTime() <= time):
            return
        self._cancel()
        self._timer = self._clock.callLater(max(0.0, time - self._clock.seconds()), self._look)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
