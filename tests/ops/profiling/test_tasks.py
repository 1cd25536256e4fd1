"""The goroutine profile: what runs, and what waits."""

import functools
import gc
import threading
from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import Clock, LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling.pprof import encode
from superchat.ops.profiling.tasks import NO_CALLBACK, OBJECTS_PER_TURN, tasks
from tests.ops.profiling.pprof_reader import ReadProfile, ReadSample, read


async def inner(waited: Deferred[None]) -> None:
    """Waits."""
    await waited


async def outer(waited: Deferred[None]) -> None:
    """Waits for who waits."""
    await inner(waited)


@inlineCallbacks
def older_style(waited: Deferred[None]) -> Generator[Deferred[None], Any, None]:
    """Waits as well."""
    yield waited


def first_callback(result: object) -> None:
    """Will be called."""


def second_callback(result: object) -> None:
    """Will be called then."""


class TasksTests(SynchronousTestCase):
    """Everything that is pending is found, where it is and how often."""

    def setUp(self) -> None:
        gc.collect()
        self.clock = Clock()

    def profile(self) -> ReadProfile:
        """The profile as a viewer reads it."""
        asked = Deferred.fromCoroutine(tasks(self.clock))
        while not asked.called:
            self.clock.advance(0)
        return read(encode(self.successResultOf(asked)))

    def found(self, kind: str, function: str) -> list[ReadSample]:
        """The samples of a kind with a function of this name."""
        return [
            sample
            for sample in self.profile().samples
            if sample.labels["kind"] == kind and any(name.endswith(function) for name in sample.functions)
        ]

    def test_threads(self) -> None:
        """Every thread stands there with its name and its stack, this one too."""
        ready, over = threading.Event(), threading.Event()

        def waiting_function() -> None:
            ready.set()
            over.wait(60)

        thread = threading.Thread(target=waiting_function, name="sleeper")
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        ready.wait(60)
        (sleeper,) = self.found("thread", ".waiting_function")
        self.assertEqual((sleeper.labels["name"], sleeper.values), ("sleeper", {"goroutine": 1}))
        (this,) = self.found("thread", ".TasksTests.test_threads")
        self.assertEqual(this.labels["name"], "MainThread")

    def test_coroutines(self) -> None:
        """A coroutine that waits is there once, with what it awaits inside it and the line where it does."""
        waited: list[Deferred[None]] = [Deferred() for _ in range(3)]
        running = [Deferred.fromCoroutine(outer(each)) for each in waited]
        (found,) = self.found("coroutine", ".outer")
        self.assertEqual(found.values, {"goroutine": len(running)})
        names = [place.function.rpartition(".")[2] for place in found.stack]
        self.assertEqual(names, ["__iter__", "inner", "outer"])
        self.assertEqual(found.stack[1].line, inner.__code__.co_firstlineno + 2)
        for each in waited:
            each.callback(None)
        self.assertEqual(self.found("coroutine", ".outer"), [])

    def test_inline_callbacks(self) -> None:
        """So is a generator of inlineCallbacks."""
        waited: Deferred[None] = Deferred()
        running = older_style(waited)
        (found,) = self.found("generator", ".older_style")
        self.assertEqual(found.values, {"goroutine": 1})
        waited.callback(None)
        self.successResultOf(running)

    def test_deferreds(self) -> None:
        """A pending Deferred shows what it will call, the next first; one that has fired is not there."""
        pending: Deferred[None] = Deferred()
        pending.addCallback(first_callback).addErrback(second_callback)
        (found,) = self.found("Deferred", ".first_callback")
        self.assertEqual([name.rpartition(".")[2] for name in found.functions], ["first_callback", "second_callback"])
        pending.callback(None)
        self.assertEqual(self.found("Deferred", ".first_callback"), [])

    def test_chained(self) -> None:
        """What a Deferred is the result of comes after its own callbacks."""
        result: Deferred[None] = Deferred()
        result.addCallback(first_callback)
        waiting: Deferred[None] = Deferred()
        waiting.addCallback(lambda _: result)
        waiting.addCallback(second_callback)
        waiting.callback(None)
        (found,) = self.found("Deferred", ".first_callback")
        self.assertEqual([name.rpartition(".")[2] for name in found.functions], ["first_callback", "second_callback"])

    def test_long_chain(self) -> None:
        """A chain without end is cut."""
        pending: Deferred[None] = Deferred()
        for _ in range(5000):
            pending.addCallback(first_callback)
        (found,) = self.found("Deferred", ".first_callback")
        self.assertEqual(len(found.stack), 32)

    def test_nobody_waits(self) -> None:
        """A Deferred without callbacks is counted."""
        before = sum(sample.values["goroutine"] for sample in self.found("Deferred", NO_CALLBACK.function))
        pending: list[Deferred[None]] = [Deferred() for _ in range(7)]
        after = sum(sample.values["goroutine"] for sample in self.found("Deferred", NO_CALLBACK.function))
        self.assertEqual(after - before, len(pending))

    def test_delayed_calls(self) -> None:
        """A delayed call shows the function, whatever is wrapped around it, and never its arguments."""
        self.clock.callLater(60, functools.partial(first_callback, "secret"))
        self.clock.callLater(60, print, "secret")
        looping = LoopingCall(second_callback)
        looping.clock = self.clock
        looping.start(60, now=False)
        self.addCleanup(looping.stop)
        self.assertEqual(len(self.found("delayed call", ".first_callback")), 1)
        self.assertEqual(len(self.found("delayed call", "builtins.print")), 1)
        (found,) = self.found("delayed call", ".second_callback")
        self.assertEqual(found.functions[1], "twisted.internet.task.LoopingCall")
        self.assertNotIn("secret", str(self.profile()))

    def test_totals(self) -> None:
        """The comments tell how many there are of each kind."""
        self.clock.callLater(60, print)
        self.assertIn("delayed call: 1", self.profile().comments)

    def test_slices(self) -> None:
        """The reactor turns many times meanwhile, however many objects there are."""
        objects: list[list[object]] = [[] for _ in range(3 * OBJECTS_PER_TURN)]
        clock = CountingClock()
        asked = Deferred.fromCoroutine(tasks(clock))
        self.assertNoResult(asked)
        clock.advance(0)
        self.successResultOf(asked)
        self.assertGreater(clock.calls_made, len(objects) / OBJECTS_PER_TURN)


class CountingClock(Clock):
    """Counts the turns that it was asked for."""

    calls_made = 0

    def callLater(self, *arguments: Any, **keywords: Any) -> Any:
        """Count."""
        self.calls_made += 1
        return super().callLater(*arguments, **keywords)
