"""Samples what all threads compute, on the signal SIGPROF.

Why a signal, and not a thread that looks a hundred times per second: a thread can look only when it has the GIL, and
a reactor that is busy with short turns gives it up only in system calls. Such a thread sees nothing but `poll` and
`send`: with turns of 1 ms, of which 0.95 ms are computing, it saw the computing functions in none of 360 samples, and
the signal saw them in 86 %. The handler runs in the main thread between two bytecodes, wherever that is, and the timer
counts CPU time, so an idle process is never woken.

The sample of a thread weighs the CPU time that the thread's own clock counted since its last sample.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Final

import attrs

from superchat.clocks import wall_seconds
from superchat.ops.profiling.profile import OTHERS, Frame, Labels, Measure, Profile, Sample, Stack, summed
from superchat.ops.profiling.stacks import CUT, MAX_DEPTH, place

PERIOD_SECONDS: Final = 0.01
"""CPU time between two samples: 100 samples per second and busy core."""

MAX_RAW_STACKS: Final = 20_000
"""Distinct stacks that are kept while sampling, a few kB each at worst."""

MEASURES: Final = (Measure("samples", "count"), Measure("cpu", "nanoseconds"))

_NANOSECONDS: Final = 1_000_000_000

_WAITING: Final = {
    ("twisted.internet.epollreactor", "EPollReactor.doPoll"),
    ("twisted.internet.pollreactor", "PollReactor.doPoll"),
    ("twisted.internet.selectreactor", "SelectReactor.doSelect"),
    ("twisted._threads._threadworker", "ThreadWorker.__init__.<locals>.work"),
    ("concurrent.futures.thread", "_worker"),
    ("queue", "Queue.get"),
    ("selectors", "EpollSelector.select"),
    ("threading", "Condition.wait"),
    ("threading", "Thread._wait_for_tstate_lock"),
    ("threading", "Thread.join"),
}
"""Functions that do nothing but wait. A thread is seen in one only because another thread's work made the signal."""

_RawStack = tuple[int, ...]
"""The thread, then the id of a code object and a line for each frame: hashing code objects takes too long."""


class SamplerUnavailable(Exception):
    """SIGPROF cannot be had; the text says why."""


@attrs.define
class _Weight:
    samples: int = 0
    nanoseconds: int = 0


class CpuSampler:
    """Samples from `start` to `stop`, both called in the main thread; one at a time in a process."""

    def __init__(self) -> None:
        self._main = threading.main_thread().ident or 0
        self._weights: dict[_RawStack, _Weight] = {}
        self._lost = _Weight()
        # Holding the code objects keeps their ids theirs.
        self._codes: dict[int, tuple[CodeType, object]] = {}
        self._clocks: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._sampling = False
        self._taken_at = 0.0
        self._started = self._ended = 0.0

    def start(self) -> None:
        """Begin. Raises `SamplerUnavailable` outside the main thread, and if something else uses SIGPROF."""
        if signal.getsignal(signal.SIGPROF) not in (signal.SIG_DFL, signal.SIG_IGN):
            raise SamplerUnavailable("something else in this process uses SIGPROF")
        self._taken_at, self._started = wall_seconds(), time.monotonic()
        for thread in threading.enumerate():
            self._clocks[thread.native_id or 0] = _cpu_nanoseconds(thread.native_id) or 0
        try:
            signal.signal(signal.SIGPROF, self._on_signal)
        except ValueError:
            raise SamplerUnavailable("the reactor does not run in the main thread") from None
        # System calls of other threads and of C libraries go on as if nothing had been.
        signal.siginterrupt(signal.SIGPROF, False)
        self._clocks[threading.get_native_id()] = time.thread_time_ns()
        signal.setitimer(signal.ITIMER_PROF, PERIOD_SECONDS, PERIOD_SECONDS)

    def stop(self) -> None:
        """End. What was sampled stays, and `profile` may be called in any thread."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        # Not SIG_DFL: a signal that is still under way would end the process.
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        self._ended = time.monotonic()

    def profile(self) -> Profile:
        """What was sampled. Takes a while: names are made only now."""
        samples = [*self._without_waiting(), Sample(OTHERS, (self._lost.samples, self._lost.nanoseconds))]
        return Profile(
            MEASURES,
            summed(samples),
            taken_at=self._taken_at,
            duration_seconds=self._ended - self._started,
            period=int(PERIOD_SECONDS * _NANOSECONDS),
        )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # An exception would come out of whatever the main thread is doing. There is no lock here, for the main
        # thread may hold any; and a signal during this method is not worth a sample.
        if self._sampling:
            return
        self._sampling = True
        try:
            self._sample_all(frame)
        except Exception:  # noqa: BLE001
            self._lost.samples += 1
        finally:
            self._sampling = False

    def _sample_all(self, interrupted: FrameType | None) -> None:
        frames = sys._current_frames()
        for thread in threading.enumerate():
            ident, native = thread.ident or 0, thread.native_id
            used = self._used(ident, native)
            frame = interrupted if ident == self._main else frames.get(ident)
            if used > 0 and frame is not None:
                self._names[ident] = thread.name
                self._count(ident, frame, used)
        # The cost of this method is nobody's.
        self._clocks[threading.get_native_id()] = time.thread_time_ns()

    def _used(self, ident: int, native: int | None) -> int:
        """CPU time since the thread's last sample; all of it, if the thread is new or has an old one's id."""
        now = time.thread_time_ns() if ident == self._main else _cpu_nanoseconds(native)
        if native is None or now is None:
            return 0
        before = self._clocks.get(native, 0)
        self._clocks[native] = now
        return now - before if now >= before else now

    def _count(self, ident: int, frame: FrameType, nanoseconds: int) -> None:
        stack = self._raw(ident, frame)
        weight = self._weights.get(stack)
        if weight is None:
            room = len(self._weights) < MAX_RAW_STACKS
            weight = self._weights.setdefault(stack, _Weight()) if room else self._lost
        weight.samples += 1
        weight.nanoseconds += nanoseconds

    def _raw(self, ident: int, frame: FrameType) -> _RawStack:
        stack, depth, codes = [ident], 0, self._codes
        outer: FrameType | None = frame
        while outer is not None and depth < MAX_DEPTH:
            code = outer.f_code
            if id(code) not in codes:
                codes[id(code)] = code, outer.f_globals.get("__name__")
            stack += id(code), outer.f_lineno or code.co_firstlineno
            outer = outer.f_back
            depth += 1
        return tuple(stack)

    def _without_waiting(self) -> Iterator[Sample]:
        """The samples of each thread, those where it waited distributed over those where it computed.

        A thread that waits when the signal comes has computed before, unseen. So its time is spread over what was
        seen of it, and stays where it is only if nothing was.
        """
        threads: dict[int, list[tuple[_RawStack, _Weight]]] = {}
        for stack, weight in self._weights.items():
            threads.setdefault(stack[0], []).append((stack, weight))
        for ident, seen in threads.items():
            labels = (("thread", self._names[ident]),)
            computing = [(stack, weight) for stack, weight in seen if not self._is_waiting(stack)]
            yield from self._scaled(computing or seen, sum(weight.nanoseconds for _, weight in seen), labels)

    def _scaled(self, seen: list[tuple[_RawStack, _Weight]], total: int, labels: Labels) -> Iterator[Sample]:
        counted = sum(weight.nanoseconds for _, weight in seen)
        for stack, weight in seen:
            yield Sample(self._named(stack), (weight.samples, weight.nanoseconds * total // counted), labels)

    def _is_waiting(self, stack: _RawStack) -> bool:
        code, module = self._codes[stack[1]]
        return (module, code.co_qualname) in _WAITING

    def _named(self, raw: _RawStack) -> Stack:
        frames: list[Frame] = []
        for code_id, line in zip(raw[1::2], raw[2::2], strict=True):
            code, module = self._codes[code_id]
            frames.append(place(code, module, line))
        return (*frames, CUT) if len(frames) == MAX_DEPTH else tuple(frames)


def _cpu_nanoseconds(native_id: int | None) -> int | None:
    """CPU time of a thread of this process; None where that is not to be had.

    On Linux the number of a thread's clock follows from the thread's, as in the kernel's posix-timers.h. A clock of
    a thread that is gone is an error here; to ask pthread_getcpuclockid for it would be undefined behaviour.
    """
    if native_id is None or sys.platform != "linux":
        return None
    per_thread, scheduler_clock = 4, 2
    try:
        return time.clock_gettime_ns(~native_id << 3 | per_thread | scheduler_clock)
    except OSError:
        return None
