"""A profile as values, before it becomes bytes of any format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import attrs

MAX_STACKS: Final = 10_000
"""How many distinct stacks one profile may hold; the rest is counted under `OTHERS`."""


@attrs.frozen
class Frame:
    """A place in the code. Line 0 means that only the function is known."""

    function: str  # with its module: superchat.net.outbox.Outbox.flush
    file: str = ""
    line: int = 0
    first_line: int = 0  # of the function


Stack = tuple[Frame, ...]
"""The innermost frame comes first, as in pprof."""

Labels = tuple[tuple[str, str], ...]
"""Names and values that tell apart samples with the same stack, such as the name of the thread."""

OTHERS: Final[Stack] = (Frame("(others: too many different stacks)"),)


@attrs.frozen
class Measure:
    """What one of the values of a sample counts."""

    name: str
    unit: str


@attrs.frozen
class Sample:
    """One stack and what was measured there: a value for each measure of the profile."""

    stack: Stack
    values: tuple[int, ...]
    labels: Labels = ()


@attrs.frozen
class Profile:
    """What was measured, in the terms of the pprof format; the last measure is the one that viewers show first."""

    measures: tuple[Measure, ...]
    samples: tuple[Sample, ...]
    taken_at: float  # Unix seconds; where it took a while, of the beginning
    duration_seconds: float = 0.0  # the time that it covers
    period: int = 1  # in units of the last measure
    comments: tuple[str, ...] = ()

    @property
    def shown(self) -> Measure:
        """The measure that text, folded stacks and flame graphs show."""
        return self.measures[-1]

    @property
    def total(self) -> int:
        """Sum of the shown measure."""
        return sum(sample.values[-1] for sample in self.samples)

    def heaviest_first(self) -> list[Sample]:
        """The samples in the order in which a reader wants them."""
        return sorted(self.samples, key=lambda it: (-abs(it.values[-1]), [frame.function for frame in it.stack]))


def summed(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Join the samples with the same stack and labels, keep the `MAX_STACKS` heaviest, and count the rest as one."""
    sums: defaultdict[tuple[Stack, Labels], tuple[int, ...]] = defaultdict(tuple)
    for sample in samples:
        key = sample.stack, sample.labels
        sums[key] = _added(sums[key], sample.values)
    joined = [Sample(stack, values, labels) for (stack, labels), values in sums.items() if any(values)]
    if len(joined) <= MAX_STACKS:
        return tuple(joined)
    joined.sort(key=lambda sample: -abs(sample.values[-1]))
    rest: tuple[int, ...] = ()
    for sample in joined[MAX_STACKS:]:
        rest = _added(rest, sample.values)
    return (*joined[:MAX_STACKS], Sample(OTHERS, rest))


def difference(later: Profile, earlier: Profile) -> Profile:
    """What was added between two profiles of the same measures; negative where something went away."""
    taken_away = [attrs.evolve(sample, values=tuple(-value for value in sample.values)) for sample in earlier.samples]
    return attrs.evolve(
        later,
        samples=summed((*later.samples, *taken_away)),
        duration_seconds=later.taken_at - earlier.taken_at,
    )


def _added(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True)) if one else other
