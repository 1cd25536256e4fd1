"""Whether a figure grows, for figures that jump: Theil and Sen's slope, with an interval for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

import attrs

NORMAL_95: Final = 1.96


@attrs.frozen
class Slope:
    """A slope, and between what it is with a probability of 95 % if the points are independent."""

    value: float
    low: float
    high: float


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """The median of the slopes of all pairs of points (x, y), of which there are two or more with different x.

    A fifth of the points may be anywhere, and it hardly changes. The bounds are Sen's, from the variance of Kendall's
    statistic without ties.
    """
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(sorted(points), 2) if x2 != x1)
    number = len(points)
    spread = NORMAL_95 * math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    lowest = max(0, int((len(slopes) - spread) / 2))
    highest = min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))
    return Slope(median(slopes), slopes[lowest], slopes[highest])


def thinned(points: Sequence[tuple[float, float]], number: int) -> list[tuple[float, float]]:
    """At most so many points, each the median of as many that follow each other: those are not independent."""
    size = max(1, len(points) // number)
    groups = [points[at : at + size] for at in range(0, len(points) - size + 1, size)]
    return [(median(x for x, _ in group), median(y for _, y in group)) for group in groups]
