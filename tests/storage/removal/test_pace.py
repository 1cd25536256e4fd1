"""Tests for `superchat.storage.removal.pace`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.removal.pace import TARGET_SECONDS, Pace


class PaceTests(SynchronousTestCase):
    """Slices take about as long as they should, whatever the disk (decisions 4.11)."""

    def setUp(self) -> None:
        self.pace = Pace(size=100, least=10, most=1000)

    def test_too_long(self) -> None:
        """A slice that took four times too long makes the next one a quarter of its size, at once."""
        self.pace.took(100, 4 * TARGET_SECONDS)
        self.assertEqual(self.pace.size, 25)

    def test_quick(self) -> None:
        """After a quick slice the next one is larger, twice as large at most."""
        self.pace.took(100, TARGET_SECONDS / 1.5)
        self.assertEqual(self.pace.size, 150)
        self.pace.took(150, 0.0)
        self.assertEqual(self.pace.size, 300)

    def test_bounds(self) -> None:
        """Slices always get something done, and are never so large that the first of them is far too long."""
        self.pace.took(100, 1e6)
        self.assertEqual(self.pace.size, 10)
        for _ in range(20):
            self.pace.took(self.pace.size, 0.0)
        self.assertEqual(self.pace.size, 1000)

    def test_little_to_do(self) -> None:
        """A slice that found little to do does not make the next ones larger; a slow one makes them smaller."""
        for done in (0, 1, 49):
            self.pace.took(done, 0.0)
            self.assertEqual(self.pace.size, 100)
        self.pace.took(40, 2 * TARGET_SECONDS)
        self.assertEqual(self.pace.size, 20)

    @settings(derandomize=True, database=None)
    @given(
        cost=st.floats(1e-6, 1e-2),
        overhead=st.floats(0.0, TARGET_SECONDS * 0.9),
        slices=st.integers(20, 40),
    )
    def test_settles(self, cost: float, overhead: float, slices: int) -> None:
        """Whatever a row and a commit cost, slices soon take no longer than they should, if any size can do that."""
        pace = Pace(size=64, least=1, most=4096)
        for _ in range(slices):
            seconds = overhead + pace.size * cost
            pace.took(pace.size, seconds)
        seconds = overhead + pace.size * cost
        self.assertLessEqual(seconds, max(2 * TARGET_SECONDS, overhead + cost))
