"""Tests for `superchat.chat.broadcasts`: how long a broadcast takes until its last byte is handed over."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.broadcasts import Broadcasts


@attrs.define
class Queue:
    """A write queue of which the test says how far it is."""

    flushed: int = 0
    queued: int = 0
    before: list[Callable[[], None]] = attrs.field(factory=list)

    def before_turns(self, call: Callable[[], None]) -> None:
        """Keep what the test calls when it wants to."""
        self.before.append(call)


class BroadcastsTests(SynchronousTestCase):
    """Broadcasts through a queue of two recipients each."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = Queue()
        self.broadcasts = Broadcasts(self.clock)
        self.broadcasts.through(self.queue)

    def publish(self, received: float = 0.0) -> None:
        """One to two recipients, now."""
        self.broadcasts.begin("channel", 2, received, self.clock.seconds())
        self.queue.queued += 2
        self.broadcasts.written()

    def flush(self, flushed: int) -> None:
        """So many turns have been flushed by now."""
        self.queue.flushed = flushed
        self.broadcasts.settle(flushed, self.clock.seconds())

    def measured(self) -> tuple[int, float, float]:
        """How many broadcasts are complete, and the sums of their durations and latencies in seconds."""
        measures = self.broadcasts.kinds["channel"]
        duration, latency = measures.duration.snapshot(), measures.latency.snapshot()
        self.assertEqual(duration.count, latency.count)
        return duration.count, duration.total, latency.total

    def test_complete_with_the_last(self) -> None:
        """A broadcast is complete when the turn of its last recipient has been flushed."""
        self.clock.advance(1)
        self.publish(received=0.5)
        self.clock.advance(1)
        self.flush(1)
        self.assertEqual((self.measured(), self.broadcasts.pending), ((0, 0, 0), 1))
        self.assertEqual(self.broadcasts.oldest_age_seconds(), 1.0)
        self.clock.advance(1)
        self.flush(2)
        self.assertEqual((self.measured(), self.broadcasts.pending), ((1, 2.0, 2.5), 0))
        self.assertEqual(self.broadcasts.oldest_age_seconds(), 0.0)

    def test_in_order(self) -> None:
        """Those that the queue has passed are complete, the others wait."""
        self.publish()
        self.publish()
        self.publish()
        self.flush(5)
        self.assertEqual((self.measured()[0], self.broadcasts.pending), (2, 1))

    def test_not_written(self) -> None:
        """Before it is written a broadcast is on its way too, and has its time from then on."""
        self.broadcasts.begin("channel", 2, 0.0, 0.0)
        self.clock.advance(1)
        self.flush(0)
        self.assertEqual((self.broadcasts.pending, self.broadcasts.oldest_age_seconds()), (1, 1.0))
        self.queue.queued += 2
        self.broadcasts.written()
        self.flush(2)
        self.assertEqual((self.measured(), self.broadcasts.pending), ((1, 1.0, 1.0), 0))

    def test_nobody(self) -> None:
        """A broadcast to nobody is complete at once, whatever waits for others."""
        self.publish()
        self.broadcasts.begin("thread", 0, 0.0, 0.0)
        thread = self.broadcasts.kinds["thread"]
        self.assertEqual((thread.duration.snapshot().count, self.broadcasts.pending), (1, 1))
        self.assertEqual(thread.fanout.snapshot().total, 0)

    def test_clock_set_back(self) -> None:
        """A clock that is set back makes no time negative."""
        self.clock.advance(10)
        self.publish(received=10.0)
        self.clock.rightNow = 3.0
        self.assertEqual(self.broadcasts.oldest_age_seconds(), 0.0)
        self.flush(2)
        self.assertEqual(self.measured(), (1, 0.0, 0.0))

    def test_without_a_queue(self) -> None:
        """Without a queue a broadcast counts as complete when it was written, and what is before turns is at once."""
        broadcasts = Broadcasts(self.clock)
        broadcasts.begin("channel", 2, 0.0, 0.0)
        broadcasts.written()
        self.assertEqual((broadcasts.kinds["channel"].duration.snapshot().count, broadcasts.pending), (1, 0))
        called: list[str] = []
        broadcasts.before_turns(lambda: called.append("now"))
        self.assertEqual(called, ["now"])
