"""Ranges behave as the sets of numbers that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest import ranges
from superchat.loadtest.ranges import Ranges

numbers = st.sets(st.integers(0, 40))


def made_of(chosen: set[int]) -> Ranges:
    """The ranges of some numbers."""
    made: list[tuple[int, int]] = []
    for number in sorted(chosen):
        if made and made[-1][1] == number:
            made[-1] = (made[-1][0], number + 1)
        else:
            made.append((number, number + 1))
    return tuple(made)


class RangesTests(SynchronousTestCase):
    """Each operation against Python's sets."""

    @given(numbers, numbers)
    def test_without(self, some: set[int], others: set[int]) -> None:
        """What is left after taking others away is the difference of the sets."""
        self.assertEqual(ranges.without(made_of(some), made_of(others)), made_of(some - others))

    @given(numbers, st.integers(0, 40))
    def test_contains(self, some: set[int], number: int) -> None:
        """A number is in the ranges exactly if it is in the set."""
        self.assertEqual(ranges.contains(made_of(some), number), number in some)

    @given(numbers)
    def test_size(self, some: set[int]) -> None:
        """The size is how many numbers there are."""
        self.assertEqual(ranges.size(made_of(some)), len(some))
