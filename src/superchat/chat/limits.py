"""Token buckets and sliding windows; pure arithmetic, the time is an argument."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

import attrs

_WHOLE: Final = 1 - 1e-9
"""A token that only rounding keeps from being whole; waiting for the rest of it would take no time at all."""


@attrs.define(weakref_slot=False)
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


@attrs.define
class SlidingWindows:
    """Counts what each of many did within the last *seconds* (decisions 4.1).

    Who did nothing for that long is forgotten, so there are never more than were active in one window, each with as
    many times as the limits allowed it. Times are seconds of any clock; after one that jumps, what seems to lie in
    the future counts no more.
    """

    seconds: float
    _times: dict[int, deque[float]] = attrs.field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._times)

    def take(self, who: int, now: float, limit: int) -> bool:
        """Count one at time *now*; False, and nothing counted, when there are *limit* already. 0 is unlimited."""
        if limit <= 0:
            return True
        self._forget_idle(now)
        times = self._times.pop(who, deque())
        recent = deque(time for time in times if self._is_recent(time, now))
        is_allowed = len(recent) < limit
        if is_allowed:
            recent.append(now)
        self._times[who] = recent
        return is_allowed

    def give_back(self, who: int, time: float) -> None:
        """Undo a `take` at *time* that came to nothing."""
        times = self._times.get(who, deque())
        if time in times:
            times.remove(time)
            if not times:
                del self._times[who]

    def _is_recent(self, time: float, now: float) -> bool:
        return now - self.seconds < time <= now

    def _forget_idle(self, now: float) -> None:
        """Those who took last are last."""
        for who, times in tuple(islice(self._times.items(), 2)):
            if not any(self._is_recent(time, now) for time in times):
                del self._times[who]
