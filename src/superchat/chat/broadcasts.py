"""The broadcasts on their way, and how long each took until the last byte of it was handed to the kernel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from superchat.histogram import Histogram

Kind = Literal["channel", "thread"]
"""Whose subscribers a broadcast goes to; the label `type` of the monitoring guide."""

FANOUT_BOUNDS: Final = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)
"""Recipients (monitoring guide, "Broadcast Metrics")."""
SECONDS_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class WriteQueue(Protocol):
    """Where written frames wait, session by session, until they are handed to the kernel in that order."""

    @property
    def flushed(self) -> int:
        """How many turns of sessions have been flushed so far."""

    @property
    def queued(self) -> int:
        """How many there have been in all: those that wait are the last ``queued - flushed``."""

    def before_turns(self, call: Callable[[], None]) -> None:
        """Call soon, before the next turns."""


@attrs.define
class Measures:
    """What is known of the broadcasts of one kind."""

    fanout: Histogram = attrs.field(factory=lambda: Histogram(FANOUT_BOUNDS))
    """Recipients."""
    duration: Histogram = attrs.field(factory=lambda: Histogram(SECONDS_BOUNDS))
    """Seconds from the first recipient's write until all of it was handed to the kernel."""
    latency: Histogram = attrs.field(factory=lambda: Histogram(SECONDS_BOUNDS))
    """Seconds from the receipt of the post, its commit included, until the same moment."""


@attrs.define
class _Pending:
    """A broadcast that is complete when *mark* turns have been flushed."""

    measures: Measures
    received: float
    started: float
    mark: int = 0


class Broadcasts:
    """Times every broadcast from publish until the write queue has passed what it put there.

    A cost for each broadcast, none for each delivery: the queue is in order, so one number says when the last
    recipient's turn has come. A recipient that reads too slowly does not hold a broadcast up: its turn ends with
    bytes left behind, which count as outbox bytes from then on.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.kinds: dict[Kind, Measures] = {"channel": Measures(), "thread": Measures()}
        self._clock = clock
        self._queue: WriteQueue | None = None
        self._begun: list[_Pending] = []
        self._pending: deque[_Pending] = deque()

    @property
    def pending(self) -> int:
        """How many broadcasts are on their way."""
        return len(self._begun) + len(self._pending)

    def oldest_age_seconds(self) -> float:
        """For how long the oldest broadcast has been on its way, 0 without any."""
        oldest = self._pending or self._begun
        return max(0.0, self._clock.seconds() - oldest[0].started) if oldest else 0.0

    def through(self, queue: WriteQueue) -> None:
        """Name the queue that recipients are written through; its owner calls `settle`.

        Without one, a broadcast counts as complete when it was published.
        """
        self._queue = queue

    def before_turns(self, call: Callable[[], None]) -> None:
        """Call before the next turns of the write queue, at once without one."""
        if self._queue is None:
            call()
        else:
            self._queue.before_turns(call)

    def begin(self, kind: Kind, recipients: int, received: float, started: float) -> None:
        """A broadcast is about to be written to all its *recipients*; times are seconds of the clock."""
        measures = self.kinds[kind]
        measures.fanout.observe(recipients)
        if recipients:
            self._begun.append(_Pending(measures, received, started))
        else:
            _complete(measures, received, started, self._clock.seconds())

    def written(self) -> None:
        """All that have begun are with their recipients, or with the write queue."""
        if not self._begun:
            return
        queue = self._queue
        if queue is not None and queue.queued > queue.flushed:
            for each in self._begun:
                each.mark = queue.queued
            self._pending += self._begun
        else:
            now = self._clock.seconds()
            for each in self._begun:
                _complete(each.measures, each.received, each.started, now)
        self._begun.clear()

    def settle(self, flushed: int, now: float) -> None:
        """The write queue has flushed so many turns at time *now*."""
        pending = self._pending
        while pending and pending[0].mark <= flushed:
            done = pending.popleft()
            _complete(done.measures, done.received, done.started, now)


def _complete(measures: Measures, received: float, started: float, now: float) -> None:
    # A clock that is set back must not make a time negative.
    measures.duration.observe(max(0.0, now - started))
    measures.latency.observe(max(0.0, now - received))
