"""Runs twistd in this process and measures how long its reactor was held: ``python watched.py REPORT ARGUMENT ...``

The arguments are twistd's. Without any, the same reactor runs with nothing but the measurement in it, until it is
terminated: what such a process sees is the machine's doing, not the server's.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

INTERVAL_SECONDS = 0.005
WORST_KEPT = 50


class Watchdog:
    """Asks to be called every 5 ms and keeps the ``WORST_KEPT`` calls that came latest.

    For each it notes when the call came (seconds of the monotonic clock, which all processes share), how late
    it was, for how much of the time since the call before the thread used the processor, and for how much of
    it the kernel let the thread wait for one although it was ready to run.
    """

    def __init__(self, clock: Any, report: Path) -> None:
        self._clock = clock
        self._report = report
        self._worst: list[tuple[float, float, float, float]] = []
        self._calls = 0
        self._expected = self._used = self._waited = 0.0
        self._schedule = -1

    def start(self) -> None:
        """Begin to measure; call it in the reactor's thread."""
        with suppress(OSError):  # not on every kernel; then nothing counts as waited for
            self._schedule = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._clock.addSystemEventTrigger("after", "shutdown", self.write)
        self._next()

    def write(self) -> None:
        """Write the report, one JSON object for each late call, the latest first."""
        names = ("late_seconds", "at", "used_seconds", "waited_seconds")
        lines = [json.dumps(dict(zip(names, one, strict=True))) for one in sorted(self._worst, reverse=True)]
        self._report.write_text("".join(f"{line}\n" for line in lines))

    def _next(self) -> None:
        self._used = time.thread_time()
        self._waited = self._waited_seconds()
        self._expected = time.monotonic() + INTERVAL_SECONDS
        self._clock.callLater(INTERVAL_SECONDS, self._called)

    def _called(self) -> None:
        now = time.monotonic()
        used = time.thread_time() - self._used
        waited = self._waited_seconds() - self._waited
        late = (now - self._expected, now, used, waited)
        (heapq.heappush if len(self._worst) < WORST_KEPT else heapq.heappushpop)(self._worst, late)
        self._next()

    def _waited_seconds(self) -> float:
        if self._schedule < 0:
            return 0.0
        return int(os.pread(self._schedule, 200, 0).split()[1]) / 1e9


def main() -> None:
    """Start the watchdog with the reactor, then whatever the arguments ask for."""
    from twisted.internet import reactor as the_reactor
    from twisted.scripts import twistd

    reactor: Any = the_reactor
    watchdog = Watchdog(reactor, Path(sys.argv.pop(1)))
    reactor.callWhenRunning(watchdog.start)
    if sys.argv[1:]:
        twistd.run()
    else:
        reactor.callWhenRunning(print, "Server started on port 0", flush=True)
        reactor.run()


if __name__ == "__main__":
    main()
