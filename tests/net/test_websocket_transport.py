"""Tests for `superchat.net.websocket_transport`, over the real site and its channel in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, Pong, Request, TextMessage
from zope.interface.verify import verifyObject

from superchat.net.websocket_frames import THROTTLE_SECONDS
from superchat.net.websocket_transport import FRAMES_AT_ONCE, plain_address
from tests.net.small_socket import SmallSocket
from tests.net.websocket_peer import (
    CLIENT_ADDRESS,
    RecordedProducer,
    Recorder,
    RecorderFactory,
    WebSocketPeer,
    client_frame,
    protocol_frame,
    site_for,
)

FRAMES = [protocol_frame(7), protocol_frame(150), protocol_frame(70_000)]


class Writing(SynchronousTestCase):
    """From the protocol to the client."""

    def setUp(self) -> None:
        self.peer = WebSocketPeer().connect()
        self.transport = self.peer.server.transport

    def test_interfaces(self) -> None:
        """A protocol that runs on TCP runs on a WebSocket."""
        for interface in (ITransport, IPushProducer, IConsumer):
            self.assertTrue(verifyObject(interface, self.transport))

    def test_one_write(self) -> None:
        """Several frames are one binary message each, and one write to TCP (decisions 1.3)."""
        before = len(self.peer.wire.writes)
        self.transport.write(b"".join(FRAMES))
        self.assertEqual(len(self.peer.wire.writes), before + 1)
        self.assertEqual(self.peer.messages(), FRAMES)

    def test_sequence(self) -> None:
        """Chunks are one write as well, even where they are cut inside a frame."""
        stream = b"".join(FRAMES)
        before = len(self.peer.wire.writes)
        self.transport.writeSequence([stream[:5], stream[5:100], stream[100:]])
        self.assertEqual(len(self.peer.wire.writes), before + 1)
        self.assertEqual(self.peer.messages(), FRAMES)

    def test_nothing(self) -> None:
        """Writing nothing sends nothing: an empty message would end the stream for some clients (wire 2)."""
        self.transport.write(b"")
        self.transport.writeSequence([])
        self.assertEqual(self.peer.unread(), b"")


class Reading(SynchronousTestCase):
    """From the client to the protocol."""

    def setUp(self) -> None:
        self.peer = WebSocketPeer().connect()
        self.server = self.peer.server

    def stream(self) -> bytes:
        """Frames in one message, in several, with pings, fragments and empty messages in between."""
        events = [
            BytesMessage(FRAMES[0] + FRAMES[1]),
            Ping(b"mid"),
            BytesMessage(FRAMES[1][:3], message_finished=False),
            Ping(b"fragment"),
            BytesMessage(b"", message_finished=False),
            BytesMessage(FRAMES[1][3:]),
            BytesMessage(b""),
            BytesMessage(FRAMES[0]),
        ]
        return b"".join(self.peer.client.send(event) for event in events)

    def check_stream(self) -> None:
        self.peer.clock.advance(0)
        self.assertEqual(self.server.data, FRAMES[0] + FRAMES[1] + FRAMES[1] + FRAMES[0])
        self.assertNotIn(b"", self.server.chunks)
        self.assertEqual(self.peer.events(), [Pong(b"mid"), Pong(b"fragment")])

    def test_whole(self) -> None:
        """Message boundaries carry no meaning, and empty messages say nothing (wire 2)."""
        self.peer.send_bytes(self.stream())
        self.check_stream()

    def test_byte_by_byte(self) -> None:
        """The same arrives if TCP delivers single bytes."""
        for byte in self.stream():
            self.peer.send_bytes(bytes((byte,)))
        self.check_stream()

    def test_every_split(self) -> None:
        """The same arrives wherever TCP cuts."""
        for cut in range(1, len(self.stream())):
            self.setUp()
            stream = self.stream()
            self.peer.send_bytes(stream[:cut])
            self.peer.send_bytes(stream[cut:])
            self.check_stream()

    def test_not_held_back(self) -> None:
        """What has arrived of a message is handed on at once; no message is gathered in memory."""
        self.peer.send_bytes(client_frame(0x02, b"first", announced_length=1_000_000))
        self.assertEqual(self.server.data, b"first")

    def test_pong_is_ignored(self) -> None:
        """An unasked pong is nothing to complain about (RFC 6455 5.5.3)."""
        self.peer.send(Pong(b"beat"), BytesMessage(b"data"))
        self.assertEqual(self.server.data, b"data")
        self.assertEqual(self.peer.unread(), b"")


class Breaches(SynchronousTestCase):
    """Clients that do not keep to RFC 6455 or to the limits."""

    def check(self, data: bytes, code: int, **options: Any) -> None:
        """The client that sends `data` is told `code` and disconnected, byte by byte or in one piece."""
        for pieces in ([data], [bytes((byte,)) for byte in data]):
            peer = WebSocketPeer(**options).connect()
            for piece in pieces:
                peer.send_bytes(piece)
            peer.send_bytes(client_frame(0x82, b"more"))
            (close,) = peer.events()
            self.assertIsInstance(close, CloseConnection)
            self.assertEqual((close.code, bool(close.reason)), (code, True))
            self.assertTrue(peer.wire.disconnecting)
            self.assertEqual(peer.server.data, b"")
            peer.channel.connectionLost(Failure(ConnectionDone()))
            (reason,) = peer.server.lost
            self.assertTrue(reason.check(ConnectionLost))
            self.assertIn(str(code), reason.getErrorMessage())
            self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_text(self) -> None:
        """A text message closes the connection with 1003 (reference 1.3), an empty or fragmented one too."""
        self.check(client_frame(0x81, b"hello"), 1003)
        self.check(client_frame(0x81), 1003)
        self.check(client_frame(0x01, b"\xc3"), 1003)

    def test_too_big(self) -> None:
        """A message over the limit closes the connection with 1009 before it is read."""
        self.check(client_frame(0x82, announced_length=1_048_581), 1009)
        self.check(client_frame(0x82, announced_length=101), 1009, max_message_bytes=100)

    def test_unmasked(self) -> None:
        """An unmasked frame closes the connection with 1002 (RFC 6455 5.1)."""
        self.check(b"\x82\x03abc", 1002)

    def test_malformed(self) -> None:
        """So does everything else that is no frame: reserved bits and opcodes, wrong lengths and order."""
        for data in (
            client_frame(0xC2, b"compressed"),
            client_frame(0x83, b"opcode"),
            client_frame(0x8B, b"opcode"),
            client_frame(0x80, b"continues nothing"),
            client_frame(0x09, b"fragmented ping"),
            client_frame(0x89, bytes(126)),
            b"\x82\xfe\x00\x05",
            b"\x82\xff" + bytes(7) + b"\x05",
            b"\x82\xff\x80" + bytes(7),
            client_frame(0x88, b"\x03"),
            client_frame(0x88, b"\x03\xed"),
            client_frame(0x88, b"\xff\xff"),
        ):
            self.check(data, 1002)

    def test_message_in_message(self) -> None:
        """A new message before the last fragment of the old one closes the connection with 1002."""
        peer = WebSocketPeer().connect()
        peer.send_bytes(client_frame(0x02, b"one") + client_frame(0x82, b"two"))
        self.assertEqual(peer.server.data, b"one")
        (close,) = peer.events()
        self.assertEqual(close.code, 1002)

    def test_bad_reason(self) -> None:
        """A close reason that is not UTF-8 is answered with 1007."""
        self.check(client_frame(0x88, b"\x03\xe8\xff"), 1007)

    def test_protocol_is_bounded(self) -> None:
        """If the client does not close its end after a breach, it is cut off when the time is up."""
        peer = WebSocketPeer(close_timeout_seconds=5.0).connect()
        peer.send(TextMessage("hello"))
        self.assertFalse(peer.wire.disconnected)
        peer.clock.advance(5.0)
        self.assertTrue(peer.wire.disconnected)


class Closing(SynchronousTestCase):
    """Close handshakes, from both ends, and what is left when one goes wrong."""

    def setUp(self) -> None:
        self.peer = WebSocketPeer(close_timeout_seconds=5.0).connect()
        self.server = self.peer.server
        self.transport = self.server.transport

    def test_by_client(self) -> None:
        """A client that closes gets its code back, after its last data was handed on; TCP closes first here."""
        for code in (1000, 1001, 3000, 4999):
            self.setUp()
            self.peer.send(BytesMessage(b"last words"), CloseConnection(code, "bye"))
            self.assertEqual(self.server.data, b"last words")
            self.assertEqual(self.peer.events(), [CloseConnection(code, "bye")])
            self.assertTrue(self.peer.wire.disconnecting)
            self.assertFalse(self.peer.wire.disconnected)

    def test_by_client_without_code(self) -> None:
        """A Close frame without a code is answered by one without a code."""
        self.peer.send_bytes(client_frame(0x88))
        self.assertEqual(self.peer.unread(), b"\x88\x00")
        self.assertTrue(self.peer.wire.disconnecting)

    def test_after_close_by_client(self) -> None:
        """Nothing is read or written after the client's Close frame."""
        self.peer.send(CloseConnection(1000))
        self.peer.unread()
        self.peer.send_bytes(client_frame(0x82, b"late"))
        self.transport.write(FRAMES[0])
        self.assertEqual((self.server.data, self.peer.unread()), (b"", b""))

    def test_by_server(self) -> None:
        """The server closes with 1000 after all it has written, and ends TCP when the client has answered."""
        self.transport.write(FRAMES[0])
        self.transport.loseConnection()
        message, close = self.peer.events()
        self.assertEqual(message, BytesMessage(FRAMES[0]))
        self.assertIsInstance(close, CloseConnection)
        self.assertEqual(close.code, 1000)
        self.assertFalse(self.peer.wire.disconnecting)
        self.peer.send(CloseConnection(1000))
        self.assertTrue(self.peer.wire.disconnecting)
        self.assertEqual(self.peer.unread(), b"")

    def test_after_close_by_server(self) -> None:
        """Once the server has closed, nothing more is written, and what the client had under way is dropped."""
        self.transport.loseConnection()
        self.peer.unread()
        self.transport.write(FRAMES[0])
        self.transport.loseConnection()
        self.transport.stopProducing()
        self.peer.send_bytes(client_frame(0x82, b"late") + client_frame(0x89, b"ping"))
        self.assertEqual((self.server.data, self.peer.unread()), (b"", b""))
        self.peer.send_bytes(client_frame(0x88, b"\x03\xe8"))
        self.assertTrue(self.peer.wire.disconnecting)

    def test_breach_while_closing(self) -> None:
        """A client that answers a Close frame with nonsense is not sent a second one."""
        self.transport.loseConnection()
        self.peer.unread()
        self.peer.send_bytes(b"\x82\x01x")
        self.assertEqual(self.peer.unread(), b"")
        self.assertTrue(self.peer.wire.disconnecting)

    def test_unanswered(self) -> None:
        """A client that never answers the Close frame is cut off when the time is up."""
        self.transport.loseConnection()
        self.peer.clock.advance(4.9)
        self.assertFalse(self.peer.wire.disconnected)
        self.peer.clock.advance(0.2)
        self.assertTrue(self.peer.wire.disconnected)

    def test_in_the_middle(self) -> None:
        """A protocol that closes on what it reads gets nothing of what follows, even in the same piece."""
        self.server.react = lambda data: self.transport.loseConnection()
        self.peer.send(BytesMessage(b"one"), BytesMessage(b"two"))
        self.assertEqual(self.server.chunks, [b"one"])

    def test_abort(self) -> None:
        """Aborting ends TCP at once, without a Close frame; nothing more is read or written."""
        self.transport.abortConnection()
        self.assertTrue(self.peer.wire.disconnected)
        self.peer.send_bytes(client_frame(0x82, b"late"))
        self.transport.write(FRAMES[0])
        self.transport.loseConnection()
        self.assertEqual((self.server.data, self.peer.unread()), (b"", b""))

    def test_abort_while_closing(self) -> None:
        """A close that takes too long for the protocol can be cut short."""
        self.transport.loseConnection()
        self.transport.abortConnection()
        self.assertTrue(self.peer.wire.disconnected)

    def test_lost(self) -> None:
        """The protocol hears once, and with TCP's reason, that the connection is gone; no timer stays behind."""
        self.transport.pauseProducing()
        self.transport.resumeProducing()
        self.transport.loseConnection()
        reason = Failure(ConnectionDone())
        self.peer.channel.connectionLost(reason)
        self.assertEqual(self.server.lost, [reason])
        self.peer.clock.advance(0)
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])

    def test_lost_and_used(self) -> None:
        """What a protocol still does with a connection that is gone has no effect."""
        self.transport.pauseProducing()
        self.peer.channel.connectionLost(Failure(ConnectionDone()))
        self.transport.write(FRAMES[0])
        self.transport.resumeProducing()
        self.transport.pauseProducing()
        self.transport.loseConnection()
        self.assertEqual(self.peer.unread(), b"")
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])


class Pausing(SynchronousTestCase):
    """A protocol that reads no faster than it wants to."""

    def setUp(self) -> None:
        self.peer = WebSocketPeer().connect()
        self.server = self.peer.server
        self.transport = self.server.transport

    def test_pause(self) -> None:
        """While a protocol pauses, TCP is not read and it gets nothing; then it gets everything, in order."""
        self.server.react = lambda data: self.transport.pauseProducing()
        self.peer.send(BytesMessage(b"one"), BytesMessage(b"two"), BytesMessage(b"three"))
        self.assertEqual(self.server.chunks, [b"one"])
        self.assertEqual(self.peer.wire.producerState, "paused")
        self.transport.resumeProducing()
        self.assertEqual(self.server.chunks, [b"one"])  # not from within the call
        self.peer.clock.advance(0)
        self.assertEqual(self.server.chunks, [b"one", b"two"])
        self.assertEqual(self.peer.wire.producerState, "paused")
        self.server.react = None
        self.transport.resumeProducing()
        self.peer.clock.advance(0)
        self.assertEqual(self.server.chunks, [b"one", b"two", b"three"])
        self.assertEqual(self.peer.wire.producerState, "producing")

    def test_late_bytes(self) -> None:
        """Bytes that a transport delivers after it was paused wait as well, and keep their place."""
        self.transport.pauseProducing()
        self.peer.send(BytesMessage(b"one"))
        self.assertEqual(self.server.chunks, [])
        self.transport.resumeProducing()
        self.peer.send(BytesMessage(b"two"))
        self.assertEqual(self.server.chunks, [])
        self.peer.clock.advance(0)
        self.assertEqual(self.server.chunks, [b"one", b"two"])

    def test_pause_again(self) -> None:
        """A pause right after a resume holds."""
        self.transport.pauseProducing()
        self.peer.send(BytesMessage(b"one"))
        self.transport.resumeProducing()
        self.transport.pauseProducing()
        self.peer.clock.advance(1)
        self.assertEqual(self.server.chunks, [])
        self.assertEqual(self.peer.wire.producerState, "paused")

    def test_close_while_paused(self) -> None:
        """A protocol that pauses and then closes is not left waiting for an answer nobody reads."""
        self.transport.pauseProducing()
        self.peer.send(BytesMessage(b"unread"))
        self.transport.loseConnection()
        self.peer.send_bytes(client_frame(0x88, b"\x03\xe8"))
        self.peer.clock.advance(0)
        self.assertEqual(self.server.chunks, [])
        self.assertTrue(self.peer.wire.disconnecting)

    def test_failing_protocol(self) -> None:
        """A protocol that fails on bytes it gets later is logged and cut off, as it would be on TCP."""

        def fail(data: bytes) -> None:
            raise RuntimeError("boom")

        self.transport.pauseProducing()
        self.peer.send(BytesMessage(b"one"), BytesMessage(b"two"))
        self.server.react = fail
        self.transport.resumeProducing()
        self.peer.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertTrue(self.peer.wire.disconnected)
        self.assertEqual(self.server.chunks, [b"one"])


class Flood(SynchronousTestCase):
    """Clients that send more WebSocket frames than anybody needs."""

    def test_a_few_at_once(self) -> None:
        """Of many frames that arrive together a few are read at once, and the others later, and no more meanwhile."""
        peer = WebSocketPeer().connect()
        peer.send_bytes(client_frame(0x82, b"x") * (2 * FRAMES_AT_ONCE + 1))
        self.assertEqual(len(peer.server.data), FRAMES_AT_ONCE)
        self.assertEqual(peer.wire.producerState, "paused")
        peer.clock.advance(0)
        self.assertEqual(len(peer.server.data), 2 * FRAMES_AT_ONCE + 1)
        self.assertEqual(peer.wire.producerState, "producing")

    def test_lost_between_turns(self) -> None:
        """What is left of a peer's frames is dropped when its connection is lost."""
        peer = WebSocketPeer().connect()
        peer.send_bytes(client_frame(0x82, b"x") * (FRAMES_AT_ONCE + 1))
        peer.channel.connectionLost(Failure(ConnectionDone()))
        peer.clock.advance(0)
        self.assertEqual(len(peer.server.data), FRAMES_AT_ONCE)
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_throttled(self) -> None:
        """A flood of tiny frames is read at the allowed pace, completely and in order (decisions 1.9)."""
        peer = WebSocketPeer(max_frames_per_second=lambda: 100).connect()
        sent = bytes(range(250))
        peer.send_bytes(b"".join(client_frame(0x82, bytes((byte,))) for byte in sent))
        peer.clock.advance(0)
        self.assertEqual(peer.server.data, sent[:101])
        self.assertEqual(peer.wire.producerState, "paused")
        while len(peer.server.data) < len(sent):
            before = len(peer.server.data)
            peer.clock.advance(THROTTLE_SECONDS + 1e-6)
            self.assertLessEqual(len(peer.server.data) - before, 12)
        self.assertEqual(peer.server.data, sent)
        self.assertGreater(peer.clock.seconds(), 1.3)
        self.assertEqual(peer.wire.producerState, "producing")

    def test_pings(self) -> None:
        """Pings and empty messages count too, each for as many as carry a frame of the protocol."""
        peer = WebSocketPeer(max_frames_per_second=lambda: 100).connect()
        peer.send_bytes((client_frame(0x89) + client_frame(0x82)) * 100 + client_frame(0x82, b"end"))
        peer.clock.advance(0)
        self.assertEqual(peer.server.data, b"")
        self.assertEqual(len(peer.events()), 11)

    def test_pause_and_throttle(self) -> None:
        """The end of the throttling does not end the protocol's own pause."""
        peer = WebSocketPeer(max_frames_per_second=lambda: 100).connect()
        peer.send_bytes(client_frame(0x82, b"x") * 150)
        peer.clock.advance(0)
        peer.server.transport.pauseProducing()
        peer.clock.advance(10)
        self.assertEqual(len(peer.server.chunks), 101)
        peer.server.transport.resumeProducing()
        peer.clock.advance(0)
        self.assertEqual(len(peer.server.chunks), 150)

    def test_lost_while_throttled(self) -> None:
        """No timer stays behind if the flooding client goes."""
        peer = WebSocketPeer(max_frames_per_second=lambda: 100).connect()
        peer.send_bytes(client_frame(0x82, b"x") * 150)
        peer.clock.advance(0)
        peer.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(peer.clock.getDelayedCalls(), [])


class BackPressure(SynchronousTestCase):
    """Clients that read slowly. The stream's producer is told what a TCP transport would tell it."""

    def setUp(self) -> None:
        self.peer = WebSocketPeer(close_timeout_seconds=5.0).connect()
        self.transport = self.peer.server.transport
        self.producer = RecordedProducer()
        self.stream = self.peer.wire.producer

    def test_passed_on(self) -> None:
        """The producer above is told to pause and to resume when the stream below is."""
        self.transport.registerProducer(self.producer, True)
        self.stream.pauseProducing()
        self.stream.resumeProducing()
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_unregistered(self) -> None:
        """A producer that is unregistered is told nothing more; another one may take its place."""
        self.transport.registerProducer(self.producer, True)
        self.transport.unregisterProducer()
        self.stream.pauseProducing()
        self.stream.resumeProducing()
        self.assertEqual(self.producer.told, [])
        self.transport.registerProducer(RecordedProducer(), True)

    def test_refused(self) -> None:
        """A second producer is refused as on TCP, and so is one that wants to be pulled."""
        with self.assertRaises(ValueError):
            self.transport.registerProducer(self.producer, False)
        self.transport.registerProducer(self.producer, True)
        with self.assertRaises(RuntimeError):
            self.transport.registerProducer(RecordedProducer(), True)

    def test_stopped(self) -> None:
        """The producer is stopped once when the connection is lost, and at once if it comes too late."""
        self.transport.registerProducer(self.producer, True)
        self.stream.stopProducing()
        self.peer.channel.connectionLost(Failure(ConnectionDone()))
        late = RecordedProducer()
        self.transport.registerProducer(late, True)
        self.assertEqual((self.producer.told, late.told), (["stop"], ["stop"]))

    def test_close_waits(self) -> None:
        """A paused producer may finish before the Close frame goes out, as TCP lets it finish before FIN."""
        self.transport.registerProducer(self.producer, True)
        self.stream.pauseProducing()
        self.transport.loseConnection()
        self.assertEqual(self.peer.messages(), [])
        self.producer.react = lambda: self.transport.write(FRAMES[0])
        self.stream.resumeProducing()
        message, close = self.peer.events()
        self.assertEqual(message, BytesMessage(FRAMES[0]))
        self.assertIsInstance(close, CloseConnection)

    def test_close_waits_again(self) -> None:
        """The Close frame waits for as long as the producer fills the stream anew."""

        def refill() -> None:
            self.transport.write(FRAMES[0])
            self.stream.pauseProducing()

        self.transport.registerProducer(self.producer, True)
        self.stream.pauseProducing()
        self.transport.loseConnection()
        self.producer.react = refill
        self.stream.resumeProducing()
        self.assertEqual(self.peer.messages(), [FRAMES[0]])
        self.transport.unregisterProducer()
        self.assertIsInstance(self.peer.events()[0], CloseConnection)

    def test_close_is_bounded(self) -> None:
        """A client that does not read delays the end of its connection only until the time is up."""
        self.transport.registerProducer(self.producer, True)
        self.stream.pauseProducing()
        self.transport.loseConnection()
        self.peer.clock.advance(5.0)
        self.assertTrue(self.peer.wire.disconnected)

    def test_close_without_producer(self) -> None:
        """Without a producer the Close frame is written at once, behind what waits."""
        self.stream.pauseProducing()
        self.transport.loseConnection()
        self.assertIsInstance(self.peer.events()[0], CloseConnection)

    def test_client_closes(self) -> None:
        """A client that closes without having read everything is answered; nobody waits for the producer."""
        self.transport.registerProducer(self.producer, True)
        self.stream.pauseProducing()
        self.peer.send(CloseConnection(1000))
        self.assertIsInstance(self.peer.events()[0], CloseConnection)
        self.assertTrue(self.peer.wire.disconnecting)
        self.assertIsNone(self.peer.wire.producer)

    def test_pings_unread(self) -> None:
        """Pongs for a client that does not read do not pile up: it gets the last one when it reads again."""
        self.stream.pauseProducing()
        for number in range(100):
            self.peer.send(Ping(b"%d" % number))
        self.assertEqual(self.peer.unread(), b"")
        self.stream.resumeProducing()
        self.assertEqual(self.peer.events(), [Pong(b"99")])


class OverTCP(SynchronousTestCase):
    """A plain TCP stream is sent to directly, over a real socket with a real, small kernel buffer."""

    def setUp(self) -> None:
        factory = RecorderFactory()
        self.server: Recorder = factory.recorder
        self.server.greeting = protocol_frame(12)
        self.client = WSConnection(ConnectionType.CLIENT)
        clock = Clock()
        self.channel: Any = site_for(factory, clock).buildProtocol(CLIENT_ADDRESS)
        self.socket = SmallSocket(self.channel)
        self.addCleanup(self.socket.close)
        self.channel.dataReceived(self.client.send(Request(host="chat.example", target="/ws")))
        self.transport = self.server.transport

    def received(self, data: bytes) -> list[Event]:
        """What the client has seen so far, a message for each of its parts."""
        self.client.receive_data(data)
        return [*self.client.events()]

    def greeted(self) -> None:
        """Let the client read all there is at the beginning."""
        accepted, greeting = self.received(self.socket.drain())
        self.assertIsInstance(accepted, AcceptConnection)
        self.assertEqual(greeting, BytesMessage(protocol_frame(12)))

    def test_handshake_first(self) -> None:
        """Nothing overtakes the response to the handshake, which the transport still holds when the protocol begins."""
        self.assertTrue(self.socket.is_writing)
        self.assertEqual(self.socket.read(), b"")
        self.greeted()

    def test_direct(self) -> None:
        """After that a small message is with the kernel at once, without the reactor's writing."""
        self.greeted()
        self.transport.write(FRAMES[1])
        self.assertFalse(self.socket.is_writing)
        self.assertEqual(self.received(self.socket.read()), [BytesMessage(FRAMES[1])])

    def test_order(self) -> None:
        """Nothing overtakes or cuts what the kernel did not take at once: no later message, and no pong."""
        self.greeted()
        producer = RecordedProducer()
        self.transport.registerProducer(producer, True)
        self.transport.write(FRAMES[2])
        self.assertEqual((producer.told, self.socket.is_writing), (["pause"], True))
        self.transport.write(FRAMES[0])
        self.channel.dataReceived(self.client.send(Ping(b"1")) + self.client.send(Ping(b"2")))
        producer.react = lambda: self.transport.write(FRAMES[1])
        *parts, first, last, pong = self.received(self.socket.drain())
        self.assertEqual(b"".join(part.data for part in parts if isinstance(part, BytesMessage)), FRAMES[2])
        self.assertEqual([first, last, pong], [BytesMessage(FRAMES[0]), BytesMessage(FRAMES[1]), Pong(b"2")])
        self.assertEqual((producer.told, self.socket.is_writing), (["pause", "resume"], False))

    def test_close_while_waiting(self) -> None:
        """A Close frame of the client's is answered behind what waits, and then the connection ends."""
        self.greeted()
        self.transport.write(FRAMES[2])
        self.channel.dataReceived(self.client.send(CloseConnection(1000)))
        *parts, close = self.received(self.socket.drain())
        self.assertEqual(b"".join(part.data for part in parts if isinstance(part, BytesMessage)), FRAMES[2])
        self.assertIsInstance(close, CloseConnection)
        self.assertTrue(self.socket.transport.disconnecting)

    def test_broken(self) -> None:
        """A connection that breaks is left to the transport to find out."""
        self.greeted()
        self.socket.close_peer()
        self.transport.write(FRAMES[0])
        self.assertTrue(self.socket.is_writing)


class Addresses(SynchronousTestCase):
    """Who is at the other end."""

    def test_plain(self) -> None:
        """An IPv4 address mapped into IPv6 counts as IPv4, any other address as what it is (decisions 1.4)."""
        for address, plain in (
            (IPv6Address("TCP", "::ffff:192.0.2.7", 9), IPv4Address("TCP", "192.0.2.7", 9)),
            (IPv6Address("TCP", "2001:db8::7", 9), IPv6Address("TCP", "2001:db8::7", 9)),
            (IPv6Address("TCP", "fe80::1%lo", 9), IPv6Address("TCP", "fe80::1%lo", 9)),
            (IPv4Address("TCP", "192.0.2.7", 9), IPv4Address("TCP", "192.0.2.7", 9)),
            (UNIXAddress(b"/run/socket"), UNIXAddress(b"/run/socket")),
        ):
            self.assertEqual(plain_address(address), plain)

    def test_transport(self) -> None:
        """The factory and the protocol learn the plain address."""
        peer = WebSocketPeer(address=IPv6Address("TCP", "::ffff:192.0.2.7", 9)).connect()
        plain = IPv4Address("TCP", "192.0.2.7", 9)
        self.assertEqual(peer.factory.address, plain)
        self.assertEqual(peer.server.transport.getPeer(), plain)
        self.assertEqual(peer.server.transport.getHost(), IPv4Address("TCP", "10.0.0.1", 12345))
