"""Tests for `superchat.chat.fanout`: many messages for the same people are one write for each of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.broadcasts import Broadcasts
from superchat.chat.counters import Counters
from superchat.chat.fanout import MOST_BYTES, FanOut
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.wire import frames
from superchat.wire.frames import COMPRESS_FROM_BYTES, Encoded
from superchat.wire.messages import NewMessage, Pong
from superchat.wire.records import Message
from tests.chat.test_broadcasts import Queue
from tests.chat.test_registry import Mailbox, new_session


def pong(number: int) -> Pong:
    """A short message, different from others."""
    return Pong(client_timestamp=number)


def long_message(number: int) -> NewMessage:
    """One that is compressed for whoever can read that."""
    return NewMessage(
        message_id=number,
        channel_id=1,
        author_nickname="alice",
        content=b"x" * COMPRESS_FROM_BYTES,
        created_at=0,
        reply_count=0,
    )


def received(session: Session) -> list[bytes]:
    """The writes that a session got."""
    assert isinstance(session.peer, Mailbox)
    return session.peer.received


class FanOutTests(SynchronousTestCase):
    """Before a write queue of which the test says when its turns come."""

    def setUp(self) -> None:
        self.queue = Queue()
        broadcasts = Broadcasts(Clock())
        broadcasts.through(self.queue)
        self.fanout = FanOut(broadcasts)
        self.registry = ChannelRegistry(Counters(), self.fanout)
        self.sessions = [new_session(number) for number in range(3)]

    def turn(self) -> None:
        """The turn of the write queue has come."""
        before, self.queue.before = self.queue.before, []
        for call in before:
            call()

    def send(self, audience: list[Session], *messages: Message) -> None:
        """Send each of the messages, with others."""
        for message in messages:
            self.fanout.gather(audience, Encoded(message))

    def test_together(self) -> None:
        """What goes to the same audience in one turn is one write for each, made once for all."""
        self.send(self.sessions, pong(1), pong(2), pong(3))
        self.assertEqual([received(each) for each in self.sessions], [[]] * 3)
        self.turn()
        expected = b"".join(frames.encode(pong(number)) for number in (1, 2, 3))
        self.assertEqual([received(each) for each in self.sessions], [[expected]] * 3)
        self.assertEqual(len({id(received(each)[0]) for each in self.sessions}), 1)

    def test_again(self) -> None:
        """Every turn has its own; nothing is told twice."""
        for number in (1, 2):
            self.send(self.sessions, pong(number))
            self.assertEqual(len(self.queue.before), 1)
            self.turn()
            self.turn()
        self.assertEqual(received(self.sessions[0]), [frames.encode(pong(1)), frames.encode(pong(2))])

    @given(st.lists(st.tuples(st.sampled_from(["all", "two", "long", "now", "turn"]), st.integers(1, 9)), max_size=20))
    def test_order(self, acts: list[tuple[str, int]]) -> None:
        """Everybody gets what is sent to him in the order in which it was sent, whoever else gets it."""
        self.setUp()
        audiences = {"all": self.sessions, "long": self.sessions, "now": self.sessions, "two": self.sessions[:2]}
        expected: list[list[bytes]] = [[], [], []]
        for kind, number in [*acts, ("turn", 0)]:
            if kind == "turn":
                self.turn()
                continue
            message = long_message(number) if kind == "long" else pong(number)
            (self.fanout.send if kind == "now" else self.fanout.gather)(audiences[kind], Encoded(message))
            for session in audiences[kind]:
                expected[session.id].append(frames.encode(message, compress=True))
        self.assertEqual([b"".join(received(each)) for each in self.sessions], [b"".join(each) for each in expected])

    def test_bounded(self) -> None:
        """No more is gathered than `MOST_BYTES` and a message."""
        frame = frames.encode(pong(0))
        self.send(self.sessions, *map(pong, range(2 * MOST_BYTES // len(frame))))
        self.turn()
        sizes = [*map(len, received(self.sessions[0]))]
        self.assertGreater(len(sizes), 1)
        self.assertLess(max(sizes), MOST_BYTES + len(frame))

    def test_newcomers(self) -> None:
        """Whoever subscribes hears of what comes from then on, and whoever leaves has heard of all before."""
        first, second, _ = self.sessions
        for session in (first, second):
            self.registry.subscribe_channel(session, 1)
        self.registry.publish_soon(self.registry.subscribers(1), pong(1))
        self.registry.unsubscribe_channel(first, 1)
        self.registry.subscribe_channel(self.sessions[2], 1)
        self.registry.publish_soon(self.registry.subscribers(1), pong(2))
        self.registry.forget(second)
        self.registry.publish_soon(self.registry.subscribers(1), pong(3))
        self.turn()
        one, two, three = (frames.encode(pong(number)) for number in (1, 2, 3))
        self.assertEqual([b"".join(received(each)) for each in self.sessions], [one, one + two, two + three])

    def test_threads(self) -> None:
        """The same in a thread."""
        first, second, _ = self.sessions
        self.registry.subscribe_thread(first, 7, 1)
        self.registry.publish_soon(self.registry.thread_subscribers(7), pong(1))
        self.registry.subscribe_thread(second, 7, 1)
        self.registry.publish_soon(self.registry.thread_subscribers(7), pong(2))
        self.registry.forget_thread(7)
        one, two = (frames.encode(pong(number)) for number in (1, 2))
        self.assertEqual([b"".join(received(each)) for each in self.sessions], [one + two, two, b""])
