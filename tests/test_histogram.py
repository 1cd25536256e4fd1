"""Tests for `superchat.histogram`: what Prometheus expects of a histogram."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.histogram import Histogram

BOUNDS = (1.0, 5.0, 10.0)


class HistogramTests(SynchronousTestCase):
    """Counting into buckets."""

    def test_bounds_are_included(self) -> None:
        """A value that equals a bound is one of those that do not exceed it."""
        histogram = Histogram(BOUNDS)
        for value in (0, 1, 1.5, 5, 10, 10.1):
            histogram.observe(value)
        seen = histogram.snapshot()
        self.assertEqual(seen.cumulative(), [2, 4, 5, 6])
        self.assertEqual((seen.count, seen.total), (6, 27.6))

    def test_snapshot_stands_still(self) -> None:
        """What was counted later is not in it."""
        histogram = Histogram(BOUNDS)
        before = histogram.snapshot()
        histogram.observe(3)
        self.assertEqual((before.count, before.total, before.bounds), (0, 0.0, BOUNDS))

    @given(st.lists(st.floats(0, 20)))
    def test_any_values(self, values: list[float]) -> None:
        """Each bucket holds exactly the values that do not exceed its bound."""
        histogram = Histogram(BOUNDS)
        for value in values:
            histogram.observe(value)
        expected = [sum(value <= bound for value in values) for bound in BOUNDS]
        self.assertEqual(histogram.snapshot().cumulative(), [*expected, len(values)])
