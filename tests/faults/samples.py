"""Looks at the soaked server every second, and at rest, and remembers what was seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from tests.faults.soaked import SoakedServer

SAMPLE_SECONDS: Final = 1.0
SCRAPE_EVERY: Final = 5
"""So many samples share a scrape."""
QUIET_SECONDS: Final = 1.0
LOOKS: Final = 10
LOOK_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 30.0


@attrs.frozen
class Sample:
    """One second."""

    at: float  # seconds since the beginning
    resident_kb: float
    descriptors: int
    threads: int
    database_bytes: int
    log_bytes: int
    lag_seconds: float  # the reactor's latest, as scraped
    sessions: int


@attrs.frozen
class Rest:
    """The server when nobody is there, and what it had done by then."""

    at: float
    resident_kb: float
    descriptors: int
    threads: int
    database_bytes: int
    delayed_calls: int
    sessions_created: int
    posts: int
    census: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def units(self) -> int:
        """Connections and posts: whatever may have left something behind."""
        return self.sessions_created + self.posts


class Samples:
    """Takes a sample every second, in a thread, until it is closed; *show* is given each."""

    def __init__(self, soaked: SoakedServer, show: Callable[[Sample], None]) -> None:
        self.samples: list[Sample] = []
        self.rests: list[Rest] = []
        self.trouble = ""
        self._soaked = soaked
        self._show = show
        self._began = time.monotonic()
        self._is_over = threading.Event()
        self._metrics = soaked.metrics()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def close(self) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    def rest(self, posts: int) -> Rest:
        """Wait until nobody is there, and look closely."""
        soaked = self._soaked
        self._until_none("superchat_active_sessions")
        time.sleep(QUIET_SECONDS)
        # What removes the rows of the load before has something under way most of the time, but not always.
        metrics = self._until_none("twisted_pending_deferreds")
        census = soaked.census()
        rest = Rest(
            at=self.seconds,
            resident_kb=soaked.resident_kb(),
            descriptors=_least(soaked.descriptors, self.rests[0].descriptors if self.rests else 0),
            threads=_least(soaked.threads, self.rests[0].threads if self.rests else 0),
            database_bytes=soaked.database_bytes(),
            delayed_calls=int(metrics["twisted_delayed_calls"]),
            sessions_created=int(metrics["superchat_sessions_created_total"]),
            posts=posts,
            census=census,
        )
        self.rests.append(rest)
        return rest

    def _until_none(self, name: str) -> Mapping[str, float]:
        """Wait until a figure is 0; the metrics of that moment. Fails if it never is."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (metrics := self._soaked.metrics())[name]:
            assert time.monotonic() < deadline, f"nobody is there, and {name} is {metrics[name]:g}"
            time.sleep(0.05)
        return metrics

    def _work(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            try:
                if len(self.samples) % SCRAPE_EVERY == 0:
                    self._metrics = self._soaked.metrics()
                self.samples.append(self._sample())
                self._show(self.samples[-1])
            except Exception as error:  # noqa: BLE001 (a server that ends is told of elsewhere, too)
                self.trouble = f"not sampled: {error!r}"
                return

    def _sample(self) -> Sample:
        soaked, metrics = self._soaked, self._metrics
        return Sample(
            at=self.seconds,
            resident_kb=soaked.resident_kb(),
            descriptors=soaked.descriptors(),
            threads=soaked.threads(),
            database_bytes=soaked.database_bytes(),
            log_bytes=soaked.log_bytes(),
            lag_seconds=metrics["twisted_reactor_lag_seconds"],
            sessions=int(metrics["superchat_active_sessions"]),
        )


def _least(look: Callable[[], int], expected: int) -> int:
    """The least of some looks, unless it is as *expected* before: a thread that measures, or a page that is asked for,
    comes and goes."""
    seen = look()
    for _ in range(LOOKS):
        if seen <= expected:
            break
        time.sleep(LOOK_SECONDS)
        seen = min(seen, look())
    return seen
