"""Ids that carry their time of birth and never go backwards."""

from __future__ import annotations

EPOCH_MS = 1_704_067_200_000  # 2024-01-01T00:00Z, as the reference counts
SEQUENCE_BITS = 22
MAX_ID = 2**63 - 1

_MAX_AGE_MS = MAX_ID >> SEQUENCE_BITS


class Snowflakes:
    """Positive 63-bit ids: milliseconds since ``EPOCH_MS`` in the high 41 bits, a sequence in the low 22.

    Every id is greater than all before it and than ``last``, also when the clock is set back, and when more
    than 2**22 ids are wanted in one millisecond (they then borrow from the next).
    """

    __slots__ = ("last",)

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def next(self, now_ms: int) -> int:
        """Return an id for ``now_ms``, Unix milliseconds.

        A time outside what 41 bits hold counts as the nearest one inside. Raises OverflowError when there is
        no greater id left, in the year 2093.
        """
        age_ms = min(max(now_ms - EPOCH_MS, 0), _MAX_AGE_MS)
        new = max(age_ms << SEQUENCE_BITS, self.last + 1)
        if new > MAX_ID:
            raise OverflowError("all 63-bit ids have been given out")
        self.last = new
        return new
