"""Runs the processes of a load through its phases, and gathers what they measure."""

from __future__ import annotations

import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from typing import Any, Final

import attrs

from superchat.loadtest import talk
from superchat.loadtest.loop import now_us
from superchat.loadtest.measurements import Measurements
from superchat.loadtest.plan import Plan, shares
from superchat.loadtest.posting import Outcome
from superchat.loadtest.preflight import CannotConnect
from superchat.loadtest.processes import ServerProcess
from superchat.loadtest.worker import work

START_US: Final = 100_000
"""From saying when the load starts until it does: longer than it takes to say so to all processes."""
LOOK_SECONDS: Final = 0.25


class Crash(Exception):
    """A process of the load has failed."""


@attrs.define(eq=False)
class Member:
    """A process of the load, seen from here."""

    process: Any
    pipe: Pipe
    cpu_seconds: float = 0.0
    waited_seconds: float = 0.0
    is_idle: bool = False
    is_finished: bool = False


@attrs.frozen
class Moment:
    """How a run stands, for the progress shown."""

    phase: str
    fraction: float
    """Of the load's duration, 0 to 1."""
    load_seconds: float
    measured: Measurements


class Coordinator:
    """One run. ``stop`` ends the load early; it may be called at any time, by a signal too."""

    def __init__(self, plan: Plan, server: ServerProcess | None, show: Callable[[Moment], None]) -> None:
        self.measured = Measurements()
        self.is_interrupted = False
        self._plan = plan
        self._server = server
        self._show = show
        self._phase = "connecting"
        self._members: list[Member] = []
        self._ready: list[talk.Ready] = []
        self._posted: list[talk.Posted] = []
        self._connected_per_second = 0.0
        self._start_us = self._end_us = 0
        self._busiest_percent = self._waiting_percent = 0.0

    def stop(self) -> None:
        """End the load now, and still report."""
        self.is_interrupted = True

    def run(self) -> None:
        """Put on the load. Raises CannotConnect if clients that it needs do not get connected, and Crash."""
        try:
            self._spawn()
            if self._connect():
                self._load()
                self._check()
        finally:
            self._end()

    def figures(self) -> dict[str, float]:
        """Metrics beside those that were counted; call it after ``run``."""
        counts = self.measured.counts
        load_seconds = max((self._end_us - self._start_us) / 1_000_000, 0.001) if self._start_us else 0.0
        figures = {
            "generator_cpu_percent": round(self._busiest_percent, 1),
            "generator_wait_percent": round(self._waiting_percent, 1),
        }
        if self._connected_per_second:
            figures["connections_per_second"] = round(self._connected_per_second, 1)
        if not load_seconds:
            return figures
        figures["duration_seconds"] = round(load_seconds, 3)
        figures["posts_per_second"] = round(counts["posts_acked"] / load_seconds, 1)
        delivering = (self.measured.latest_delivery_us - self._start_us) / 1_000_000
        figures["deliveries_per_second"] = round(counts["deliveries"] / max(delivering, 0.001), 1)
        return figures | self._server_figures(load_seconds)

    # Phases

    def _spawn(self) -> None:
        # Forked processes need no start-up of their own, and there are no threads here that would forbid it.
        forks = sys.platform == "linux"
        context = multiprocessing.get_context("fork" if forks else "spawn")
        for share in shares(self._plan):
            ours, theirs = context.Pipe()
            # A process that kept our ends of the pipes would never see that we are gone.
            inherited = [*(member.pipe for member in self._members), ours] if forks else []
            process: Any = context.Process(target=work, args=(share, theirs, inherited), daemon=True)  # type: ignore[attr-defined]
            process.start()
            theirs.close()
            self._members.append(Member(process, ours))

    def _connect(self) -> bool:
        """Whether all is connected and nobody wants to stop."""
        self._until(lambda: len(self._ready) == len(self._members) or self.is_interrupted)
        if self.is_interrupted:
            return False
        spent_us = max(each.end_us for each in self._ready) - min(each.begin_us for each in self._ready)
        self._connected_per_second = self.measured.counts["connections"] * 1_000_000 / max(spent_us, 1)
        failures: Counter[str] = Counter()
        for ready in self._ready:
            failures.update(ready.failures)
        if failures:
            reason, times = failures.most_common(1)[0]
            raise CannotConnect(f"{failures.total()} of {self._plan.options.connections} clients; {times}: {reason}")
        return True

    def _load(self) -> None:
        self._phase = "load"
        before = [(member.cpu_seconds, member.waited_seconds) for member in self._members]
        self._start_us = now_us() + START_US
        self._end_us = self._start_us + int(self._plan.options.duration_seconds * 1_000_000)
        self._tell(talk.Start(self._start_us, self._end_us))
        if self._server is not None:
            self._server.begin()
        self._until(lambda: now_us() >= self._end_us or self.is_interrupted or self._is_nothing_left)
        if now_us() < self._end_us:
            self._end_us = max(now_us(), self._start_us + 1)
            self._tell(talk.Stop())
        self._look_at_server()
        self._busy(before)

    def _check(self) -> None:
        self._phase = "waiting for the last answers"
        self._until(lambda: len(self._posted) == len(self._members))
        outcomes: dict[int, Outcome] = {}
        for posted in self._posted:
            outcomes.update(posted.outcomes)
        self._phase = "waiting for the last deliveries"
        self._tell(talk.Expect(outcomes, now_us() + int(self._plan.options.grace_seconds * 1_000_000)))
        self._until(lambda: all(member.is_finished for member in self._members))

    @property
    def _is_nothing_left(self) -> bool:
        """Whether it is over before its time: a storm is answered, or the server is gone."""
        return now_us() > self._start_us and all(member.is_idle for member in self._members)

    # The processes

    def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            pipes: Sequence[Any] = [member.pipe for member in self._members if not member.is_finished]
            for ready in wait(pipes, LOOK_SECONDS):
                self._hear(next(member for member in self._members if member.pipe is ready))
            if self._phase == "load":
                self._look_at_server()
            self._show(self._moment())

    def _hear(self, member: Member) -> None:
        try:
            said = member.pipe.recv()
        except (EOFError, OSError):
            member.process.join()
            raise Crash(f"a process of the load ended with {member.process.exitcode}") from None
        match said:
            case talk.Report(measured, cpu_seconds, waited_seconds, is_idle):
                self.measured.merge(measured)
                member.cpu_seconds, member.waited_seconds = cpu_seconds, waited_seconds
                member.is_idle = is_idle
            case talk.Ready():
                self._ready.append(said)
            case talk.Posted():
                self._posted.append(said)
            case talk.Finished():
                member.is_finished = True
            case talk.Crashed(traceback):
                raise Crash(traceback)

    def _tell(self, said: object) -> None:
        for member in self._members:
            member.pipe.send(said)

    def _end(self) -> None:
        for member in self._members:
            member.pipe.close()
        for member in self._members:
            member.process.join(1.0)
            if member.process.is_alive():
                member.process.terminate()
                member.process.join()

    # Figures

    def _look_at_server(self) -> None:
        if self._server is not None:
            self._server.look()

    def _busy(self, before: Sequence[tuple[float, float]]) -> None:
        seconds = max((now_us() - self._start_us) / 1_000_000, 0.001)
        pairs = list(zip(self._members, before, strict=True))
        self._busiest_percent = 100 * max(member.cpu_seconds - cpu for member, (cpu, _) in pairs) / seconds
        self._waiting_percent = 100 * max(member.waited_seconds - wait for member, (_, wait) in pairs) / seconds

    def _server_figures(self, load_seconds: float) -> dict[str, float]:
        figures: dict[str, float] = {}
        if self._server is not None and self._server.cpu_seconds is not None:
            figures["server_cpu_seconds"] = round(self._server.cpu_seconds, 2)
            figures["server_cpu_percent"] = round(100 * self._server.cpu_seconds / load_seconds, 1)
        if self._server is not None and self._server.waited_seconds is not None:
            figures["server_wait_percent"] = round(100 * self._server.waited_seconds / load_seconds, 1)
        if self._server is not None and self._server.most_memory_mib is not None:
            figures["server_rss_mib"] = round(self._server.most_memory_mib, 1)
        return figures

    def _moment(self) -> Moment:
        done = (now_us() - self._start_us) / 1_000_000 if self._start_us else 0.0
        done = min(max(done, 0.0), self._plan.options.duration_seconds)
        return Moment(self._phase, done / self._plan.options.duration_seconds, done, self.measured)
