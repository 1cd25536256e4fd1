"""Tests for `superchat.net.protocol`: pace, order and ends of one connection."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.beginnings import announcement
from superchat.config import Limits, Logging
from superchat.model import NewMessage
from superchat.net.protocol import EVENTS_PER_TURN, LINGER_SECONDS, LONGEST_REST_SECONDS
from superchat.net.turn import TURN_SECONDS, Turn
from superchat.storage.memory import MemoryStorage
from superchat.wire import frames
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    Disconnect,
    Error,
    ListMessages,
    MessageList,
    MessagePosted,
    Ping,
    Pong,
    PostMessage,
    ServerConfig,
    SetNickname,
)
from tests.net.in_memory import ADDRESS, InMemoryClient, InMemoryServer

GENERAL = 2


class SlowStorage(MemoryStorage):
    """Commits when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[Deferred[None]] = []

    def append_message(self, new: NewMessage) -> Deferred[Any]:
        commit: Deferred[None] = Deferred()
        self.commits.append(commit)
        append = super().append_message
        return commit.addCallback(lambda _: append(new))


class ProtocolTestCase(SynchronousTestCase):
    """A server in memory, started."""

    limits = Limits()

    def setUp(self) -> None:
        self.storage = SlowStorage()
        self.server = InMemoryServer(self.limits, self.storage)
        self.clock = self.server.clock
        self.successResultOf(Deferred.fromCoroutine(self.server.start()))

    def connect(self) -> InMemoryClient:
        """A client that has taken note of SERVER_CONFIG."""
        client = self.server.connect()
        self.assertEqual([type(event) for event in client.received()], [ServerConfig])
        return client


class GreetingTests(ProtocolTestCase):
    """What a connection begins with."""

    def test_config_first(self) -> None:
        """SERVER_CONFIG is the first frame, plain, whatever the client sends meanwhile (decisions 1.1)."""
        transport = StringTransport(peerAddress=ADDRESS)
        protocol = self.server.factory.buildProtocol(ADDRESS)
        protocol.makeConnection(transport)
        protocol.dataReceived(frames.encode(Ping(timestamp=7)))
        self.clock.advance(0)
        config = frames.encode(announcement(self.server.chat.config))
        self.assertEqual(transport.value(), config + frames.encode(Pong(client_timestamp=7)))


class OrderTests(ProtocolTestCase):
    """Replies come in the order of the requests."""

    def test_every_split(self) -> None:
        """Frames may be cut anywhere."""
        client = self.connect()
        for byte in b"".join(frames.encode(Ping(timestamp=number)) for number in range(3)):
            client.deliver(bytes([byte]))
        self.assertEqual(client.received(), [Pong(client_timestamp=number) for number in range(3)])

    def test_one_after_the_other(self) -> None:
        """A request waits until the one before it has its answer."""
        client = self.connect()
        client.send(SetNickname(nickname="alice"))
        client.received()
        client.send(PostMessage(channel_id=GENERAL, content=b"hello"), Ping(timestamp=1))
        client.send(Ping(timestamp=2))
        self.assertEqual(client.received(), [])
        self.storage.commits[0].callback(None)
        self.clock.advance(0)
        kinds = [type(event) for event in client.received()]
        self.assertEqual(kinds, [MessagePosted, Pong, Pong])

    def test_reading_pauses(self) -> None:
        """A client cannot make the server hoard requests while one is under way."""
        client = self.connect()
        client.send(SetNickname(nickname="alice"), PostMessage(channel_id=GENERAL, content=b"hello"))
        client.deliver(frames.encode(Ping(timestamp=1)) * 2000)
        self.assertEqual(client.transport.producerState, "paused")
        self.storage.commits[0].callback(None)
        self.clock.pump([1.0] * 30)
        self.assertEqual(client.transport.producerState, "producing")
        self.assertEqual(sum(isinstance(event, Pong) for event in client.received()), 2000)


class FairnessTests(ProtocolTestCase):
    """A client with very many frames at once shares the reactor with the others."""

    limits = Limits(max_frames_per_second=0)

    def test_slices(self) -> None:
        """No more than `EVENTS_PER_TURN` frames are handled before everybody else gets a turn."""
        client = self.connect()
        client.protocol.dataReceived(frames.encode(Ping(timestamp=1)) * (EVENTS_PER_TURN * 2 + 5))
        self.assertEqual(self.server.chat.counters.received["PING"], EVENTS_PER_TURN)
        self.clock.advance(0)
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(len(client.received()), EVENTS_PER_TURN * 2 + 5)

    def test_unread_answers(self) -> None:
        """A client that asks for pages without reading them is not served further, and not cut off for it."""
        client = self.connect()
        client.protocol._outbox.pauseProducing()
        session = client.protocol.session
        assert session is not None
        session.peer.write(b"\x00\x01\x00\x03\x02\x90\x00" + bytes(65_536))
        client.send(Ping(timestamp=1), Ping(timestamp=2))
        received = self.server.chat.counters.received
        self.assertEqual(received["PING"], 1)
        client.protocol._outbox.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(received["PING"], 2)


class FloodTests(ProtocolTestCase):
    """The frame limit of decisions 1.9."""

    limits = Limits(max_frames_per_second=10, frame_burst=5)

    def test_notice_once(self) -> None:
        """A flood earns one ERROR 5000; then the session is read at the allowed pace and nothing is lost."""
        client = self.connect()
        client.deliver(frames.encode(Ping(timestamp=1)) * 25)
        first = client.received()
        self.assertEqual([type(event) for event in first], [Pong] * 5 + [Error])
        self.clock.pump([0.1] * 25)
        later = client.received()
        self.assertEqual([type(event) for event in later], [Pong] * 20)

    def test_new_flood(self) -> None:
        """After a quiet time, the next flood is announced again."""
        client = self.connect()
        client.deliver(frames.encode(Ping(timestamp=1)) * 6)
        self.clock.pump([1.0] * 10)
        client.received()
        client.deliver(frames.encode(Ping(timestamp=1)) * 6)
        errors = [event for event in client.received() if isinstance(event, Error)]
        self.assertEqual([error.error_code for error in errors], [ErrorCode.RATE_LIMIT_EXCEEDED])
        self.assertEqual(self.server.chat.counters.floods, 2)

    def test_others_do_not_notice(self) -> None:
        """Another session is answered at once during the flood."""
        flooder, other = self.connect(), self.connect()
        flooder.deliver(frames.encode(Ping(timestamp=1)) * 1000)
        other.send(Ping(timestamp=2))
        self.assertEqual([type(event) for event in other.received()], [Pong])


class DearTests(ProtocolTestCase):
    """A frame that asks for much is worth many of the frame limit (decisions 1.9)."""

    limits = Limits(max_frames_per_second=2, frame_burst=4)

    def test_rest(self) -> None:
        """What a burst of frames costs is on credit; then the session waits, without an error, and is answered."""
        client = self.connect()
        page = ListMessages(channel_id=1, limit=200)  # is worth 12 more
        client.send(page, page, Ping(timestamp=1))
        self.assertEqual([type(event) for event in client.received()], [MessageList])
        self.clock.advance(3.9)
        self.assertEqual(client.received(), [])
        self.clock.advance(0.2)
        self.assertEqual([type(event) for event in client.received()], [MessageList])
        self.clock.pump([0.1] * 60)
        self.assertEqual(client.received(), [Pong(client_timestamp=1)])

    def test_few(self) -> None:
        """Who asks for much now and then does not wait."""
        client = self.connect()
        for _ in range(5):
            client.send(ListMessages(channel_id=1, limit=50), Ping(timestamp=1))
            self.assertEqual([type(event) for event in client.received()], [MessageList, Pong])
            self.clock.advance(1.6)

    def test_bounded(self) -> None:
        """Nobody waits for so long that the session would seem idle."""
        client = self.connect()
        for _ in range(30):
            client.protocol._owe(1000)
        client.send(Ping(timestamp=1))
        self.clock.pump([0.1] * int(10 * LONGEST_REST_SECONDS + 1))
        self.assertEqual(client.received(), [Pong(client_timestamp=1)])

    def test_unlimited(self) -> None:
        """Without a limit on frames there is none on what they are worth."""
        self.limits = Limits(max_frames_per_second=0)
        self.setUp()
        client = self.connect()
        client.send(*[ListMessages(channel_id=1, limit=200)] * 100)
        self.assertEqual(len(client.received()), 100)


class EndTests(ProtocolTestCase):
    """Every end that the server decides on is announced (decisions 1.7)."""

    limits = Limits(session_timeout_seconds=120, max_connections_per_ip=2, outbox_budget_bytes=65_536)

    def test_broken_frame(self) -> None:
        """Lost framing: ERROR 1002, DISCONNECT "Protocol violation", close (decisions 1.5)."""
        client = self.connect()
        client.deliver(b"\x00\x10\x00\x01")
        error, disconnect = client.received()
        self.assertEqual(error, Error(error_code=ErrorCode.INVALID_FRAME, message="Invalid frame"))
        self.assertEqual(disconnect, Disconnect(reason="Protocol violation"))
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(self.server.chat.counters.sessions_disconnected["protocol"], 1)

    def test_idle_exactly(self) -> None:
        """An idle session ends exactly when the timeout is over, counted from its last frame (decisions 1.6)."""
        client = self.connect()
        self.clock.advance(100)
        client.send(Ping(timestamp=1))
        self.clock.advance(119.9)
        self.assertEqual([type(event) for event in client.received()], [Pong])
        self.clock.advance(0.1)
        self.assertEqual(client.received(), [Disconnect(reason="Session timeout")])

    def test_half_a_frame_is_no_frame(self) -> None:
        """Bytes that never become a frame do not keep a session alive."""
        client = self.connect()
        for _ in range(4):
            self.clock.advance(30)
            client.deliver(b"\x00")
        self.assertEqual(client.received(), [Disconnect(reason="Session timeout")])

    def test_turned_away(self) -> None:
        """One connection too many: SERVER_CONFIG, ERROR 5003, DISCONNECT, close (decisions 1.4)."""
        for _ in range(2):
            self.connect()
        third = self.server.connect()
        config, error, disconnect = third.received()
        self.assertIsInstance(config, ServerConfig)
        reason = "Too many connections from your address"
        self.assertEqual(error, Error(error_code=ErrorCode.CONNECTION_LIMIT, message=reason))
        self.assertEqual(disconnect, Disconnect(reason=reason))
        self.assertTrue(third.transport.disconnecting)
        third.deliver(frames.encode(Ping(timestamp=1)))
        self.assertEqual(third.received(), [])

    def test_client_leaves(self) -> None:
        """DISCONNECT from a client, even an empty one, is followed by nothing but the close (reference 1.0)."""
        client = self.connect()
        client.deliver(b"\x00\x00\x00\x03\x02\x11\x00" + frames.encode(Ping(timestamp=1)))
        self.assertEqual(client.received(), [])
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(len(self.server.chat.sessions), 0)

    def test_lingering_is_bounded(self) -> None:
        """A peer that does not take its last frames is cut off."""
        client = self.connect()
        client.deliver(b"\x00\x00\x00\x00")
        self.clock.advance(LINGER_SECONDS)
        self.assertTrue(client.transport.disconnected)

    def test_slow_reader(self) -> None:
        """Past the byte budget the backlog is dropped, the reason is said, and the session is over at once."""
        slow, other = self.connect(), self.connect()
        slow.protocol._outbox.pauseProducing()
        slow.send(SetNickname(nickname="slow"))
        session = slow.protocol.session
        assert session is not None
        for _ in range(100):
            session.reply(Pong(client_timestamp=1))
            session.peer.write(b"\x00\x00\x03\xeb\x02\x90\x00" + bytes(1000))
        self.clock.advance(0)
        self.assertEqual(slow.received(), [Disconnect(reason="Connection too slow")])
        self.assertEqual(len(self.server.chat.sessions), 1)
        self.assertEqual(self.server.chat.counters.sessions_disconnected["slow"], 1)
        other.send(Ping(timestamp=1))
        self.assertIn(Pong(client_timestamp=1), other.received())

    def test_connection_lost(self) -> None:
        """A connection that just ends is forgotten, and counted as the client's doing."""
        before = self.clock.getDelayedCalls()
        client = self.connect()
        client.protocol.connectionLost()
        self.assertEqual(len(self.server.chat.sessions), 0)
        self.assertEqual(self.server.chat.counters.sessions_disconnected["client"], 1)
        self.assertEqual(self.clock.getDelayedCalls(), before)

    def test_answer_after_the_end(self) -> None:
        """A post whose author left meanwhile is stored, and its answer goes nowhere."""
        client = self.connect()
        client.send(SetNickname(nickname="alice"), PostMessage(channel_id=GENERAL, content=b"hello"))
        client.received()
        client.protocol.connectionLost()
        self.storage.commits[0].callback(None)
        self.assertEqual(client.received(), [])
        reader = self.connect()
        reader.send(ListMessages(channel_id=GENERAL, limit=10))
        (page,) = [event for event in reader.received() if isinstance(event, MessageList)]
        self.assertEqual([entry.content for entry in page.messages], [b"hello"])


class CompressionTests(ProtocolTestCase):
    """Who gets compressed frames (decisions 1.2)."""

    def reply_flags(self, version: int) -> int:
        client = self.connect()
        client.send(SetNickname(nickname="alice"), version=version)
        client.received()
        self.storage.append_message(
            NewMessage(
                channel_id=GENERAL,
                parent_id=None,
                author_nickname="bob",
                author_session=1,
                content=b"x" * 2000,
                created_at=0,
            )
        )
        self.storage.commits[-1].callback(None)
        client.send(ListMessages(channel_id=GENERAL, limit=1), version=version)
        flags: int = client.transport.value()[6]
        return flags

    def test_version_2(self) -> None:
        """A peer that showed version 2 gets large replies compressed."""
        self.assertEqual(self.reply_flags(2), frames.COMPRESSED)

    def test_other_versions(self) -> None:
        """Peers of versions 1 and 3 never do."""
        self.assertEqual([self.reply_flags(1), self.reply_flags(3)], [0, 0])


class TraceTests(ProtocolTestCase):
    """With `--debug`, every frame is a line (monitoring guide, debug.log)."""

    def test_lines(self) -> None:
        """The lines name session, direction, type and size, and never what people write."""
        events: list[LogEvent] = []
        activity = Logger(observer=cast(ILogObserver, events.append))
        server = InMemoryServer(logging=Logging(debug=True), activity=activity)
        self.successResultOf(Deferred.fromCoroutine(server.start()))
        client = server.connect()
        client.send(SetNickname(nickname="alice"), PostMessage(channel_id=GENERAL, content=b"secret"))
        lines = [formatEvent(event) for event in events]
        self.assertIn("Session 1 ← RECV: type=0x02 flags=0x00 payload=7 bytes", lines)
        self.assertIn("Session 1 → SEND: type=0x82 flags=0x00 payload=24 bytes", lines)
        self.assertNotIn("secret", "".join(lines))


class CostlyClock(Clock):
    """A clock on which every look costs a millisecond, as serving a client does; turns go by at `advance`."""

    def seconds(self) -> float:
        self.rightNow += 0.001
        return super().seconds()


class TurnTests(SynchronousTestCase):
    """How long all clients together may hold the reactor."""

    def test_shared(self) -> None:
        """After `TURN_SECONDS` everybody waits for the next turn, and goes on there."""
        clock = CostlyClock()
        turn = Turn(clock, self.fail)
        served = 0
        while not turn.is_over(clock.seconds()):
            served += 1
        self.assertTrue(5 <= served * 0.001 / TURN_SECONDS * 10 <= 10, served)
        self.assertTrue(turn.is_over(clock.seconds()))
        clock.advance(0)
        self.assertFalse(turn.is_over(clock.seconds()))
