"""The metrics of the process: memory, garbage collection, threads and the reactor.

The names `go_*` are those of the monitoring guide, so that its queries, panels and alerts answer; each says in its
help what it shows here.
"""

from __future__ import annotations

import gc
import platform
import sys
from collections.abc import Iterator
from typing import Any, Final, Protocol

import attrs

import twisted
from superchat import __version__
from superchat.chat.counters import Counters
from superchat.ops.host import Usage, started_at
from superchat.ops.measurements import Measurements
from superchat.ops.series.families import Family, constant, counter, counters, gauge
from superchat.storage.interface import IStorage, Statistics

_PROCESS_START: Final = started_at()


class ReactorLag(Protocol):
    """What a watch over the reactor has seen."""

    @property
    def last_lag_seconds(self) -> float:
        """How late the latest call came."""

    @property
    def max_lag_seconds(self) -> float:
        """How late the latest ever came."""

    @property
    def stalls(self) -> int:
        """How often the reactor was held too long."""

    @property
    def stalled_seconds(self) -> float:
        """For how long it was held at those times."""


@attrs.frozen
class Runtime:
    """Where the figures come from."""

    reactor: Any  # IReactorTime, with getDelayedCalls
    lag: ReactorLag
    counters: Counters
    storage: IStorage
    measurements: Measurements

    def families(self) -> Iterator[Family]:
        """Everything about the process."""
        usage = Usage.now()
        statistics: Statistics = self.storage.statistics()
        waiting = self.counters.under_way + statistics.pending
        delayed = len(self.reactor.getDelayedCalls())
        yield from _process(usage, self.measurements.open_descriptors)
        yield from _python(usage)
        yield gauge(
            "twisted_pending_deferreds",
            "Results that are waited for: requests under way, and operations of the database.",
            waiting,
        )
        yield gauge("twisted_delayed_calls", "Calls that the reactor has to make later, timeouts say.", delayed)
        yield from _lag(self.lag)
        yield from _aliases(usage, waiting + delayed)
        yield constant(
            "superchat_build_info",
            "Versions of what runs.",
            version=__version__,
            python=platform.python_version(),
            twisted=twisted.__version__,
        )


def _process(usage: Usage, descriptors: int | None) -> Iterator[Family]:
    yield counter(
        "process_cpu_seconds_total", "CPU time used, in user and in kernel mode.", usage.cpu_seconds
    )
    yield gauge("process_resident_memory_bytes", "Memory that is in use and in RAM.", usage.resident_bytes)
    yield gauge("process_virtual_memory_bytes", "Address space in use.", usage.virtual_bytes)
    yield gauge("process_start_time_seconds", "When the process was started, in Unix time.", _PROCESS_START)
    yield gauge("process_max_fds", "How many descriptors may be open.", usage.max_descriptors)
    if descriptors is not None:
        yield gauge("process_open_fds", "How many descriptors were open, 15 seconds ago at most.", descriptors)


def _python(usage: Usage) -> Iterator[Family]:
    yield gauge(
        "python_heap_bytes",
        "Resident memory that no file backs: what was allocated, and what the allocators keep.",
        usage.heap_bytes,
    )
    yield gauge("python_allocated_blocks", "Blocks allocated by the interpreter.", sys.getallocatedblocks())
    yield gauge("python_threads", "Threads that are alive.", usage.threads)
    generations = {str(number): each for number, each in enumerate(gc.get_stats())}
    for name, key, text in (
        ("python_gc_collections_total", "collections", "Garbage collections."),
        ("python_gc_objects_collected_total", "collected", "Objects freed by garbage collection."),
        ("python_gc_objects_uncollectable_total", "uncollectable", "Garbage that could not be freed."),
    ):
        yield counters(name, text, "generation", {number: each[key] for number, each in generations.items()})


def _lag(lag: ReactorLag) -> Iterator[Family]:
    yield gauge(
        "twisted_reactor_lag_seconds", "How late the reactor was with its latest turn.", lag.last_lag_seconds
    )
    yield gauge(
        "twisted_reactor_max_lag_seconds", "The latest it has been since the start.", lag.max_lag_seconds
    )
    yield counter("twisted_reactor_stalls_total", "How often a turn of the reactor took too long.", lag.stalls)
    yield counter(
        "twisted_reactor_stalled_seconds_total", "Time that the reactor was held at those times.", lag.stalled_seconds
    )


def _aliases(usage: Usage, waiting: int) -> Iterator[Family]:
    yield gauge(
        "go_goroutines",
        "Alias for what goroutines would do: python_threads + twisted_pending_deferreds + twisted_delayed_calls.",
        usage.threads + waiting,
    )
    for name in ("go_memstats_alloc_bytes", "go_memstats_heap_inuse_bytes"):
        yield gauge(name, "Alias of python_heap_bytes; there is no Go runtime here.", usage.heap_bytes)
