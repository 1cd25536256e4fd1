"""Tests for `superchat.ops.metrics`: the formats, byte by byte as the library would write them, and who gets which."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from unittest import SkipTest

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from twisted.trial.unittest import SynchronousTestCase

from superchat.histogram import Histogram
from superchat.ops.metrics import Metrics
from superchat.ops.series.families import Family, constant, counter, counters, gauge, gauges, histogram, histograms
from tests.ops.monitored import MonitoredServer

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2 asks for."""
VALUES = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)


def distribution(*values: float) -> Histogram:
    """Some values in three buckets."""
    made = Histogram((0.005, 1, 2.5))
    for value in values:
        made.observe(value)
    return made


def families() -> Iterator[Family]:
    """One of each kind, with everything that needs care."""
    yield counter("things_total", 'Things, "quoted" and \\ slashed.', 3)
    yield counters("kinds_total", "Kinds.", "kind", {"a": 1, 'b"\\\n': 2.5})
    yield gauge("level", "Level\nin two lines.", -0.1)
    yield gauges("rooms", "Rooms.", "name", {"ünï": 1e21, "other": 0})
    yield histogram("sizes", "Sizes.", distribution(0.001, 1, 7).snapshot())
    yield histograms("times", "Times.", "type", {"x": distribution().snapshot(), "y": distribution(2).snapshot()})
    yield constant("build_info", "Build.", version="1", python="3")


class FormatTests(SynchronousTestCase):
    """Both formats against the library's own."""

    def test_text(self) -> None:
        """The text format is the library's to the byte."""
        metrics = Metrics(families)
        self.assertEqual(metrics.render("")[0], generate_latest(metrics.registry))

    def test_openmetrics(self) -> None:
        """OpenMetrics is the library's to the byte."""
        metrics = Metrics(families)
        self.assertEqual(metrics.render(OPENMETRICS)[0], generate_openmetrics(metrics.registry))

    @given(value=VALUES, label=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    def test_any_value(self, value: float, label: str) -> None:
        """Whatever the value and the label are."""
        metrics = Metrics(lambda: [gauges("level", "Level.", "name", {label: value})])
        self.assertEqual(metrics.render("")[0], generate_latest(metrics.registry))
        self.assertEqual(metrics.render(OPENMETRICS)[0], generate_openmetrics(metrics.registry))

    def test_real_families(self) -> None:
        """So are both for all that the server has to tell."""
        told = [*MonitoredServer(self).monitor.families()]
        metrics = Metrics(lambda: told)
        self.assertEqual(metrics.render("")[0], generate_latest(metrics.registry))
        self.assertEqual(metrics.render(OPENMETRICS)[0], generate_openmetrics(metrics.registry))

    def test_any_accept(self) -> None:
        """No Accept header makes a scrape fail."""
        metrics = Metrics(families)
        unknown = "application/openmetrics-text; version=x.y"
        for accept in ("*/*", "nonsense;;;", unknown, ";version=1", "text/plain;q=z"):
            body, content_type = metrics.render(accept)
            self.assertTrue(body)
            self.assertTrue(content_type.startswith(("text/plain", "application/openmetrics-text")), content_type)

    def test_who_gets_which(self) -> None:
        """Prometheus gets OpenMetrics, everybody who does not ask for it the text format."""
        metrics = Metrics(families)
        text = "text/plain; version=0.0.4"
        others = ("", "*/*", "text/plain", "text/html, application/json")
        for accept, expected in ((PROMETHEUS, OPENMETRICS), *((other, text) for other in others)):
            body, content_type = metrics.render(accept)
            self.assertEqual(content_type.partition("; charset")[0], expected, accept)
            self.assertEqual(body.endswith(b"# EOF\n"), "openmetrics" in expected, accept)


class RegistryTests(SynchronousTestCase):
    """Each server has its own."""

    def test_nothing_global(self) -> None:
        """Two servers in one process do not see each other, and the library's own registry knows of none."""
        first, second = MonitoredServer(self), MonitoredServer(self)
        first.people(3)
        self.assertEqual(first.scrape()["superchat_active_sessions"], 3)
        self.assertEqual(second.scrape()["superchat_active_sessions"], 0)
        self.assertNotIn(b"superchat", generate_latest(REGISTRY))

    def test_read_at_the_scrape(self) -> None:
        """Values are those of the moment of the scrape, not of the start."""
        value = 0

        def one() -> Iterator[Family]:
            yield gauge("value", "A value.", value)

        metrics = Metrics(one)
        value = 7
        self.assertIn(b"\nvalue 7.0\n", metrics.render("")[0])


class ValidTests(SynchronousTestCase):
    """What others say of it."""

    def test_openmetrics_parser(self) -> None:
        """A strict parser reads the OpenMetrics form, where each name has one family."""
        body, _ = MonitoredServer(self).metrics.render(PROMETHEUS)
        names = [family.name for family in openmetrics_families(body.decode())]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn("superchat_messages_sent", names)

    def test_promtool(self) -> None:
        """promtool, which knows Prometheus' conventions for names, has nothing to say."""
        if shutil.which("promtool") is None:
            raise SkipTest("promtool is not installed")
        body, _ = MonitoredServer(self).metrics.render("")
        checked = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))
