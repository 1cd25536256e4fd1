"""Tests for `superchat.ops.metrics`: the formats, byte by byte as the library would write them."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from twisted.trial.unittest import SynchronousTestCase

from superchat.histogram import Histogram
from superchat.ops.metrics import Metrics
from superchat.ops.series.families import Family, constant, counter, counters, gauge, gauges, histogram, histograms

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
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

    def test_any_accept(self) -> None:
        """No Accept header makes a scrape fail."""
        metrics = Metrics(families)
        unknown = "application/openmetrics-text; version=x.y"
        for accept in ("*/*", "nonsense;;;", unknown, ";version=1", "text/plain;q=z"):
            body, content_type = metrics.render(accept)
            self.assertTrue(body)
            self.assertTrue(content_type.startswith(("text/plain", "application/openmetrics-text")), content_type)
