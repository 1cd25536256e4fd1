"""How often somebody may try to prove who they are; pure arithmetic, the time is an argument."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from superchat.chat.limits import TokenBucket

_WINDOW_SECONDS: Final = 60.0
_MOST_KEYS: Final = 20_000


class Attempts:
    """Allows each key, an address or an account, *per_minute* attempts a minute and as many at once (decisions 2.6).

    0 means unlimited. Keys that made no attempt for a minute are forgotten, and of more than *most_keys* those whose
    last attempt is longest ago: what a crowd of strangers makes us remember is bounded.
    """

    def __init__(self, per_minute: int, most_keys: int = _MOST_KEYS) -> None:
        self.per_minute = per_minute
        self._most_keys = most_keys
        self._buckets: dict[Hashable, TokenBucket] = {}  # by their last attempt, oldest first
        self._last: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now: float) -> bool:
        """Count an attempt of *key* at time *now*, in seconds; False when it had too many."""
        if self.per_minute <= 0:
            return True
        self._forget(now)
        bucket = self._buckets.pop(key, None) or TokenBucket(self.per_minute / _WINDOW_SECONDS, self.per_minute)
        self._last.pop(key, None)
        self._buckets[key] = bucket
        self._last[key] = now
        return bucket.take(now)

    def _forget(self, now: float) -> None:
        """A bucket that was left alone for a minute is full, like a new one."""
        while self._last:
            key, last = next(iter(self._last.items()))
            if now - last < _WINDOW_SECONDS and len(self._last) < self._most_keys:
                return
            del self._last[key], self._buckets[key]
