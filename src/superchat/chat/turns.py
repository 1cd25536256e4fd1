"""Lets those who want the same thing have it one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from twisted.internet.defer import DeferredLock


class Turns:
    """A lock for every thing that somebody wants at the moment."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, DeferredLock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def of(self, thing: Hashable) -> AsyncIterator[None]:
        """Wait for one's turn, and end it with the block."""
        lock = self._locks.setdefault(thing, DeferredLock())
        async with lock:
            try:
                yield
            finally:
                if not lock.waiting:
                    del self._locks[thing]
