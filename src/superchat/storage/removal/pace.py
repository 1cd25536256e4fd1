"""How much one slice of work may be, so that it never holds the writer for long."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Final

import attrs

TARGET_SECONDS: Final = 0.0025
"""What the work of a slice should take. Its commit takes about as long again: together that is well below the 20 ms
that whoever waits for a post may have to wait for a slice (decisions 4.11; benchmarks/retention.py)."""


@attrs.define
class Pace:
    """The size of the next slice, by how long the work of the last one took.

    It shrinks at once by as much as that was too long, and at most doubles. A slice that had little to do says nothing
    about larger ones.
    """

    size: int
    least: int
    most: int

    def time(self, work: Callable[[], int]) -> int:
        """Do *work*, which returns how much it did, and take its time."""
        started = perf_counter()
        done = work()
        self.took(done, perf_counter() - started)
        return done

    def took(self, done: int, seconds: float) -> None:
        """A slice has done so much, in this time; 0 when nobody knows how much that was."""
        if not done:
            return
        fair = int(done * TARGET_SECONDS / max(seconds, 1e-6))
        if seconds > TARGET_SECONDS:
            self.size = max(self.least, min(fair, self.size))
        elif 2 * done >= self.size:
            self.size = min(self.most, max(fair, self.size), 2 * self.size)
