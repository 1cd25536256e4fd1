"""What two conditions, measured in turns, say about each other."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import fmean
from typing import Final

import attrs

RESAMPLES: Final = 4_000


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of *values*, of which there must be some, that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


@attrs.frozen
class Ratio:
    """An estimate, and the interval that it is in with a probability of 95 %."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(pairs: Sequence[tuple[float, float]], seed: int) -> Ratio:
    """By which factor the second of a pair is larger than the first, in the geometric mean over all pairs.

    The interval comes from drawing as many pairs, with repetition, again and again (bootstrap).
    """
    logarithms = [math.log(second / first) for first, second in pairs]
    dice = random.Random(seed)
    means = [fmean(dice.choices(logarithms, k=len(logarithms))) for _ in range(RESAMPLES)]
    estimate, low, high = fmean(logarithms), percentile(means, 2.5), percentile(means, 97.5)
    return Ratio(math.exp(estimate), math.exp(low), math.exp(high))
