"""Latencies in bounded memory: percentiles are right within 1 %, maximum and mean are exact."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

_WIDTH: Final = math.log(1.01)
_DIGITS: Final = 8
"""So many binary digits of the least latency of a batch are kept: 0.4 % to either side."""
_FOLD_AT: Final = 4096
"""So many distinct values may wait to be sorted into buckets; logarithms are for each of them, not for each latency."""


class Latencies:
    """Counts latencies, whole microseconds; what is below 1 counts as 0.

    Percentiles are right within 1 %, the maximum and the mean are exact. Memory is bounded by the number of
    buckets, 1 % wide each: about 2,200 up to an hour.
    """

    __slots__ = ("_buckets", "_fresh", "_maximum_us", "_total_us")

    def __init__(self) -> None:
        self._fresh: Counter[int] = Counter()
        self._buckets: Counter[int] = Counter()
        self._maximum_us = 0
        self._total_us = 0

    def add(self, latency_us: int) -> None:
        """Count one."""
        self._total_us += latency_us
        self._maximum_us = max(self._maximum_us, latency_us)
        self._fresh[latency_us] += 1
        if len(self._fresh) > _FOLD_AT:
            self._fold()

    def add_since(self, now_us: int, moments_us: Sequence[int]) -> None:
        """Count the times from some moments, at least one, until now. This is the hot path of all deliveries."""
        least = now_us - max(moments_us)
        self._total_us += now_us * len(moments_us) - sum(moments_us)
        self._maximum_us = max(self._maximum_us, now_us - min(moments_us))
        dropped = max(0, least.bit_length() - _DIGITS)
        if dropped:
            half = 1 << dropped >> 1
            coarse = Counter([(now_us - each) >> dropped for each in moments_us])
            for latency, times in coarse.items():
                self._fresh[(latency << dropped) + half] += times
        else:
            self._fresh.update([now_us - each for each in moments_us])
        if len(self._fresh) > _FOLD_AT:
            self._fold()

    def merge(self, other: Latencies) -> None:
        """Count all that ``other`` has counted."""
        other._fold()
        self._buckets.update(other._buckets)
        self._maximum_us = max(self._maximum_us, other._maximum_us)
        self._total_us += other._total_us

    @property
    def count(self) -> int:
        """How many there are."""
        return self._buckets.total() + self._fresh.total()

    @property
    def maximum_ms(self) -> float | None:
        """The longest, in milliseconds; None without any."""
        return self._maximum_us / 1000 if self.count else None

    @property
    def mean_ms(self) -> float | None:
        """The mean, in milliseconds; None without any."""
        return self._total_us / 1000 / self.count if self.count else None

    def percentile_ms(self, percent: float) -> float | None:
        """The least latency, in milliseconds, that so many percent do not exceed; None without any."""
        self._fold()
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_middle_us(bucket), self._maximum_us) / 1000
        return None

    def __getstate__(self) -> tuple[dict[int, int], int, int]:
        """What goes from process to process: little, whatever was counted."""
        self._fold()
        return dict(self._buckets), self._maximum_us, self._total_us

    def __setstate__(self, state: tuple[dict[int, int], int, int]) -> None:
        buckets, self._maximum_us, self._total_us = state
        self._buckets, self._fresh = Counter(buckets), Counter()

    def _fold(self) -> None:
        for latency_us, times in self._fresh.items():
            self._buckets[_bucket(latency_us)] += times
        self._fresh.clear()


def _bucket(latency_us: int) -> int:
    """0 holds everything below 1 µs, and bucket n what lies between 1.01^(n-1) and 1.01^n."""
    return int(math.log(latency_us) / _WIDTH) + 1 if latency_us > 0 else 0


def _middle_us(bucket: int) -> float:
    return math.exp(_WIDTH * (bucket - 0.5)) if bucket else 0.0
