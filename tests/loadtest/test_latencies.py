"""Latencies are counted in little memory, and percentiles are right within 1 %."""

from __future__ import annotations

import math
import pickle
import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.latencies import Latencies

HOUR_US = 3_600_000_000


def counted(*latencies_us: int) -> Latencies:
    """Latencies counted one by one."""
    latencies = Latencies()
    for each in latencies_us:
        latencies.add(each)
    return latencies


class LatenciesTests(SynchronousTestCase):
    """`Latencies` against the plain list."""

    @given(
        st.lists(st.integers(1, HOUR_US), min_size=1, max_size=60),
        st.sampled_from([1.0, 50.0, 90.0, 99.0, 99.9, 100.0]),
    )
    def test_percentiles(self, latencies_us: list[int], percent: float) -> None:
        """A percentile is the value of that rank, within 1 %, and never above the maximum."""
        latencies = counted(*latencies_us)
        rank = math.ceil(len(latencies_us) * percent / 100)
        exact_ms = sorted(latencies_us)[rank - 1] / 1000
        found = latencies.percentile_ms(percent)
        assert found is not None
        self.assertLessEqual(abs(found - exact_ms), 0.01 * exact_ms)
        self.assertLessEqual(found, max(latencies_us) / 1000)

    @given(
        st.lists(st.integers(0, HOUR_US), min_size=1, max_size=60),
        st.sampled_from([1.0, 50.0, 90.0, 99.0, 99.9]),
    )
    def test_batches(self, ages_us: list[int], percent: float) -> None:
        """A batch counts as its latencies would one by one: count, mean and maximum exactly, percentiles within 1 %."""
        batch, single = Latencies(), counted(*ages_us)
        batch.add_since(2 * HOUR_US, [2 * HOUR_US - each for each in ages_us])
        self.assertEqual(batch.count, single.count)
        self.assertEqual(batch.maximum_ms, single.maximum_ms)
        self.assertEqual(batch.mean_ms, single.mean_ms)
        rank = math.ceil(len(ages_us) * percent / 100)
        exact_ms = sorted(ages_us)[rank - 1] / 1000
        found = batch.percentile_ms(percent)
        assert found is not None
        self.assertLessEqual(abs(found - exact_ms), 0.01 * exact_ms)

    def test_nothing(self) -> None:
        """Without latencies there are no figures."""
        latencies = Latencies()
        self.assertEqual((latencies.count, latencies.maximum_ms, latencies.mean_ms), (0, None, None))
        self.assertIsNone(latencies.percentile_ms(99))

    def test_below_a_microsecond(self) -> None:
        """No time at all is a latency of 0, not an error."""
        latencies = counted(0, 0)
        self.assertEqual((latencies.percentile_ms(50), latencies.maximum_ms), (0.0, 0.0))

    def test_bounded_memory(self) -> None:
        """A million different latencies take no more room than some thousand."""
        latencies = Latencies()
        randomly = random.Random(5)
        for _ in range(100):
            now = 2 * HOUR_US
            latencies.add_since(now, [now - int(math.exp(randomly.uniform(0, 22))) for _ in range(1000)])
        self.assertEqual(latencies.count, 100_000)
        self.assertLess(len(pickle.dumps(latencies)), 100_000)

    def test_merge(self) -> None:
        """What two processes counted is as if one had counted it all."""
        one, other = counted(*range(1, 5000)), counted(*range(5000, 10_000))
        one.merge(pickle.loads(pickle.dumps(other)))
        everything = counted(*range(1, 10_000))
        for percent in (1, 50, 99, 99.9, 100):
            self.assertEqual(one.percentile_ms(percent), everything.percentile_ms(percent))
        self.assertEqual((one.count, one.mean_ms, one.maximum_ms), (9999, everything.mean_ms, 9.999))
