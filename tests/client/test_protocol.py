"""One connection, seen from the client."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.client.errors import ConnectionClosed, NoReply, ProtocolViolation, ServerRefused
from superchat.client.protocol import CLOSE_SECONDS, ChatClient
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import Unencodable
from superchat.wire.records import Message
from tests.client.scripted import CONFIG, ScriptedServer

PRESENCE = wire.ServerPresence(session_id=1, nickname="bob", is_registered=False, user_flags=0, online=True)


class Connected(SynchronousTestCase):
    """A client and the scripted server it is connected to."""

    greeted = True

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[Message] = []
        self.client = ChatClient(self.clock, on_event=self.events.append)
        self.server = ScriptedServer(self.client)
        if self.greeted:
            self.server.greet()

    def assert_closed(self, words: str) -> None:
        self.assertTrue(self.server.gone)
        self.assertIn(words, self.successResultOf(self.client.closed))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class GreetingTests(Connected):
    """SERVER_CONFIG comes first (decisions 1.1)."""

    greeted = False

    def test_ready(self) -> None:
        """The client is ready when SERVER_CONFIG is here, and not before."""
        self.assertNoResult(self.client.ready)
        self.server.greet()
        self.assertEqual(self.successResultOf(self.client.ready), CONFIG)
        self.assertEqual(self.client.config, CONFIG)
        self.assertEqual(self.events, [])

    def test_byte_by_byte(self) -> None:
        """The size of the pieces in which bytes arrive does not matter."""
        for byte in frames.encode(CONFIG) + frames.encode(PRESENCE):
            self.server.say_bytes(bytes([byte]))
        self.successResultOf(self.client.ready)
        self.assertEqual(self.events, [PRESENCE])

    def test_anything_else_first(self) -> None:
        """A server that begins with another message is hung up on."""
        self.server.say(PRESENCE)
        self.failureResultOf(self.client.ready, ProtocolViolation)
        self.assert_closed("SERVER_PRESENCE, not SERVER_CONFIG")

    def test_lost_before(self) -> None:
        """A connection that ends before the greeting fails ``ready``."""
        self.server.drop()
        self.failureResultOf(self.client.ready, ConnectionClosed)

    def test_sending_before(self) -> None:
        """Nobody has to wait for SERVER_CONFIG to ask something."""
        reply = self.client.request(wire.ListUsers(limit=0))
        self.server.say(CONFIG, wire.UserList())
        self.successResultOf(reply)

    def test_refused_at_the_door(self) -> None:
        """A server that is full says so, and so does the client (decisions 1.4)."""
        full = wire.Error(error_code=9002, message="Server full")
        self.server.say(CONFIG, full, wire.Disconnect(reason="Server full"))
        self.assertEqual(self.events, [full, wire.Disconnect(reason="Server full")])
        self.assert_closed("Server full")


class RequestTests(Connected):
    """Requests and their replies."""

    def test_reply_between_events(self) -> None:
        """What others cause does not disturb a request, and arrives as events."""
        reply = self.client.request(wire.ListUsers(limit=0))
        self.assertEqual(self.server.hear(), [wire.ListUsers(limit=0)])
        self.server.say(PRESENCE, wire.UserList(), PRESENCE)
        self.assertEqual(self.successResultOf(reply), wire.UserList())
        self.assertEqual(self.events, [PRESENCE, PRESENCE])

    def test_refusal(self) -> None:
        """ERROR fails the request."""
        reply = self.client.request(wire.ListUsers(limit=0, include_offline=True))
        self.server.say(wire.Error(error_code=3000, message="no"))
        self.failureResultOf(reply, ServerRefused)

    def test_timeout(self) -> None:
        """A request that is not answered fails at its time, and its late reply is no event."""
        reply = self.client.request(wire.ListUsers(limit=0), timeout=3.0)
        self.clock.advance(2.9)
        self.assertNoResult(reply)
        self.clock.advance(0.1)
        self.assertIn("LIST_USERS within 3 s", str(self.failureResultOf(reply, NoReply).value))
        self.server.say(wire.UserList())
        self.assertEqual(self.events, [])

    def test_answered_in_time(self) -> None:
        """An answered request leaves nothing behind in the clock but the heartbeat."""
        self.client.request(wire.ListUsers(limit=0))
        self.server.say(wire.UserList())
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_end_of_the_connection(self) -> None:
        """A request under way fails with the reason the server gave."""
        reply = self.client.request(wire.ListUsers(limit=0))
        self.server.say(wire.Disconnect(reason="Session timeout"))
        self.assertEqual(self.failureResultOf(reply, ConnectionClosed).value.reason, "Session timeout")

    def test_after_the_end(self) -> None:
        """A request on a closed connection fails at once; sending is without effect."""
        self.server.drop()
        self.failureResultOf(self.client.request(wire.ListUsers(limit=0)), ConnectionClosed)
        self.client.send(wire.Logout())
        self.assertEqual(self.server.heard, [])

    def test_unencodable(self) -> None:
        """A value without bytes is the caller's mistake and costs nothing else."""
        self.assertRaises(Unencodable, self.client.request, wire.ListUsers(limit=70000))
        self.assertTrue(self.client.is_open)

    def test_compressed(self) -> None:
        """Long texts are compressed both ways, once the server's version is known (decisions 1.2)."""
        long = wire.PostMessage(channel_id=1, content=b"a" * 4000)
        self.client.send(long)
        self.assertEqual(self.server.hear(), [long])
        self.server.say(wire.Error(error_code=9000, message="b" * 4000), compress=True)
        self.assertEqual(self.events, [wire.Error(error_code=9000, message="b" * 4000)])

    def test_failing_listener(self) -> None:
        """A listener that fails is logged and costs no event."""

        def fail(event: Message) -> None:
            self.events.append(event)
            raise RuntimeError("listener")

        self.client.on_event = fail
        self.server.say(PRESENCE, PRESENCE)
        self.assertEqual(self.events, [PRESENCE, PRESENCE])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)


class HostileServerTests(Connected):
    """What a broken or hostile server can do."""

    def test_malformed(self) -> None:
        """A message that cannot be read ends the connection with a reason that names it."""
        reply = self.client.request(wire.ListUsers(limit=0))
        self.server.say_bytes(b"\x00\x00\x00\x04\x02\x90\x00\x01")
        self.failureResultOf(reply, ProtocolViolation)
        self.assert_closed("PONG")

    def test_broken_framing(self) -> None:
        """A frame length out of bounds ends the connection, and nothing is reserved for it."""
        self.server.say_bytes(b"\xff\xff\xff\xff")
        self.assert_closed("frame length")

    def test_unknown_type(self) -> None:
        """A message type of a newer server is skipped."""
        self.server.say_bytes(b"\x00\x00\x00\x03\x02\xf0\x00" + frames.encode(PRESENCE))
        self.assertEqual(self.events, [PRESENCE])

    def test_nothing_after_the_goodbye(self) -> None:
        """What follows DISCONNECT is not looked at."""
        self.server.say(wire.Disconnect(), PRESENCE)
        self.assertEqual(self.events, [wire.Disconnect()])
        self.assert_closed("the server closed the connection")


class HeartbeatTests(Connected):
    """PING keeps the connection, and notices its loss."""

    def test_regularly(self) -> None:
        """A PING goes out every interval, and its PONG is no event."""
        for _ in range(5):
            self.clock.advance(30)
            [ping] = self.server.hear()
            assert isinstance(ping, wire.Ping)
            self.server.say(wire.Pong(client_timestamp=ping.timestamp))
        self.assertEqual(self.events, [])
        self.assertTrue(self.client.is_open)

    def test_silence(self) -> None:
        """Without any PONG for two intervals the connection counts as lost."""
        self.clock.advance(30)
        self.clock.advance(59)
        self.assertTrue(self.client.is_open)
        self.clock.advance(1)
        self.assert_closed("stopped answering")

    def test_interval(self) -> None:
        """The interval is the caller's choice."""
        client = ChatClient(self.clock, keepalive_seconds=5)
        server = ScriptedServer(client)
        server.greet()
        self.clock.advance(5)
        self.assertEqual(len(server.hear()), 1)

    def test_ends_with_the_connection(self) -> None:
        """A lost connection leaves no timer behind."""
        self.clock.advance(30)
        self.server.drop(ConnectionLost())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ClosingTests(Connected):
    """Saying goodbye."""

    def test_close(self) -> None:
        """The server is told, and the Deferred fires when the connection is gone."""
        closed = self.client.close("bye")
        self.assertEqual(self.server.hear(), [wire.Disconnect(reason="bye")])
        self.assertEqual(self.successResultOf(closed), "bye")
        self.assert_closed("bye")

    def test_twice(self) -> None:
        """Closing again is harmless."""
        self.client.close()
        self.successResultOf(self.client.close())
        self.assertEqual(len(self.server.hear()), 1)

    def test_peer_that_does_not_read(self) -> None:
        """A peer that never takes the last bytes is cut off after a bounded time."""
        self.server._transport.loseConnection = lambda: None  # type: ignore[method-assign]
        closed = self.client.close()
        self.clock.advance(CLOSE_SECONDS)
        self.successResultOf(closed)
        self.assertTrue(self.server.gone)

    def test_never_connected(self) -> None:
        """A client without connection is closed already."""
        self.successResultOf(ChatClient(self.clock).close())
