"""Memory, by what allocated it. tracemalloc slows the server down, so it runs only while somebody asks."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from superchat.clocks import wall_seconds
from superchat.ops.profiling.profile import OTHERS, Measure, Profile, Sample, summed
from superchat.ops.profiling.refusal import OneAtATime, Refusal
from superchat.ops.profiling.sources import Sources
from superchat.ops.profiling.text import moment
from superchat.ops.threads import InThread

DEFAULT_SECONDS: Final = 5
"""How long memory is traced before the first answer, if the request does not say."""

IDLE_SECONDS: Final = 300
"""How long tracing goes on after an answer, so that a second heap profile can be compared with the first."""

LOOK_SECONDS: Final = 0.05
"""Between two looks at what was allocated; more if a look takes long."""

HEAP: Final = (Measure("inuse_objects", "count"), Measure("inuse_space", "bytes"))
ALLOCS: Final = (Measure("alloc_objects", "count"), Measure("alloc_space", "bytes"))

_SHARE_OF_LOOKS: Final = 0.1
_MAX_RAW_STACKS: Final = 50_000
_OWN_FILES: Final = (tracemalloc.__file__, __file__)

_Lines = tuple[tuple[str, int], ...]
"""File and line, innermost first."""

_Counts = dict[_Lines, tuple[int, int]]
"""Blocks and bytes."""


@attrs.frozen
class Session:
    """One run of tracemalloc."""

    since: float  # Unix seconds
    began: float  # seconds of the reactor's clock
    frames: int


class MemoryTracing:
    """Starts tracemalloc on demand, and sees to it that it ends.

    Without `seconds`, a heap profile leaves tracing on for `IDLE_SECONDS` after the last one. Everything else leaves
    it as it was; only `allocs` begins anew, and ends it. What was started from outside, as PYTHONTRACEMALLOC does, is
    used and never ended.
    """

    def __init__(self, clock: IReactorTime, in_thread: InThread) -> None:
        self.session: Session | None = None
        """The tracing that was started here, or None."""
        self._clock = clock
        self._in_thread = in_thread
        self._idle: IDelayedCall | None = None
        self._alone = OneAtATime("Memory is being measured already: ask again when that is over.")

    async def heap(self, seconds: int | None, frames: int | None) -> Profile:
        """What was allocated since tracing began, or in `seconds` from now, and is not freed.

        Raises `Refusal` if another memory profile is being taken, or `frames` are not what is traced already.
        """
        with self._alone, self._tracing(frames, keep=seconds is None) as is_new:
            before = {} if is_new or seconds is None else await self._counted()
            if is_new or seconds is not None:
                await deferLater(self._clock, seconds or DEFAULT_SECONDS)
            after = await self._counted()
            covered = seconds or self._age()
            about = self._about()
        return await self._in_thread(lambda: _profile(HEAP, after, before, covered, about))

    async def allocs(self, seconds: int | None, frames: int | None) -> Profile:
        """What is allocated in `seconds` from now, and lives until it is looked at, twenty times per second.

        Raises `Refusal` if another memory profile is being taken, or tracing was started from outside.
        """
        with self._alone:
            if tracemalloc.is_tracing() and self.session is None:
                sentence = "tracemalloc was started with the process, and this would make it forget what it knows."
                raise Refusal(HTTPStatus.CONFLICT, sentence)
            self._end()
            with self._tracing(frames, keep=False):
                covered, about = seconds or DEFAULT_SECONDS, self._about()
                allocated = await self._allocated(covered)
        return await self._in_thread(lambda: _profile(ALLOCS, allocated, {}, covered, about))

    @contextmanager
    def _tracing(self, frames: int | None, keep: bool) -> Iterator[bool]:
        """Have memory traced, and know whether that is new. If it is, it goes on after success only, and if `keep`."""
        is_new = self._begin(frames)
        try:
            yield is_new
        except Exception:
            keep = False
            raise
        finally:
            if keep or not is_new:
                self._end_when_idle()
            else:
                self._end()

    def _begin(self, frames: int | None) -> bool:
        """Begin to trace, or hold on to the tracing that there is; return whether it is new."""
        if not tracemalloc.is_tracing():
            self.session = Session(wall_seconds(), self._clock.seconds(), frames or 1)
            tracemalloc.start(self.session.frames)
            return True
        traced = tracemalloc.get_traceback_limit()
        if frames not in (None, traced):
            sentence = f"Memory is traced with {traced} frames already: leave the parameter frames out, or wait."
            raise Refusal(HTTPStatus.CONFLICT, sentence)
        self._cancel_end()
        return False

    def _end_when_idle(self) -> None:
        self._cancel_end()
        if self.session is not None:
            self._idle = self._clock.callLater(IDLE_SECONDS, self._end)

    def _end(self) -> None:
        self._cancel_end()
        if self.session is not None:
            self.session = None
            tracemalloc.stop()

    def _cancel_end(self) -> None:
        if self._idle is not None and self._idle.active():
            self._idle.cancel()
        self._idle = None

    def _age(self) -> float:
        return self._clock.seconds() - self.session.began if self.session else 0.0

    def _about(self) -> str:
        limit = tracemalloc.get_traceback_limit()
        begin = "the process began" if self.session is None else moment(self.session.since)
        return f"traced with {limit} frame{'s' * (limit > 1)} since {begin}; older blocks are not known"

    async def _counted(self) -> _Counts:
        return await self._in_thread(_counts)

    async def _allocated(self, seconds: int) -> _Counts:
        total: _Counts = {}
        end = self._clock.seconds() + seconds
        pause = LOOK_SECONDS
        while self._clock.seconds() < end:
            await deferLater(self._clock, min(pause, end - self._clock.seconds()))
            began = self._clock.seconds()
            _add(total, await self._in_thread(_counts_since_last))
            pause = max(LOOK_SECONDS, (self._clock.seconds() - began) / _SHARE_OF_LOOKS)
        return total


def _counts() -> _Counts:
    """Everything that is traced, by where it was allocated."""
    return _grouped(tracemalloc.take_snapshot())


def _counts_since_last() -> _Counts:
    """The same, which is then forgotten."""
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.clear_traces()
    return _grouped(snapshot)


def _grouped(snapshot: tracemalloc.Snapshot) -> _Counts:
    counts: _Counts = {}
    for statistic in snapshot.statistics("traceback"):
        lines = tuple((frame.filename, frame.lineno) for frame in reversed(statistic.traceback))
        if lines[0][0] not in _OWN_FILES:
            counts[lines] = statistic.count, statistic.size
    return counts


def _add(total: _Counts, counts: Mapping[_Lines, tuple[int, int]]) -> None:
    for lines, (blocks, size) in counts.items():
        key = lines if lines in total or len(total) < _MAX_RAW_STACKS else ()
        known = total.get(key, (0, 0))
        total[key] = known[0] + blocks, known[1] + size


def _profile(measures: tuple[Measure, ...], after: _Counts, before: _Counts, seconds: float, *comments: str) -> Profile:
    sources = Sources()
    samples = summed((*_samples(after, 1, sources), *_samples(before, -1, sources)))
    return Profile(measures, samples, taken_at=wall_seconds(), duration_seconds=seconds, comments=comments)


def _samples(counts: _Counts, sign: int, sources: Sources) -> Iterator[Sample]:
    for lines, (blocks, size) in counts.items():
        stack = tuple(sources.frame(file, line) for file, line in lines) or OTHERS
        yield Sample(stack, (sign * blocks, sign * size))
