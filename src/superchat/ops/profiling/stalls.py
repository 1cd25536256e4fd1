"""Notices when the reactor does not turn, and what it is doing instead."""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Final

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from superchat.clocks import wall_seconds
from superchat.ops.profiling.profile import Frame, Measure, Profile, Sample, Stack
from superchat.ops.profiling.stacks import outwards, stack_of

BEAT_SECONDS: Final = 0.1
"""Between two beats. A stall counts from the beat that was due in it, so of stalls that are shorter than this and the
threshold together only some are seen."""

LOOK_SECONDS: Final = 0.02
"""Between two looks at a reactor that is stalled; more in a long stall, a tenth of its age, so that looks are few."""

MAX_STACKS: Final = 256
"""Distinct stacks that are remembered, the latest."""

MEASURES: Final = (Measure("contentions", "count"), Measure("delay", "nanoseconds"))

UNSEEN: Final[Stack] = (Frame("(over before it could be looked at)"),)
FORGOTTEN: Final[Stack] = (Frame("(others: not seen for long)"),)

_MAX_LOOKS: Final = 256
_NANOSECONDS: Final = 1_000_000_000


@attrs.frozen
class _Look:
    beats: int  # how many there were before: which stall this belongs to
    time: float
    stack: Stack


@attrs.define
class _Weight:
    stalls: int = 0
    seconds: float = 0.0


class ReactorWatch(Service):
    """Measures how late the reactor is, and remembers what it was doing when that was more than `threshold_seconds`.

    The reactor beats every `BEAT_SECONDS`. A thread wakes up when a beat is late, and looks at the reactor's stack
    until it comes. All numbers are since `start`, and belong to the reactor's thread.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        threshold_seconds: float = 0.05,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = wall_seconds,
    ) -> None:
        self.threshold_seconds = threshold_seconds
        self.last_lag_seconds = 0.0
        """How late the latest beat was."""
        self.max_lag_seconds = 0.0
        self.lag_seconds = 0.0
        """Sum over all beats; with `beats` it gives the average."""
        self.beats = 0
        self.stalls = 0
        """Beats that were later than the threshold."""
        self.stalled_seconds = 0.0
        """Sum of how late those were."""
        self._reactor = reactor
        self._now = now
        self._wall = wall
        self._started_at = wall()
        self._due = 0.0
        self._call: IDelayedCall | None = None
        self._thread: threading.Thread | None = None
        self._reactor_thread = 0
        self._stopping = threading.Event()
        self._looks: deque[_Look] = deque(maxlen=_MAX_LOOKS)
        self._stacks: OrderedDict[Stack, _Weight] = OrderedDict()
        self._forgotten = _Weight()

    def start(self) -> None:
        """Watch from now on. Call it, as everything here, in the reactor's thread."""
        if not self.running:
            self.startService()

    def stop(self) -> None:
        """Watch no more."""
        if self.running:
            self.stopService()

    def startService(self) -> None:
        super().startService()
        # The reactor may begin to turn long after this, and a daemon forks in between, which no thread survives.
        self._call = self._reactor.callLater(0, self._begin)

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def profile(self) -> Profile:
        """All stalls since the start: how many, and how long, for each stack."""
        known = [(stack, weight) for stack, weight in (*self._stacks.items(), (FORGOTTEN, self._forgotten))]
        return Profile(
            MEASURES,
            tuple(_sample(stack, weight) for stack, weight in known if weight.seconds),
            taken_at=self._wall(),
            duration_seconds=max(0.0, self._wall() - self._started_at),
            comments=(f"stalls of the reactor for more than {self.threshold_seconds * 1000:g} ms",),
        )

    def look(self) -> None:
        """Note what the reactor's thread is doing, if a beat is too late. The watching thread calls this."""
        beats, now = self.beats, self._now()
        if now - self._due <= self.threshold_seconds:
            return
        frame = sys._current_frames().get(self._reactor_thread)
        if frame is not None:
            self._looks.append(_Look(beats, now, stack_of(outwards(frame))))

    def _begin(self) -> None:
        self._schedule()
        self._reactor_thread = threading.get_ident()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._keep_looking, args=(self._stopping,), name="superchat-watch", daemon=True
        )
        self._thread.start()

    def _schedule(self) -> None:
        self._due = self._now() + BEAT_SECONDS
        self._call = self._reactor.callLater(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        now = self._now()
        lag = max(0.0, now - self._due)
        self.last_lag_seconds = lag
        self.max_lag_seconds = max(self.max_lag_seconds, lag)
        self.lag_seconds += lag
        if lag > self.threshold_seconds:
            self._remember(now, lag)
        self._looks.clear()
        self.beats += 1
        self._schedule()

    def _keep_looking(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._pause()):
            self.look()

    def _pause(self) -> float:
        late = self._now() - self._due
        if late <= self.threshold_seconds:
            return self.threshold_seconds - late + LOOK_SECONDS / 10
        return max(LOOK_SECONDS, late / 10)

    def _remember(self, now: float, lag: float) -> None:
        self.stalls += 1
        self.stalled_seconds += lag
        looks = [look for look in list(self._looks) if look.beats == self.beats]
        shares = self._shares(looks, now) if looks else {UNSEEN: lag}
        # Contentions add up to stalls: each counts where it spent the most time.
        longest = max(shares, key=shares.__getitem__)
        for stack, seconds in shares.items():
            weight = self._stacks.setdefault(stack, _Weight())
            weight.seconds += seconds
            weight.stalls += stack is longest
            self._stacks.move_to_end(stack)
        while len(self._stacks) > MAX_STACKS:
            _, weight = self._stacks.popitem(last=False)
            self._forgotten.seconds += weight.seconds
            self._forgotten.stalls += weight.stalls

    def _shares(self, looks: list[_Look], now: float) -> dict[Stack, float]:
        """How long the reactor was where it was seen: up to each look, and from the last one to the beat."""
        seconds: defaultdict[Stack, float] = defaultdict(float)
        since = self._due
        for look in looks:
            seconds[look.stack] += max(0.0, look.time - since)
            since = max(since, look.time)
        seconds[looks[-1].stack] += max(0.0, now - since)
        return seconds


def _sample(stack: Stack, weight: _Weight) -> Sample:
    return Sample(stack, (weight.stalls, int(weight.seconds * _NANOSECONDS)))
