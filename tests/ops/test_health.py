"""Tests for `superchat.ops.health`: what is asked, how often, and what the answer looks like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.health import DEADLINE_SECONDS, OK, PROBE_SECONDS, DatabaseProbe, Health, Phase, Report
from superchat.storage.errors import Unavailable
from superchat.storage.memory import MemoryStorage
from tests.clocks import now_ms_of


class ProbedStorage(MemoryStorage):
    """Counts its probes, and answers them as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.open()
        self.probes: list[int] = []
        self.answer: Deferred[Any] | None = None

    def probe(self, now_ms: int) -> Deferred[None]:
        self.probes.append(now_ms)
        return succeed(None) if self.answer is None else self.answer


class ProbeTests(SynchronousTestCase):
    """The write probe of the database."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.storage = ProbedStorage()
        self.probe = DatabaseProbe(self.storage, self.clock, now_ms_of(self.clock))

    def test_shared(self) -> None:
        """However often it is asked, something is stored once a second at most."""
        for _ in range(5):
            self.assertEqual(self.successResultOf(self.probe.check()), OK)
        self.assertEqual(self.storage.probes, [1_000_000])
        self.clock.advance(PROBE_SECONDS)
        self.successResultOf(self.probe.check())
        self.assertEqual(len(self.storage.probes), 2)

    def test_failure(self) -> None:
        """What the database says is the answer."""
        self.storage.answer = fail(Unavailable("database or disk is full"))
        self.assertEqual(self.successResultOf(self.probe.check()), "database or disk is full")

    def test_deadline(self) -> None:
        """A database that hangs is reported in time, without a second probe behind the first."""
        hanging: Deferred[None] = Deferred()
        self.storage.answer = hanging
        first = self.probe.check()
        self.clock.advance(DEADLINE_SECONDS)
        self.assertEqual(self.successResultOf(first), "nothing stored within 2 seconds")
        second = self.probe.check()
        self.assertEqual(len(self.storage.probes), 1)
        hanging.callback(None)
        self.assertEqual(self.successResultOf(second), OK)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HealthTests(SynchronousTestCase):
    """The report."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.problems: list[str] = []
        self.storage = ProbedStorage()
        self.health = Health(self.storage, lambda: 42, self.checks, self.clock, now_ms_of(self.clock))

    def checks(self) -> Iterator[str]:
        yield from self.problems

    def report(self) -> Report:
        report: Report = self.successResultOf(Deferred.fromCoroutine(self.health.report()))
        return report

    def test_healthy(self) -> None:
        """The object is exactly the monitoring guide's."""
        self.health.phase = Phase.SERVING
        self.clock.advance(12345.6)
        self.assertEqual(
            self.report().as_json(),
            {"status": "ok", "uptime": 12345, "sessions": 42, "database": "ok", "directory_enabled": False},
        )

    def test_reasons(self) -> None:
        """Whatever is wrong is named, beside the same keys."""
        self.health.phase = Phase.SERVING
        self.problems = ["disk: 5 bytes free, 10 are needed"]
        self.storage.answer = fail(Unavailable("disk I/O error"))
        body = self.report().as_json()
        self.assertEqual((body["status"], body["database"]), ("error", "disk I/O error"))
        self.assertEqual(body["reasons"], ["database: disk I/O error", "disk: 5 bytes free, 10 are needed"])

    def test_not_serving(self) -> None:
        """While it starts or drains, a server says so and leaves its database alone."""
        for phase in (Phase.STARTING, Phase.DRAINING):
            self.health.phase = phase
            report = self.report()
            self.assertEqual((report.ok, report.reasons), (False, (f"server: {phase.value}",)))
        self.assertEqual(self.storage.probes, [])
