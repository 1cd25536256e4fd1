"""Token buckets; pure arithmetic, the time is an argument."""

from __future__ import annotations

from typing import Final

import attrs

_WHOLE: Final = 1 - 1e-9
"""A token that only rounding keeps from being whole; waiting for the rest of it would take no time at all."""


@attrs.define
class TokenBucket:
    """Allows *burst* events at once and *rate* per second on average (decisions 1.9, 4.10).

    A rate of 0 means unlimited. Times are seconds of any clock; one that jumps backwards only delays the refill.
    """

    rate: float
    burst: float
    _tokens: float = attrs.field(init=False)
    _updated: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> bool:
        """Spend one token at time *now*; False, and nothing spent, when there is none."""
        if self.rate <= 0:
            return True
        self._refill(now)
        if self._tokens < _WHOLE:
            return False
        self._tokens -= 1
        return True

    def wait_seconds(self, now: float) -> float:
        """Seconds from *now* until `take` would succeed; 0 when it would at once."""
        if self.rate <= 0:
            return 0.0
        self._refill(now)
        return max(0.0, (1 - self._tokens) / self.rate)

    def full(self, now: float) -> bool:
        """Whether nothing was spent lately, so that an idle bucket may be forgotten."""
        if self.rate <= 0:
            return True
        self._refill(now)
        return self._tokens >= self.burst

    def _refill(self, now: float) -> None:
        updated = self._updated
        self._updated = now
        if updated is not None and now > updated:
            self._tokens = min(self.burst, self._tokens + (now - updated) * self.rate)
