"""Everything that waits or runs: what Go calls goroutines are here threads, coroutines, Deferreds and delayed calls."""

from __future__ import annotations

import functools
import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import CoroutineType, FrameType, FunctionType, GeneratorType
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater

from superchat.clocks import wall_seconds
from superchat.ops.profiling.profile import Frame, Labels, Measure, Profile, Sample, Stack, summed
from superchat.ops.profiling.stacks import outwards, place, stack_of

MEASURES: Final = (Measure("goroutine", "count"),)

OBJECTS_PER_TURN: Final = 20_000
"""How many objects are looked at before the reactor gets a turn: 2 ms."""

STACKS_PER_TURN: Final = 200
"""How many stacks are read before the reactor gets a turn: 2 ms."""

NO_CALLBACK: Final = Frame("(nobody waits for it)")

_MAX_CALLBACKS: Final = 32
_MAX_DECORATORS: Final = 8

_Found = tuple[Stack, Labels]
_T = TypeVar("_T")


async def tasks(reactor: Any) -> Profile:
    """Count all threads by where they are, and everything pending by what it waits for or will call.

    The objects of the garbage collector are walked in the reactor's thread, for to hold them in another one might
    finalise them there; in slices, so that the reactor turns. Only to list them takes one slice: 40 ms for a million.
    """
    counts: Counter[_Found] = Counter()
    counts.update(_threads())
    counts.update(_delayed_calls(reactor.getDelayedCalls()))
    for _ in _pending(counts):
        await deferLater(reactor, 0)
    samples = summed(Sample(stack, (count,), labels) for (stack, labels), count in counts.items())
    return Profile(MEASURES, samples, taken_at=wall_seconds(), comments=_totals(samples))


def _totals(samples: Iterable[Sample]) -> tuple[str, ...]:
    totals: Counter[str] = Counter()
    for sample in samples:
        totals[dict(sample.labels).get("kind", "other")] += sample.values[0]
    return tuple(f"{kind}: {count}" for kind, count in totals.most_common())


def _threads() -> Iterator[_Found]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        yield stack_of(outwards(frame)), (("kind", "thread"), ("name", names.get(ident, "unnamed")))


def _delayed_calls(calls: Sequence[IDelayedCall]) -> Iterator[_Found]:
    for call in calls:
        function = getattr(call, "func", None)
        if isinstance(function, LoopingCall):
            yield (_function(function.f), _function(function)), (("kind", "delayed call"),)
        else:
            yield (_function(function),), (("kind", "delayed call"),)


def _pending(counts: Counter[_Found]) -> Iterator[None]:
    """Count what the garbage collector knows of; yield whenever enough was done for one turn."""
    deferreds: list[Deferred[Any]] = []
    coroutines: list[CoroutineType[Any, Any, Any]] = []
    wanted = _subclasses(Deferred)
    for objects in _batched(gc.get_objects(), OBJECTS_PER_TURN):
        deferreds += [each for each in objects if type(each) in wanted and not each.called]
        coroutines += [each for each in objects if type(each) is CoroutineType]
        yield
    # From here on nothing else is kept alive.
    awaited = {id(each.cr_await) for each in coroutines}
    for some in _batched([each for each in coroutines if id(each) not in awaited], STACKS_PER_TURN):
        counts.update(found for each in some for found in _coroutine(each))
        yield
    for pending in _batched(deferreds, STACKS_PER_TURN):
        counts.update(found for each in pending for found in _deferred(each))
        yield


def _batched(items: list[_T], size: int) -> Iterator[list[_T]]:
    """Batches of a list, which is empty in the end: nothing is held longer than needed."""
    while items:
        batch = items[-size:]
        del items[-size:]
        yield batch


def _subclasses(of: type[Any]) -> set[type[Any]]:
    below: list[type[Any]] = of.__subclasses__()
    return {of}.union(*map(_subclasses, below))


def _coroutine(coroutine: CoroutineType[Any, Any, Any]) -> Iterator[_Found]:
    """A coroutine that waits, with all that it awaits. One that runs is in the stack of its thread."""
    if not coroutine.cr_running and (stack := stack_of(reversed(_awaiting(coroutine)))):
        yield stack, (("kind", "coroutine"),)


def _deferred(deferred: Deferred[Any]) -> Iterator[_Found]:
    """A pending Deferred by what it will call. Coroutines that wait for one are counted already."""
    functions: list[Frame] = []
    for function, arguments in islice(_callbacks(deferred), _MAX_CALLBACKS):
        waiting = next((each for each in arguments if isinstance(each, CoroutineType | GeneratorType)), None)
        if isinstance(waiting, CoroutineType):
            return
        if isinstance(waiting, GeneratorType):
            yield stack_of(reversed(_awaiting(waiting))), (("kind", "generator"),)
            return
        functions.append(_function(function))
    yield tuple(functions) or (NO_CALLBACK,), (("kind", "Deferred"),)


def _callbacks(deferred: Deferred[Any]) -> Iterator[tuple[object, Sequence[object]]]:
    """Function and arguments of each callback, and then those of the Deferred that this one is the result of."""
    # Twisted has no public way to see them. Without it, Deferreds would only be counted.
    links = list(getattr(deferred, "_callbacks", ()))
    while links:
        (callback, arguments, _), (errback, errback_arguments, _) = links.pop(0)
        if arguments and isinstance(arguments[0], Deferred) and not callable(callback):
            links = list(getattr(arguments[0], "_callbacks", ()))
        elif _is_passed_through(callback):
            yield errback, errback_arguments
        else:
            yield callback, arguments


def _is_passed_through(callback: object) -> bool:
    return isinstance(callback, FunctionType) and callback.__name__ in ("passthru", "_failthru")


def _awaiting(waiting: object) -> list[FrameType]:
    """The frames of a coroutine or generator, outermost first, and of what it awaits, as far as that has frames."""
    frames: list[FrameType] = []
    while isinstance(waiting, CoroutineType | GeneratorType):
        if isinstance(waiting, CoroutineType):
            frame, waiting = waiting.cr_frame, waiting.cr_await
        else:
            frame, waiting = waiting.gi_frame, waiting.gi_yieldfrom
        if frame is not None:
            frames.append(frame)
    return frames


def _function(function: object) -> Frame:
    """Where a callable is defined, below its decorators; for one without code, its name."""
    for _ in range(_MAX_DECORATORS):
        if isinstance(function, functools.partial):
            function = function.func
        else:
            function = getattr(function, "__func__", getattr(function, "__wrapped__", function))
    if isinstance(function, FunctionType):
        return place(function.__code__, function.__globals__.get("__name__"))
    named = function if hasattr(function, "__qualname__") else type(function)
    return Frame(f"{named.__module__}.{getattr(named, '__qualname__', '')}")
