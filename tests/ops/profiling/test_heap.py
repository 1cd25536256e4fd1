"""Memory profiles."""

import tracemalloc
from http import HTTPStatus

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling.heap import DEFAULT_SECONDS, IDLE_SECONDS, LOOK_SECONDS, MemoryTracing
from superchat.ops.profiling.pprof import encode
from superchat.ops.profiling.profile import Profile
from superchat.ops.profiling.refusal import Refusal
from tests.ops.profiling.pprof_reader import ReadProfile, read
from tests.ops.profiling.work import at_once

KIB = 1024


def keeping_function() -> list[bytearray]:
    """A hundred blocks of 10 KiB."""
    return [bytearray(10 * KIB) for _ in range(100)]


def calling_function() -> list[bytearray]:
    """Calls the other one."""
    return keeping_function()


class MemoryTestCase(SynchronousTestCase):
    """Memory is not traced in the beginning, and not in the end."""

    def setUp(self) -> None:
        if tracemalloc.is_tracing():
            self.skipTest("memory is traced already")
        self.addCleanup(tracemalloc.stop)
        self.clock = Clock()
        self.memory = MemoryTracing(self.clock, at_once)

    def heap(self, seconds: int | None = None, frames: int | None = None) -> Deferred[Profile]:
        """Ask for a heap profile."""
        return Deferred.fromCoroutine(self.memory.heap(seconds, frames))

    def allocs(self, seconds: int | None = None, frames: int | None = None) -> Deferred[Profile]:
        """Ask for an allocs profile."""
        return Deferred.fromCoroutine(self.memory.allocs(seconds, frames))

    def answer(self, asked: Deferred[Profile]) -> ReadProfile:
        """The answer, as a viewer reads it."""
        return read(encode(self.successResultOf(asked)))

    def refusal(self, asked: Deferred[Profile]) -> str:
        """Why there is none."""
        refusal = self.failureResultOf(asked, Refusal).value
        self.assertEqual(refusal.code, HTTPStatus.CONFLICT)
        return str(refusal)


class HeapTests(MemoryTestCase):
    """What is in use."""

    def test_first(self) -> None:
        """The first request traces for a moment, and finds the function whose memory is kept."""
        asked = self.heap()
        kept = keeping_function()
        self.assertNoResult(asked)
        self.clock.advance(DEFAULT_SECONDS)
        found = self.answer(asked)
        self.assertEqual(len(kept), found.total("inuse_objects", ".keeping_function") // 2)  # object and buffer
        self.assertGreaterEqual(found.total("inuse_space", "test_heap.keeping_function"), 1000 * KIB)
        self.assertEqual(found.default, "inuse_space")
        self.assertRegex(found.comments[0], "traced with 1 frame since .* UTC; older blocks are not known")

    def test_second(self) -> None:
        """A second one answers at once, with everything since the first, so that the two can be compared."""
        asked = self.heap()
        self.clock.advance(DEFAULT_SECONDS)
        first = self.answer(asked)
        kept = keeping_function()
        grown = self.answer(self.heap()).total("inuse_space", ".keeping_function")
        self.assertGreaterEqual(grown - first.total("inuse_space", ".keeping_function"), 1000 * KIB)
        kept.clear()
        self.assertLess(self.answer(self.heap()).total("inuse_space", ".keeping_function"), 10 * KIB)

    def test_ends(self) -> None:
        """Tracing ends by itself when nobody asks any more, and not before."""
        asked = self.heap()
        self.clock.advance(DEFAULT_SECONDS)
        self.answer(asked)
        self.clock.advance(IDLE_SECONDS - 1)
        self.answer(self.heap())
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertTrue(tracemalloc.is_tracing())
        self.clock.advance(1)
        self.assertFalse(tracemalloc.is_tracing())
        self.assertEqual((self.memory.session, self.clock.getDelayedCalls()), (None, []))

    def test_seconds(self) -> None:
        """With seconds it is what grew in that time, and then tracing is over."""
        asked = self.heap(seconds=20)
        kept = keeping_function()
        self.clock.advance(20)
        found = self.answer(asked)
        self.assertGreaterEqual(found.total("inuse_space", ".keeping_function"), len(kept) * 10 * KIB)
        self.assertEqual(found.duration_nanos, 20_000_000_000)
        self.assertFalse(tracemalloc.is_tracing())

    def test_seconds_while_traced(self) -> None:
        """What was there before that time is taken off, and what was freed is negative."""
        asked = self.heap()
        kept = keeping_function()
        self.clock.advance(DEFAULT_SECONDS)
        self.answer(asked)
        asked = self.heap(seconds=20)
        kept.clear()
        self.clock.advance(20)
        self.assertLess(self.answer(asked).total("inuse_space", ".keeping_function"), -900 * KIB)
        self.assertTrue(tracemalloc.is_tracing())

    def test_frames(self) -> None:
        """With frames the callers are known."""
        asked = self.heap(frames=4)
        kept = calling_function()
        self.clock.advance(DEFAULT_SECONDS)
        found = self.answer(asked)
        self.assertGreaterEqual(found.total("inuse_space", ".calling_function"), len(kept) * 10 * KIB)

    def test_other_frames(self) -> None:
        """Memory is not traced twice: other frames than those that are traced are refused, and any are fine."""
        asked = self.heap(frames=4)
        self.clock.advance(DEFAULT_SECONDS)
        self.answer(asked)
        self.answer(self.heap(frames=4))
        self.answer(self.heap())
        sentence = "Memory is traced with 4 frames already: leave the parameter frames out, or wait."
        self.assertEqual(self.refusal(self.heap(frames=5)), sentence)

    def test_client_left(self) -> None:
        """When who asked first leaves, tracing is over; a later one's leaves it as it was."""
        asked = self.heap()
        asked.cancel()
        self.failureResultOf(asked)
        self.assertFalse(tracemalloc.is_tracing())
        asked = self.heap()
        self.clock.advance(DEFAULT_SECONDS)
        self.answer(asked)
        asked = self.heap(seconds=20)
        asked.cancel()
        self.failureResultOf(asked)
        self.assertTrue(tracemalloc.is_tracing())
        self.clock.advance(IDLE_SECONDS)
        self.assertFalse(tracemalloc.is_tracing())

    def test_one_at_a_time(self) -> None:
        """A second request meanwhile is refused."""
        asked = self.heap()
        sentence = "Memory is being measured already: ask again when that is over."
        self.assertEqual(self.refusal(self.heap()), sentence)
        self.assertEqual(self.refusal(self.allocs()), sentence)
        self.clock.advance(DEFAULT_SECONDS)
        self.answer(asked)

    def test_traced_from_outside(self) -> None:
        """What was started with the process is used, and never ended."""
        tracemalloc.start(2)
        kept = keeping_function()
        found = self.answer(self.heap())
        self.assertGreaterEqual(found.total("inuse_space", ".keeping_function"), len(kept) * 10 * KIB)
        self.assertIn("traced with 2 frames since the process began", found.comments[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIn("would make it forget what it knows", self.refusal(self.allocs()))
        self.assertTrue(tracemalloc.is_tracing())


class AllocsTests(MemoryTestCase):
    """What is allocated."""

    def test_freed(self) -> None:
        """Memory that lived for a moment is counted, also if it is freed by now, and as often as it was allocated."""
        asked = self.allocs(seconds=2)
        for _ in range(3):
            kept = keeping_function()
            self.clock.advance(LOOK_SECONDS)
            kept.clear()
        self.clock.pump([LOOK_SECONDS] * 45)
        found = self.answer(asked)
        self.assertGreaterEqual(found.total("alloc_space", "test_heap.keeping_function"), 3000 * KIB)
        self.assertLess(found.total("alloc_space", "test_heap.keeping_function"), 3300 * KIB)
        self.assertEqual((found.default, found.duration_nanos), ("alloc_space", 2_000_000_000))

    def test_ends(self) -> None:
        """Tracing is over when the time is."""
        asked = self.allocs()
        self.assertTrue(tracemalloc.is_tracing())
        self.clock.pump([LOOK_SECONDS] * int(DEFAULT_SECONDS / LOOK_SECONDS + 10))
        self.answer(asked)
        self.assertFalse(tracemalloc.is_tracing())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_client_left(self) -> None:
        """Tracing is over when who asked leaves."""
        asked = self.allocs()
        self.clock.advance(LOOK_SECONDS)
        asked.cancel()
        self.failureResultOf(asked)
        self.assertFalse(tracemalloc.is_tracing())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_after_heap(self) -> None:
        """It begins anew what heap traces, so that the two can be asked for one after the other."""
        asked = self.heap()
        self.clock.advance(DEFAULT_SECONDS)
        self.answer(asked)
        asked = self.allocs(frames=3)
        kept = calling_function()
        self.clock.pump([LOOK_SECONDS] * 120)
        self.assertGreaterEqual(self.answer(asked).total("alloc_space", ".calling_function"), len(kept) * 10 * KIB)
        self.assertFalse(tracemalloc.is_tracing())
        self.assertEqual(self.clock.getDelayedCalls(), [])
