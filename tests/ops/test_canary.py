"""Tests for `superchat.ops.canary`: a message of the server's own, and that it disturbs nobody."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.clocks import wall_ms
from superchat.model import NewMessage
from superchat.net.outbox import Flusher
from superchat.ops.canary import PATIENCE_SECONDS, Canary
from superchat.storage.errors import Unavailable
from superchat.storage.memory import MemoryStorage

INTERVAL_SECONDS = 30


class RehearsedStorage(MemoryStorage):
    """Rehearses as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.open()
        self.answer: Deferred[Any] | None = None
        self.rehearsed = 0

    def rehearse(self, new: NewMessage) -> Deferred[Any]:
        self.rehearsed += 1
        return super().rehearse(new) if self.answer is None else self.answer


class CanaryTests(SynchronousTestCase):
    """A canary on storage in memory and a real outbox."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.storage = RehearsedStorage()
        self.flusher = Flusher(self.clock)
        self.canary = Canary(self.storage, self.flusher, self.clock, wall_ms, INTERVAL_SECONDS)

    def test_sings(self) -> None:
        """Post and delivery happen at once and at each interval, and leave nothing behind."""
        self.canary.start()
        self.clock.advance(0)
        self.assertEqual((self.canary.delivered_at, self.canary.failures), (0, 0))
        self.clock.advance(INTERVAL_SECONDS)
        self.clock.advance(0)
        self.assertEqual(self.canary.delivered_at, INTERVAL_SECONDS)
        self.assertEqual(self.storage.rehearsed, 2)
        self.assertEqual(self.successResultOf(self.storage.channels()), [])
        self.canary.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(self.canary.age_seconds, 100)

    def test_failure(self) -> None:
        """A delivery that fails is counted, and the next one is tried."""
        self.storage.answer = fail(Unavailable("database or disk is full"))
        self.canary.start()
        self.clock.advance(0)
        self.assertEqual(self.canary.failures, 1)
        self.storage.answer = None
        self.clock.advance(INTERVAL_SECONDS)
        self.clock.advance(0)
        self.assertEqual((self.canary.failures, self.canary.age_seconds), (1, 0))

    def test_hanging(self) -> None:
        """One that never comes back has failed after a while; two in a row make the canary late."""
        self.storage.answer = Deferred()
        self.canary.start()
        self.clock.advance(PATIENCE_SECONDS)
        self.assertEqual((self.canary.failures, self.canary.is_late), (1, False))
        self.storage.answer = Deferred()
        self.clock.advance(2 * INTERVAL_SECONDS + 1)
        self.assertTrue(self.canary.is_late)

    def test_late_answer(self) -> None:
        """What comes back after all, when it was given up, is nothing to the next one."""
        late: Deferred[Any] = Deferred()
        self.storage.answer = late
        self.canary.start()
        self.clock.advance(PATIENCE_SECONDS)
        self.storage.answer = None
        late.errback(Unavailable("at last"))
        self.clock.advance(INTERVAL_SECONDS - PATIENCE_SECONDS)
        self.clock.advance(0)
        self.assertEqual((self.canary.failures, self.canary.delivered_at), (1, INTERVAL_SECONDS))

    def test_stuck_flusher(self) -> None:
        """A server that cannot hand out what was posted any more is found out: the canary's frames go with all."""
        canary = Canary(self.storage, Flusher(Clock()), self.clock, wall_ms, INTERVAL_SECONDS)
        canary.start()
        self.clock.advance(PATIENCE_SECONDS)
        self.assertEqual((self.storage.rehearsed, canary.failures, canary.delivered_at), (1, 1, None))

    def test_through_everything(self) -> None:
        """It connects anew each time, as a client does, and leaves nothing of a connection behind."""
        self.canary.start()
        calls = set()
        for _ in range(6):
            self.clock.pump([0, 1, INTERVAL_SECONDS - 2])
            self.assertEqual(self.flusher.pending_bytes(), 0)
            calls.add(len(self.clock.getDelayedCalls()))
            self.clock.advance(1)
        self.clock.advance(0)
        self.assertEqual((self.storage.rehearsed, self.canary.failures), (7, 0))
        self.assertGreaterEqual(self.flusher.flushed, 7)
        self.assertEqual(len(calls), 1)

    def test_stopped_while_singing(self) -> None:
        """One that is under way at the end of the server is the last."""
        self.canary.start()
        self.canary.stop()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_off(self) -> None:
        """With an interval of 0 there is no canary, and it is never late."""
        canary = Canary(self.storage, Flusher(self.clock), self.clock, wall_ms, 0)
        canary.start()
        self.clock.advance(10_000)
        self.assertEqual((canary.delivered_at, canary.is_late), (None, False))
