"""Stalls of the reactor."""

import threading
import time

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling import stalls
from superchat.ops.profiling.pprof import encode
from superchat.ops.profiling.stalls import BEAT_SECONDS, FORGOTTEN, MAX_STACKS, UNSEEN, ReactorWatch
from tests.ops.profiling.pprof_reader import ReadProfile, read

MILLISECONDS = 1_000_000


class StalledReactor:
    """A watch whose reactor turns, and whose thread looks, only when a test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.now = 0.0
        self.watch = ReactorWatch(self.clock, now=lambda: self.now, wall=lambda: 1000.0 + self.now)

    def start(self) -> None:
        """Begin; the thread of the watch sees nothing, as time stands still."""
        self.watch.start()
        self.clock.advance(0)

    def beat(self, late: float = 0.0) -> None:
        """Let a beat come, late by some seconds."""
        self.now += BEAT_SECONDS + late
        self.clock.advance(BEAT_SECONDS)

    def look(self, late: float) -> None:
        """Let the thread look when the beat is late by this much."""
        now, self.now = self.now, self.now + BEAT_SECONDS + late
        self.watch.look()
        self.now = now

    def profile(self) -> ReadProfile:
        """The profile as a viewer reads it."""
        return read(encode(self.watch.profile()))


class NumberTests(SynchronousTestCase):
    """The numbers that the metrics and the health check read."""

    def setUp(self) -> None:
        self.reactor = StalledReactor()
        self.watch = self.reactor.watch
        self.reactor.start()
        self.addCleanup(self.watch.stop)

    def test_punctual(self) -> None:
        """A reactor that is on time has no lag and no stall."""
        for _ in range(5):
            self.reactor.beat()
        self.assertEqual((self.watch.beats, self.watch.stalls, self.watch.stalled_seconds), (5, 0, 0.0))
        self.assertAlmostEqual(self.watch.max_lag_seconds, 0.0)

    def test_lag(self) -> None:
        """The lag is that of the latest beat, the maximum stays, and the sum gives an average."""
        for late in (0.01, 0.04, 0.02):
            self.reactor.beat(late)
        self.assertAlmostEqual(self.watch.last_lag_seconds, 0.02)
        self.assertAlmostEqual(self.watch.max_lag_seconds, 0.04)
        self.assertAlmostEqual(self.watch.lag_seconds, 0.07)
        self.assertEqual(self.watch.stalls, 0)

    def test_stall(self) -> None:
        """More than the threshold is a stall, and counts with all of its time."""
        self.reactor.beat(0.06)
        self.reactor.beat(0.2)
        self.assertEqual(self.watch.stalls, 2)
        self.assertAlmostEqual(self.watch.stalled_seconds, 0.26)

    def test_few_wakeups(self) -> None:
        """An idle server is woken ten times per second at most."""
        self.assertEqual([call.getTime() for call in self.reactor.clock.getDelayedCalls()], [BEAT_SECONDS])
        self.assertGreaterEqual(BEAT_SECONDS, 0.1)

    def test_before_the_reactor_turns(self) -> None:
        """The time before the reactor turns is no stall."""
        slow = StalledReactor()
        slow.watch.start()
        self.addCleanup(slow.watch.stop)
        slow.now += 5.0
        slow.clock.advance(0)
        slow.beat()
        self.assertEqual(slow.watch.stalls, 0)
        self.assertAlmostEqual(slow.watch.max_lag_seconds, 0.0)

    def test_stop(self) -> None:
        """A stopped watch has no thread and no delayed call; it may be started again, and stopped twice."""
        before = threading.active_count()
        self.watch.stop()
        self.watch.stop()
        self.assertEqual(self.reactor.clock.getDelayedCalls(), [])
        self.assertEqual(threading.active_count(), before - 1)
        self.reactor.start()
        self.reactor.beat(0.06)
        self.assertEqual(self.watch.stalls, 1)


class ProfileTests(SynchronousTestCase):
    """The block profile."""

    def setUp(self) -> None:
        self.reactor = StalledReactor()
        self.reactor.start()
        self.addCleanup(self.reactor.watch.stop)

    def test_stack(self) -> None:
        """A stall is counted with its time where the reactor was seen."""

        def slow_callback() -> None:
            self.reactor.look(0.06)

        slow_callback()
        self.reactor.beat(0.5)
        found = self.reactor.profile()
        (stall,) = found.samples
        self.assertIn(f"{__name__}.ProfileTests.test_stack.<locals>.slow_callback", stall.functions)
        self.assertEqual(stall.values["contentions"], 1)
        self.assertAlmostEqual(stall.values["delay"] / MILLISECONDS, 500, 3)
        self.assertEqual((found.default, found.measures["delay"]), ("delay", "nanoseconds"))

    def test_two_places(self) -> None:
        """The time of a long stall is divided among the places where it was spent; it stays one stall."""

        def first() -> None:
            self.reactor.look(0.06)

        def second() -> None:
            self.reactor.look(0.2)

        first()
        second()
        self.reactor.beat(0.3)
        found = self.reactor.profile()
        self.assertAlmostEqual(found.total("delay", ".first") / MILLISECONDS, 60, 3)
        self.assertAlmostEqual(found.total("delay", ".second") / MILLISECONDS, 240, 3)
        self.assertEqual((found.total("contentions", ".first"), found.total("contentions", ".second")), (0, 1))

    def test_repeated(self) -> None:
        """Stalls at the same place add up."""
        for _ in range(3):
            self.reactor.look(0.06)
            self.reactor.beat(0.1)
        (stall,) = self.reactor.profile().samples
        self.assertEqual(stall.values["contentions"], 3)

    def test_unseen(self) -> None:
        """A stall that was over before it was looked at is counted all the same."""
        self.reactor.beat(0.06)
        self.assertEqual(self.reactor.profile().total("contentions", UNSEEN[0].function), 1)

    def test_punctual(self) -> None:
        """Who looks before a beat is late sees nothing, and a look belongs to its own beat only."""
        self.reactor.look(0.04)
        self.reactor.look(0.06)
        self.reactor.beat(0.0)
        self.reactor.beat(0.1)
        (stall,) = self.reactor.profile().samples
        self.assertEqual(stall.functions, [UNSEEN[0].function])

    def test_bounded(self) -> None:
        """Places that did not stall for long are counted together in the end: memory is bounded, sums are exact."""
        self.patch(stalls, "MAX_STACKS", 2)
        self.assertEqual(MAX_STACKS, 256)
        for number in range(4):
            scope = {"look": self.reactor.look}
            exec(f"def place{number}(): look(0.06)\nplace{number}()", scope)
            self.reactor.beat(0.1)
        found = self.reactor.profile()
        self.assertEqual(found.total("contentions"), 4)
        self.assertEqual(found.total("contentions", FORGOTTEN[0].function), 2)
        self.assertEqual(found.total("contentions", "place3"), 1)


class ThreadTests(SynchronousTestCase):
    """The thread that looks."""

    def test_stack_that_stalled(self) -> None:
        """The watching thread sees what the reactor's thread is doing when it does not turn."""
        clock = Clock()
        watch = ReactorWatch(clock)
        looked = threading.Event()
        look = watch.look

        def look_and_tell() -> None:
            look()
            if watch._looks:
                looked.set()

        self.patch(watch, "look", look_and_tell)

        def stalling_function() -> None:
            # As long as it takes, with the reactor's clock standing still.
            looked.wait(60)

        watch.start()
        self.addCleanup(watch.stop)
        clock.advance(0)
        stalling_function()
        clock.advance(BEAT_SECONDS)
        found = read(encode(watch.profile()))
        self.assertEqual(found.total("contentions", ".stalling_function"), 1)
        self.assertGreaterEqual(found.total("delay"), 50 * MILLISECONDS)
        self.assertEqual((watch.stalls, watch.max_lag_seconds), (1, watch.stalled_seconds))
        self.assertLess(found.time_nanos, (time.time() + 1) * 1e9)
