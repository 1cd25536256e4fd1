"""Sets of sequence numbers as ranges: (first, behind the last), ascending, none touching another."""

from __future__ import annotations

from typing import TypeAlias

Ranges: TypeAlias = "tuple[tuple[int, int], ...]"


def contains(ranges: Ranges, number: int) -> bool:
    """Whether a number is in there."""
    return any(first <= number < end for first, end in ranges)


def without(ranges: Ranges, others: Ranges) -> Ranges:
    """What is in ``ranges`` and not in ``others``."""
    left: list[tuple[int, int]] = []
    at = 0
    for first, end in ranges:
        while at < len(others) and others[at][1] <= first:
            at += 1
        following = at
        while following < len(others) and others[following][0] < end:
            if first < others[following][0]:
                left.append((first, others[following][0]))
            first = max(first, others[following][1])
            following += 1
        if first < end:
            left.append((first, end))
    return tuple(left)


def size(ranges: Ranges) -> int:
    """How many numbers are in there."""
    return sum(end - first for first, end in ranges)
