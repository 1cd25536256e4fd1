"""The slope that the soak goes by."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.trend import slope, thinned


class SlopeTests(SynchronousTestCase):
    """Slopes that are known."""

    def test_line(self) -> None:
        """Points on a line give its slope, exactly."""
        found = slope([(float(x), 3.0 + 2.0 * x) for x in range(20)])
        self.assertEqual((found.value, found.low, found.high), (2.0, 2.0, 2.0))

    def test_outliers(self) -> None:
        """Some points that are far off do not matter."""
        points = [(float(x), 2.0 * x) for x in range(50)]
        for x in (3, 20, 21, 48):
            points[x] = (float(x), 10_000.0)
        self.assertAlmostEqual(slope(points).value, 2.0, delta=0.1)

    def test_noise(self) -> None:
        """Noise without a slope is no growth, and a slope below noise is found: the interval has it, and not 0."""
        chance = random.Random(7)
        flat = [(float(x), chance.gauss(0, 30)) for x in range(60)]
        steep = [(x, y + 3.0 * x) for x, y in flat]
        self.assertTrue(slope(flat).low < 0 < slope(flat).high)
        self.assertTrue(0 < slope(steep).low < 3.0 < slope(steep).high)

    def test_thinned(self) -> None:
        """Medians of points that follow each other; what does not fill a group is left out."""
        points = [(0.0, 1.0), (1.0, 99.0), (2.0, 3.0), (3.0, 4.0), (4.0, 5.0), (5.0, 6.0), (6.0, 7.0)]
        self.assertEqual(thinned(points, 2), [(1.0, 3.0), (4.0, 5.0)])
        self.assertEqual(thinned(points, 100), points)
