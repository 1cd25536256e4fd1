"""Tests for `superchat.chat.registry`: who listens where, and how one message reaches them all."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.broadcasts import Broadcasts
from superchat.chat.counters import CloseCause, Counters
from superchat.chat.fanout import FanOut
from superchat.chat.limits import TokenBucket
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.wire import frames
from superchat.wire.messages import Pong, ServerConfig, UserInfo
from superchat.wire.records import Message

PLACES = (1, 2, 3)
ACTS = st.tuples(
    st.sampled_from(["join", "leave", "subscribe", "unsubscribe", "follow", "unfollow", "forget", "expire", "delete"]),
    st.integers(0, 3),
    st.sampled_from(PLACES),
)


@attrs.define
class Mailbox:
    """A peer that keeps what it is sent."""

    version: int = 2
    received: list[bytes] = attrs.field(factory=list)

    def write(self, frames: bytes) -> None:
        self.received.append(frames)

    def disconnect(self, reason: str | None, cause: CloseCause) -> None:
        raise AssertionError("nobody should be disconnected")


def new_session(number: int, version: int = 2) -> Session:
    """A session on a mailbox."""
    bucket = TokenBucket(rate=0, burst=0)
    return Session(id=number, key=number, address="192.0.2.1", peer=Mailbox(version), counters=Counters(), posts=bucket)


def new_registry(counters: Counters) -> ChannelRegistry:
    """A registry that writes at once."""
    return ChannelRegistry(counters, FanOut(Broadcasts(Clock())))


def channel_of(root_id: int) -> int:
    """Where a thread is: two of them in one channel, and none in another."""
    return max(root_id, 2)


class ListenerTests(SynchronousTestCase):
    """The registry beside a naive model of it."""

    def setUp(self) -> None:
        self.registry = new_registry(Counters())
        self.sessions = [new_session(number) for number in range(4)]
        self.joined: dict[Session, int] = {}
        self.channels: set[tuple[Session, int]] = set()
        self.threads: set[tuple[Session, int]] = set()

    # Each act, to the registry and to the model

    def join(self, session: Session, place: int) -> None:
        self.registry.join(session, place)
        self.joined[session] = place

    def leave(self, session: Session, place: int) -> None:
        self.registry.leave(session)
        self.joined.pop(session, None)

    def subscribe(self, session: Session, place: int) -> None:
        self.registry.subscribe_channel(session, place)
        self.channels.add((session, place))

    def unsubscribe(self, session: Session, place: int) -> None:
        self.registry.unsubscribe_channel(session, place)
        self.channels.discard((session, place))

    def follow(self, session: Session, place: int) -> None:
        self.registry.subscribe_thread(session, place, channel_of(place))
        self.threads.add((session, place))

    def unfollow(self, session: Session, place: int) -> None:
        self.registry.unsubscribe_thread(session, place)
        self.threads.discard((session, place))

    def forget(self, session: Session, place: int = 0) -> None:
        self.registry.forget(session)
        self.joined.pop(session, None)
        self.channels = {pair for pair in self.channels if pair[0] is not session}
        self.threads = {pair for pair in self.threads if pair[0] is not session}

    def expire(self, session: Session, place: int) -> None:
        self.registry.forget_thread(place)
        self.threads = {pair for pair in self.threads if pair[1] != place}

    def delete(self, session: Session, place: int) -> None:
        self.registry.forget_channel(place)
        self.joined = {one: joined for one, joined in self.joined.items() if joined != place}
        self.channels = {pair for pair in self.channels if pair[1] != place}
        self.threads = {pair for pair in self.threads if channel_of(pair[1]) != place}

    def check(self) -> None:
        """The registry, the sessions' own sets and the model say the same."""
        registry = self.registry
        for place in PLACES:
            joined = [one for one in self.sessions if self.joined.get(one) == place]
            subscribed = [one for one in self.sessions if (one, place) in self.channels]
            following = [one for one in self.sessions if (one, place) in self.threads]
            self.assertCountEqual(registry.joined(place), joined)
            self.assertCountEqual(registry.subscribers(place), subscribed)
            self.assertCountEqual(registry.thread_subscribers(place), following)
            self.assertCountEqual(registry.audience(place), {*joined, *subscribed})
            self.assertCountEqual([one for one in self.sessions if one.joined == place], joined)
            self.assertCountEqual([one for one in self.sessions if place in one.channels], subscribed)
            self.assertCountEqual([one for one in self.sessions if place in one.threads], following)

    @settings(max_examples=60, derandomize=True, database=None)
    @given(acts=st.lists(ACTS, min_size=10, max_size=40))
    def test_any_acts(self, acts: list[tuple[str, int, int]]) -> None:
        """Whatever is joined, subscribed to and left, registry and sessions agree, and nobody is listed twice."""
        self.setUp()
        for act, number, place in acts:
            getattr(self, act)(self.sessions[number], place)
            self.check()
        for session in self.sessions:
            self.forget(session)
        self.check()
        self.assertEqual((len(self.registry.channel_audiences), len(self.registry.thread_audiences)), (0, 0))

    def test_closed_is_never_added(self) -> None:
        """A session that has left is not added by what was still under way for it (W1)."""
        gone = self.sessions[0]
        gone.closed = True
        self.registry.join(gone, 1)
        self.registry.subscribe_channel(gone, 1)
        self.registry.subscribe_thread(gone, 1, 1)
        self.check()
        self.assertEqual((gone.joined, gone.channels, gone.threads), (None, set(), set()))


class PublishTests(SynchronousTestCase):
    """One message for many (decisions 1.2, architecture: the life of one POST_MESSAGE)."""

    def published(self, message: Message, *versions: int) -> list[bytes]:
        """What peers of these versions get."""
        self.counters = Counters()
        recipients = [new_session(number, version) for number, version in enumerate(versions)]
        self.number = new_registry(self.counters).publish(recipients, message)
        for session in recipients:
            assert isinstance(session.peer, Mailbox)
            self.assertEqual(len(session.peer.received), 1)
        return [session.peer.received[0] for session in recipients if isinstance(session.peer, Mailbox)]

    def test_short(self) -> None:
        """A short message is encoded once, and everybody gets the same bytes."""
        sent = self.published(Pong(client_timestamp=1), 0, 1, 2, 3)
        self.assertEqual({*map(id, sent)}, {id(sent[0])})
        self.assertEqual(sent[0], frames.encode(Pong(client_timestamp=1)))

    def test_compressed(self) -> None:
        """A message of 512 bytes or more goes compressed to version 2 and plain to all others."""
        message = UserInfo(nickname="x" * 600, is_registered=False, online=False)
        plain, compressed = frames.encode(message), frames.encode(message, compress=True)
        self.assertLess(len(compressed), len(plain))
        sent = self.published(message, 0, 1, 2, 3, 2)
        self.assertEqual(sent, [plain, plain, compressed, plain, compressed])
        self.assertIs(sent[2], sent[4])

    def test_border(self) -> None:
        """The size that counts is the payload's: 511 bytes stay plain (wire 1)."""
        for size, is_compressed in ((511, False), (512, True)):
            message = UserInfo(nickname="x" * (size - 5), is_registered=False, online=False)
            self.assertEqual(len(message.pack()), size)
            (sent,) = self.published(message, 2)
            self.assertEqual(sent != frames.encode(message), is_compressed)

    def test_counted(self) -> None:
        """The number of recipients is returned and counted, none included."""
        self.published(Pong(client_timestamp=1), 2, 2, 1)
        self.assertEqual((self.number, self.counters.sent), (3, {"PONG": 3}))
        self.published(Pong(client_timestamp=1))
        self.assertEqual((self.number, self.counters.sent["PONG"]), (0, 0))


class ReplyTests(SynchronousTestCase):
    """`Session.reply` and `refuse`, for one recipient."""

    def test_compressed(self) -> None:
        """Replies follow the same rule as broadcasts (decisions 1.2)."""
        message = UserInfo(nickname="x" * 600, is_registered=False, online=False)
        for version, compress in ((0, False), (1, False), (2, True), (3, False), (255, False)):
            session = new_session(1, version)
            session.reply(message)
            assert isinstance(session.peer, Mailbox)
            self.assertEqual(session.peer.received, [frames.encode(message, compress=compress)])

    def test_closed(self) -> None:
        """Nothing is sent to a session that is over, and nothing counted as sent."""
        session = new_session(1)
        session.closed = True
        session.reply(Pong(client_timestamp=1))
        assert isinstance(session.peer, Mailbox)
        self.assertEqual((session.peer.received, session.counters.sent), ([], {}))

    def test_unencodable(self) -> None:
        """A message that cannot be encoded is not counted as sent."""
        session = new_session(1)
        broken = ServerConfig(
            protocol_version=256,
            max_message_rate=0,
            max_channel_creates=0,
            inactive_cleanup_days=0,
            max_connections_per_ip=0,
            max_message_length=0,
            max_thread_subscriptions=0,
            max_channel_subscriptions=0,
            directory_enabled=False,
        )
        self.assertRaises(ValueError, session.reply, broken)
        self.assertEqual(session.counters.sent, {})
