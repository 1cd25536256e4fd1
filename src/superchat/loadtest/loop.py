"""The event loop of one process of load: sockets, and calls at a time that is kept to the microsecond."""

from __future__ import annotations

import heapq
import select
import selectors
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE
LONGEST_WAIT_US: Final = 1_000_000

Ready = Callable[[int], None]


def now_us() -> int:
    """Microseconds of the monotonic clock, which all processes of a machine share."""
    return time.monotonic_ns() // 1000


class Loop:
    """Calls back what is ready, then what is due."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._running = True
        # Its own descriptor can be waited for with select(), which takes microseconds where epoll takes
        # milliseconds: a post would be up to one too late.
        self._precise = self._selector.fileno() if hasattr(self._selector, "fileno") else -1

    def watch(self, file: Any, events: int, ready: Ready) -> None:
        """Call ``ready`` with the events, of ``READ`` and ``WRITE``, whenever there are any; may be called again."""
        if file in self._selector.get_map():
            self._selector.modify(file, events, ready)
        else:
            self._selector.register(file, events, ready)

    def forget(self, file: Any) -> None:
        """Undo ``watch``."""
        if file in self._selector.get_map():
            self._selector.unregister(file)

    def at(self, due_us: int, call: Callable[[], None]) -> None:
        """Call once, at that time or as soon after it as possible."""
        heapq.heappush(self._timers, (due_us, next(self._order), call))

    def stop(self) -> None:
        """Let ``run`` return after this turn."""
        self._running = False

    def run(self) -> None:
        """Work until stopped."""
        while self._running:
            self.turn()
        self._selector.close()

    def turn(self) -> None:
        """Wait for something and do it."""
        wait_us = LONGEST_WAIT_US
        if self._timers:
            wait_us = max(0, min(wait_us, self._timers[0][0] - now_us()))
        for key, events in self._select(wait_us):
            key.data(events)
        now = now_us()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _select(self, wait_us: int) -> list[tuple[selectors.SelectorKey, int]]:
        if wait_us and 0 <= self._precise < 1024:
            select.select([self._precise], [], [], wait_us / 1_000_000)
            wait_us = 0
        return self._selector.select(wait_us / 1_000_000)
