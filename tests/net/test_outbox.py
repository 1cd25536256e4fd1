"""Tests for `superchat.net.outbox`: order, one write per turn, the byte budget, and slow transports."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from superchat.net.outbox import SLICE_SECONDS, Flusher, Outbox
from tests.net.small_socket import SmallSocket

BUDGET_BYTES = 100


class CountingTransport(StringTransport):
    """Remembers each write of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)


class SlowClock(Clock):
    """A clock on which every look costs time, as flushing many outboxes does; it counts the turns asked for."""

    turns = 0

    def seconds(self) -> float:
        self.rightNow += SLICE_SECONDS
        return super().seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        self.turns += 1
        return super().callLater(delay, callable, *args, **kw)


class AnyTransportTests(SynchronousTestCase):
    """What holds on every transport."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.flusher = Flusher(self.clock)
        self.transport = CountingTransport()
        self.overflows: list[None] = []
        self.outbox = Outbox(
            self.transport, self.flusher, BUDGET_BYTES, lambda: self.overflows.append(None)
        )

    def test_one_write_per_turn(self) -> None:
        """Several frames in one reactor turn are one write, in order (decisions 1.3)."""
        for frame in (b"one", b"two", b"three"):
            self.outbox.write(frame)
        self.assertEqual(self.transport.writes, [])
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [b"onetwothree"])

    def test_before_turns(self) -> None:
        """What is asked for before the turns comes once, and what it writes has its turn at once, also when nothing
        else waits; if it fails, the others get theirs."""

        def fail() -> None:
            raise ValueError("before the turns")

        for call in (lambda: self.outbox.write(b"two"), fail):
            self.flusher.before_turns(call)
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [b"two"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.outbox.write(b"three")
        self.flusher.before_turns(lambda: self.outbox.write(b"four"))
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [b"two", b"threefour"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_next_turn(self) -> None:
        """What is written later leaves with a later turn."""
        self.outbox.write(b"one")
        self.clock.advance(0)
        self.outbox.write(b"two")
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [b"one", b"two"])

    def test_paused(self) -> None:
        """A transport that is full gets nothing more until it is empty, and then everything in one write."""
        self.outbox.pauseProducing()
        self.outbox.write(b"one")
        self.outbox.write(b"two")
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [])
        self.assertEqual(self.outbox.pending_bytes, 6)
        self.outbox.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [b"onetwo"])
        self.assertEqual(self.outbox.pending_bytes, 0)

    def test_budget(self) -> None:
        """A reader that stays behind costs the budget and one frame at most, and is reported once, later."""
        self.outbox.pauseProducing()
        for _ in range(1000):
            self.outbox.write(b"x" * 60)
        self.assertEqual(self.outbox.pending_bytes, 120)
        self.assertEqual(self.overflows, [])
        self.clock.advance(0)
        self.assertEqual(self.overflows, [None])

    def test_large_frame(self) -> None:
        """A single frame larger than the budget is no reason to give up on a reader that keeps up."""
        self.outbox.write(b"x" * (BUDGET_BYTES + 1))
        self.clock.advance(0)
        self.assertEqual(len(self.transport.value()), BUDGET_BYTES + 1)
        self.assertEqual(self.overflows, [])

    def test_discard(self) -> None:
        """After the backlog was dropped, a last frame still finds its way."""
        self.outbox.pauseProducing()
        self.outbox.write(b"x" * 200)
        self.outbox.discard()
        self.outbox.write(b"bye")
        self.outbox.close()
        self.assertEqual(self.transport.value(), b"bye")

    def test_close(self) -> None:
        """Whatever was written before the end is handed over, nothing after it."""
        self.outbox.write(b"one")
        self.outbox.close()
        self.outbox.write(b"two")
        self.clock.advance(0)
        self.assertEqual(self.transport.value(), b"one")
        self.assertIsNone(self.transport.producer)

    def test_drained(self) -> None:
        """Whoever waits for the outbox to be empty is told once."""
        told: list[None] = []
        self.outbox.write(b"one")
        self.outbox.drained = lambda: told.append(None)
        self.clock.advance(0)
        self.outbox.write(b"two")
        self.clock.advance(0)
        self.assertEqual(told, [None])

    def test_lost(self) -> None:
        """When the connection is gone, nothing is kept for it."""
        self.outbox.pauseProducing()
        self.outbox.write(b"one")
        self.outbox.stopProducing()
        self.outbox.write(b"two")
        self.assertEqual(self.outbox.pending_bytes, 0)

    def test_fair(self) -> None:
        """Flushing very many outboxes is cut into slices, so that everything else gets its turn in between."""
        clock = SlowClock()
        flusher = Flusher(clock)
        transports = [CountingTransport() for _ in range(100)]
        for transport in transports:
            Outbox(transport, flusher, BUDGET_BYTES, self.fail).write(b"hello")
        clock.advance(0)
        self.assertEqual(clock.turns, 4)
        self.assertEqual([transport.writes for transport in transports], [[b"hello"]] * 100)


class BrokenTransport(CountingTransport):
    """Fails when it is written to and, if that is asked for, when it is cut."""

    stubborn = False

    def write(self, data: bytes) -> None:
        raise OSError("no such thing as a wire")

    def abortConnection(self) -> None:
        super().abortConnection()
        if self.stubborn:
            raise OSError("nor as an end of it")


class FlusherTests(SynchronousTestCase):
    """Many outboxes with one flusher."""

    def setUp(self) -> None:
        self.clock = SlowClock()
        self.progress: list[int] = []
        self.flusher = Flusher(self.clock, lambda flushed, now: self.progress.append(flushed))

    def outbox(self, transport: StringTransport) -> Outbox:
        """One that is never too slow."""
        return Outbox(transport, self.flusher, BUDGET_BYTES, self.fail)

    def turn(self) -> None:
        """Let the reactor turn once."""
        self.clock.advance(0)

    def run_until_idle(self) -> None:
        """Let the reactor turn until the flusher has nothing to do."""
        while self.flusher.queued > self.flusher.flushed:
            self.turn()

    def test_progress(self) -> None:
        """Whoever wants to know is told how far it is, just what is true, now and then and at the end of it all."""
        transports = [CountingTransport() for _ in range(100)]
        told: list[tuple[int, int]] = []

        def note(flushed: int, now: float) -> None:
            told.append((flushed, sum(bool(transport.writes) for transport in transports)))

        flusher = Flusher(self.clock, note)
        for transport in transports:
            Outbox(transport, flusher, BUDGET_BYTES, self.fail).write(b"hello")
        self.assertEqual((flusher.queued, flusher.flushed), (100, 0))
        self.turn()
        self.assertEqual((flusher.queued, flusher.flushed), (100, 100))
        self.assertEqual(told, [(count, count) for count in (32, 64, 96, 100)])

    def test_counts_go_on(self) -> None:
        """Turns are counted from the start, however often there is nothing to do in between."""
        outbox = self.outbox(CountingTransport())
        for count in range(1, 4):
            outbox.write(b"hello")
            self.assertEqual(self.flusher.queued, count)
            self.run_until_idle()
            self.assertEqual(self.flusher.flushed, count)
        self.assertEqual(self.progress, [1, 2, 3])

    def test_pending_bytes(self) -> None:
        """What waits is counted once for each outbox, whether for its turn or for its reader."""
        quick, slow, both = (self.outbox(CountingTransport()) for _ in range(3))
        slow.pauseProducing()
        both.pauseProducing()
        for outbox in (quick, slow, both):
            outbox.write(b"hello")
        both.resumeProducing()
        both.pauseProducing()
        self.assertEqual(self.flusher.pending_bytes(), 15)
        self.assertEqual(self.flusher.waiting, {slow, both})
        self.run_until_idle()
        self.assertEqual(self.flusher.pending_bytes(), 10)
        slow.resumeProducing()
        both.resumeProducing()
        self.run_until_idle()
        self.assertEqual((self.flusher.pending_bytes(), self.flusher.waiting), (0, set()))

    def test_slow_reader_leaves(self) -> None:
        """Of a reader that was behind and leaves, nothing remains: neither its bytes nor itself."""
        slow, other = self.outbox(CountingTransport()), self.outbox(CountingTransport())
        slow.pauseProducing()
        slow.write(b"x" * 1000)
        other.write(b"hello")
        slow.stopProducing()
        self.assertEqual((self.flusher.pending_bytes(), self.flusher.waiting), (5, set()))
        slow.write(b"more")
        self.run_until_idle()
        self.assertEqual(self.flusher.pending_bytes(), 0)

    def test_leaves_before_its_turn(self) -> None:
        """One that leaves before its turn has it nevertheless, for the counts' sake, and is written nothing."""
        transport = CountingTransport()
        gone = self.outbox(transport)
        gone.write(b"hello")
        gone.stopProducing()
        self.run_until_idle()
        self.assertEqual((self.flusher.flushed, transport.writes), (1, []))

    def test_failing_transport(self) -> None:
        """A transport that fails is cut, and one line says so; all the others get their frames in the same turns."""
        broken = BrokenTransport()
        transports = [CountingTransport() for _ in range(100)]
        transports.insert(40, broken)
        outboxes = [self.outbox(transport) for transport in transports]
        for outbox in outboxes:
            outbox.write(b"hello")
        self.run_until_idle()
        self.assertEqual(self.progress, [32, 64, 96, 101])
        self.assertEqual(sum(transport.writes == [b"hello"] for transport in transports), 100)
        self.assertTrue(broken.disconnected)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual((self.flusher.pending_bytes(), self.flusher.waiting), (0, set()))
        outboxes[40].write(b"again")
        outboxes[0].write(b"again")
        self.run_until_idle()
        self.assertEqual(transports[0].writes, [b"hello", b"again"])
        self.assertEqual(self.flusher.flushed, 102)

    def test_cannot_even_be_cut(self) -> None:
        """If cutting it fails as well, the others do not suffer either."""
        broken = BrokenTransport()
        broken.stubborn = True
        other = CountingTransport()
        for transport in (broken, other):
            self.outbox(transport).write(b"hello")
        self.run_until_idle()
        self.assertEqual((other.writes, self.flusher.flushed), ([b"hello"], 2))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)

    def test_failing_reader_of_drained(self) -> None:
        """Whoever waits for an outbox to be empty, and fails then, is cut off like a transport that fails."""
        transport, other = CountingTransport(), CountingTransport()
        outbox = self.outbox(transport)
        outbox.drained = lambda: [].pop()
        outbox.write(b"hello")
        self.outbox(other).write(b"hello")
        self.run_until_idle()
        self.assertTrue(transport.disconnected)
        self.assertEqual(other.writes, [b"hello"])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_failing_listener(self) -> None:
        """Even if who is told of the progress fails, flushing goes on in the next turn."""
        flusher = Flusher(self.clock, lambda flushed, now: [].pop())
        transports = [CountingTransport() for _ in range(40)]
        for transport in transports:
            Outbox(transport, flusher, BUDGET_BYTES, self.fail).write(b"hello")
        for _ in range(2):
            self.assertRaises(IndexError, self.turn)
        self.assertEqual((flusher.flushed, flusher.queued), (40, 40))
        self.assertEqual([transport.writes for transport in transports], [[b"hello"]] * 40)


class TCPTests(SynchronousTestCase):
    """A plain TCP transport is sent to directly, over a real socket with a real, small kernel buffer."""

    def setUp(self) -> None:
        self.socket = SmallSocket(Protocol())
        self.addCleanup(self.socket.close)
        self.clock = self.socket.clock
        self.outbox = Outbox(self.socket.transport, Flusher(self.clock), 1 << 20, self.fail)

    def test_direct(self) -> None:
        """A small write is with the kernel at the end of the turn, without the reactor's writing."""
        self.outbox.write(b"hello")
        self.clock.advance(0)
        self.assertFalse(self.socket.is_writing)
        self.assertEqual(self.socket.read(), b"hello")

    def test_order(self) -> None:
        """Nothing overtakes what the kernel did not take at once."""
        sent = b""
        for number in range(200):
            chunk = bytes([number]) * 3000
            sent += chunk
            self.outbox.write(chunk)
            self.clock.advance(0)
        self.assertTrue(self.socket.is_writing)
        self.assertEqual(self.socket.drain(), sent)
        self.assertEqual(self.outbox.pending_bytes, 0)

    def test_counts_what_waits(self) -> None:
        """What the transport holds counts against the budget as well."""
        self.outbox.write(b"x" * 500_000)
        self.clock.advance(0)
        self.outbox.write(b"x" * 100_000)
        self.assertGreater(self.outbox.pending_bytes, 500_000)

    def test_close_while_waiting(self) -> None:
        """Closing hands over the rest in order, and lets the transport end on its own."""
        self.outbox.write(b"x" * 500_000)
        self.clock.advance(0)
        self.outbox.write(b"bye")
        self.outbox.close()
        data = self.socket.drain()
        self.assertEqual((len(data), data[-3:]), (500_003, b"bye"))

    def test_broken(self) -> None:
        """A connection that breaks is left to the transport to find out."""
        self.socket.close_peer()
        self.outbox.write(b"hello")
        self.clock.advance(0)
        self.assertTrue(self.socket.is_writing)
