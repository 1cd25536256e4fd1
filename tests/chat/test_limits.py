"""Tests for `superchat.chat.limits`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.limits import SlidingWindows, TokenBucket


class TokenBucketTests(SynchronousTestCase):
    """A burst at once, then the rate."""

    def test_burst_then_rate(self) -> None:
        """The burst is there at once; after that one token comes every 1/rate seconds."""
        bucket = TokenBucket(rate=2, burst=3)
        self.assertEqual([bucket.take(10.0) for _ in range(4)], [True, True, True, False])
        self.assertEqual(bucket.wait_seconds(10.0), 0.5)
        self.assertFalse(bucket.take(10.4))
        self.assertTrue(bucket.take(10.5))

    def test_never_more_than_the_burst(self) -> None:
        """A long pause does not save up more than the burst."""
        bucket = TokenBucket(rate=1, burst=2)
        bucket.take(0.0)
        self.assertTrue(bucket.full(1e9))
        self.assertEqual([bucket.take(1e9) for _ in range(3)], [True, True, False])

    def test_unlimited(self) -> None:
        """A rate of 0 never refuses."""
        bucket = TokenBucket(rate=0, burst=0)
        self.assertTrue(all(bucket.take(0.0) for _ in range(1000)))
        self.assertEqual((bucket.wait_seconds(0.0), bucket.full(0.0)), (0.0, True))

    def test_clock_jumps_back(self) -> None:
        """A clock that is set back gives nothing away, and the refill goes on from there."""
        bucket = TokenBucket(rate=1, burst=1)
        self.assertTrue(bucket.take(1000.0))
        self.assertFalse(bucket.take(0.0))
        self.assertTrue(bucket.take(1.0))

    @given(
        rate=st.floats(0.01, 1000),
        burst=st.integers(1, 100),
        steps=st.lists(st.floats(0, 10), max_size=200),
    )
    def test_bound(self, rate: float, burst: int, steps: list[float]) -> None:
        """In no stretch of time are more tokens spent than the burst and what the rate gives for it."""
        bucket, now, spent = TokenBucket(rate=rate, burst=burst), 0.0, 0
        for step in steps:
            now += step
            spent += bucket.take(now)
        self.assertLessEqual(spent, burst + now * rate + 1e-6)

    @given(rate=st.floats(0.01, 1000), burst=st.integers(1, 5), start=st.floats(0, 2e9))
    def test_wait_is_enough(self, rate: float, burst: int, start: float) -> None:
        """Whoever waits as long as told is served, also where the clock's precision ends."""
        bucket, now = TokenBucket(rate=rate, burst=burst), start
        for _ in range(burst * 3):
            if not bucket.take(now):
                for _ in range(3):
                    now += bucket.wait_seconds(now)
                    if bucket.wait_seconds(now) == 0 or bucket.take(now):
                        break
        self.assertLessEqual(now - start, 3 * burst / rate + 1)


class SlidingWindowsTests(SynchronousTestCase):
    """So many within any stretch of time, for each of many (decisions 4.1)."""

    def setUp(self) -> None:
        self.windows = SlidingWindows(60)

    def test_slides(self) -> None:
        """One is free again exactly when the one before it is as old as the window."""
        taken = [self.windows.take(1, now, 2) for now in (0, 30, 59.9, 60, 60, 89.9, 90)]
        self.assertEqual(taken, [True, True, False, True, False, False, True])

    def test_each_of_many(self) -> None:
        """What one does is nothing to another."""
        self.assertEqual([self.windows.take(who, 0, 1) for who in (1, 2, 1, 2, 3)], [True, True, False, False, True])

    def test_give_back(self) -> None:
        """What came to nothing is free again, once; what was never taken changes nothing."""
        for now in (0, 1):
            self.windows.take(1, now, 2)
        for _ in range(2):
            self.windows.give_back(1, 1)
        self.windows.give_back(2, 1)
        self.assertEqual([self.windows.take(1, 2, 2) for _ in range(2)], [True, False])
        self.windows.give_back(1, 2)
        self.windows.give_back(1, 0)
        self.assertEqual(len(self.windows), 0)

    def test_unlimited(self) -> None:
        """A limit of 0 allows anything and remembers nothing."""
        self.assertTrue(all(self.windows.take(1, 0, 0) for _ in range(1000)))
        self.assertEqual(len(self.windows), 0)

    def test_limit_that_changes(self) -> None:
        """Another limit counts at once, also one that is below what was done."""
        self.assertEqual(
            [self.windows.take(1, 0, limit) for limit in (3, 3, 1, 2, 3)], [True, True, False, False, True]
        )

    def test_forgets(self) -> None:
        """Memory is bounded by what happens within a window or two, however many come and go."""
        for who in range(1000):
            self.windows.take(who, who, 5)
            self.assertLessEqual(len(self.windows), 61)
        self.windows.take(1, 5000, 5)
        self.windows.take(2, 5000, 5)
        for _ in range(40):
            self.windows.take(1, 5000, 100)
        self.assertEqual(len(self.windows), 2)

    def test_clock_jumps_back(self) -> None:
        """A clock that is set back locks nobody out."""
        self.assertTrue(self.windows.take(1, 1e6, 1))
        self.assertTrue(self.windows.take(1, 0, 1))
        self.assertFalse(self.windows.take(1, 1, 1))
