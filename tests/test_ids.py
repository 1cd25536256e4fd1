"""Ids are unique, positive, ascending, and tell their time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.ids import EPOCH_MS, MAX_ID, Snowflakes

REPEATABLE = settings(derandomize=True, database=None, deadline=None)
ANY_TIME_MS = st.integers(-(2**70), 2**70)


class SnowflakesTests(SynchronousTestCase):
    """``Snowflakes``."""

    @REPEATABLE
    @given(st.lists(ANY_TIME_MS), st.integers(0, MAX_ID - 2**30))
    def test_ascends_whatever_the_clock_does(self, times_ms: list[int], last: int) -> None:
        """Ids increase strictly and stay positive 63-bit numbers (decisions 4.6)."""
        ids = Snowflakes(last)
        # Beyond the year 2093 every id is near the end, and the list may not use up what is left.
        given_out = [ids.next(min(now_ms, EPOCH_MS + 2**40)) for now_ms in times_ms]
        self.assertEqual(given_out, sorted(set(given_out)))
        self.assertTrue(all(last < new <= MAX_ID for new in given_out))

    @REPEATABLE
    @given(st.integers(EPOCH_MS + 1, EPOCH_MS + 2**41 - 1))
    def test_tells_its_time(self, now_ms: int) -> None:
        """The high bits are milliseconds since 2024 (reference 9)."""
        self.assertEqual((Snowflakes().next(now_ms) >> 22) + EPOCH_MS, now_ms)

    def test_more_than_a_millisecond_holds(self) -> None:
        """When a millisecond's ids are used up, those of the next one follow."""
        ids = Snowflakes(((1000 + 1) << 22) - 1)
        self.assertEqual(ids.next(EPOCH_MS + 1000), 1001 << 22)
        self.assertEqual(ids.next(EPOCH_MS + 1000), (1001 << 22) + 1)

    def test_before_the_epoch(self) -> None:
        """A clock that was never set still gives positive ids."""
        ids = Snowflakes()
        self.assertEqual([ids.next(0), ids.next(0)], [1, 2])

    def test_all_used_up(self) -> None:
        """No id is ever given out twice, not even when there are no more."""
        ids = Snowflakes(MAX_ID - 1)
        self.assertEqual(ids.next(2**70), MAX_ID)
        self.assertRaises(OverflowError, ids.next, 2**70)
        self.assertRaises(OverflowError, ids.next, 0)
