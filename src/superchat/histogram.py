"""Distributions as plain integers: cheap enough for every broadcast and every commit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

import attrs


@attrs.frozen
class Distribution:
    """What a `Histogram` held at one moment."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]  # one for each bound, and one for what is above them all
    total: float  # the sum of all values

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts)

    def cumulative(self) -> list[int]:
        """For each bound how many values do not exceed it, and last how many there are in all."""
        return list(accumulate(self.counts))


class Histogram:
    """Counts values by the smallest of *bounds*, which ascend, that they do not exceed.

    One thread may observe while others take snapshots: a snapshot's counts are whole, its total may lack what is
    being observed at that moment.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def snapshot(self) -> Distribution:
        """What was counted so far."""
        return Distribution(self._bounds, tuple(self._counts), self._total)
