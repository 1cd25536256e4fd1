"""Tests for `superchat.ops.http`: the operators' pages, without sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.clocks import wall_ms
from superchat.histogram import Histogram
from superchat.ops.health import Health, Phase
from superchat.ops.http import monitoring_resource
from superchat.ops.metrics import Metrics
from superchat.ops.series.families import Family, counter, gauges, histogram
from superchat.storage.memory import MemoryStorage


def families() -> Iterator[Family]:
    """One of each kind."""
    sizes = Histogram((1, 5))
    for size in (1, 2, 7):
        sizes.observe(size)
    yield counter("things_total", "Things.", 3)
    yield gauges("rooms", "Rooms.", "name", {"a\"b": 1, "other": 2})
    yield histogram("sizes", "Sizes.", sizes.snapshot())


class PagesTests(SynchronousTestCase):
    """GET, and everything else."""

    def setUp(self) -> None:
        self.problems: list[str] = []
        storage = MemoryStorage()
        storage.open()
        self.health = Health(storage, lambda: 1, lambda: iter(self.problems), Clock(), wall_ms)
        self.health.phase = Phase.SERVING
        self.client: Any = StubTreq(monitoring_resource(Metrics(families), self.health))

    def request(self, path: str, method: str = "GET", **more: Any) -> tuple[int, str, str]:
        """Status, content type and body."""
        response = self.successResultOf(self.client.request(method, f"http://localhost{path}", **more))
        body: str = self.successResultOf(response.text())
        return response.code, response.headers.getRawHeaders("content-type", [""])[0], body

    def test_text_format(self) -> None:
        """/metrics in the text format that curl gets."""
        status, content_type, body = self.request("/metrics")
        self.assertEqual((status, content_type.partition(";")[0]), (200, "text/plain"))
        for line in (
            "# HELP things_total Things.",
            "# TYPE things_total counter",
            "things_total 3.0",
            'rooms{name="a\\"b"} 1.0',
            'sizes_bucket{le="1.0"} 1.0',
            'sizes_bucket{le="5.0"} 2.0',
            'sizes_bucket{le="+Inf"} 3.0',
            "sizes_count 3.0",
            "sizes_sum 10.0",
        ):
            self.assertIn(f"{line}\n", body)

    def test_openmetrics(self) -> None:
        """Whoever accepts OpenMetrics gets it."""
        accept = "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"
        status, content_type, body = self.request("/metrics", headers={"accept": accept})
        self.assertEqual((status, content_type.partition(";")[0]), (200, "application/openmetrics-text"))
        self.assertTrue(body.endswith("# EOF\n"))

    def test_healthy(self) -> None:
        """All three say so."""
        status, content_type, body = self.request("/health")
        self.assertEqual((status, content_type, json.loads(body)["status"]), (200, "application/json", "ok"))
        self.assertEqual(self.request("/readyz")[::2], (200, "ok\n"))
        self.assertEqual(self.request("/livez")[::2], (200, "ok\n"))

    def test_not_healthy(self) -> None:
        """503 with the reasons, but alive."""
        self.problems = ["listener: port 6465 is closed"]
        status, _, body = self.request("/health")
        self.assertEqual((status, json.loads(body)["reasons"]), (503, self.problems))
        self.assertEqual(self.request("/readyz")[::2], (503, "listener: port 6465 is closed\n"))
        self.assertEqual(self.request("/livez")[0], 200)

    def test_unknown(self) -> None:
        """Unknown paths are 404."""
        for path in ("/", "/nothing", "/health/", "/metrics/x", "/%00"):
            self.assertEqual(self.request(path)[0], 404, path)

    def test_methods(self) -> None:
        """Nothing but reading: other methods are 405, and HEAD has no body."""
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            self.assertEqual(self.request("/metrics", method)[0], 405, method)
        self.assertEqual(self.request("/health", "HEAD")[::2], (200, ""))

    def test_parameters(self) -> None:
        """There are none: 400 with a sentence."""
        for path in ("/metrics?name[]=x", "/health?verbose=1", "/livez?x=%ff", "/readyz?a=1&a=2"):
            self.assertEqual(self.request(path)[::2], (400, "This page takes no parameters.\n"))


class SlowDatabaseTests(SynchronousTestCase):
    """A database that hangs."""

    def test_alive(self) -> None:
        """/livez answers while /health waits."""

        class Hanging(MemoryStorage):
            def probe(self, now_ms: int) -> Deferred[None]:
                return Deferred()

        storage = Hanging()
        storage.open()
        clock = Clock()
        health = Health(storage, lambda: 0, lambda: iter(()), clock, wall_ms)
        health.phase = Phase.SERVING
        client: Any = StubTreq(monitoring_resource(Metrics(families), health))
        waiting = client.get("http://localhost/health")
        self.assertEqual(self.successResultOf(client.get("http://localhost/livez")).code, 200)
        self.assertNoResult(waiting)
        clock.advance(2)
        client.flush()
        self.assertEqual(self.successResultOf(waiting).code, 503)
