"""Limits, and peers that mean no good: what they get, and that nobody else notices."""

from __future__ import annotations

import os
import select
import struct
import threading
import time

from twisted.trial.unittest import SynchronousTestCase

from superchat.net.protocol import LINGER_SECONDS
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.frames import COMPRESSED, HEADER, MAX_LENGTH
from superchat.wire.records import Message
from tests.e2e.peers import Peer, Stream, TCPStream, WebSocketStream, connect, connect_websocket, frames_of, names
from tests.e2e.phrases import CHAT, page, posting
from tests.e2e.server import UNLIMITED, RunningServer

VIOLATION = [
    wire.Error(error_code=ErrorCode.INVALID_FRAME, message="Invalid frame"),
    wire.Disconnect(reason="Protocol violation"),
]
TOO_SLOW = wire.Disconnect(reason="Connection too slow")
TOO_MANY = "Too many connections from your address"
MIB = 1 << 20


def resident_bytes(pid: int) -> int:
    """How much memory a process has in use."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def ping(number: int) -> wire.Ping:
    """PING."""
    return wire.Ping(timestamp=number)


class SlowReaders(SynchronousTestCase):
    """Whoever does not read costs a bounded number of bytes, and nobody else anything (decisions 1.7)."""

    def test_slow_reader(self) -> None:
        """A reader that has stalled is let go past its budget, with a reason; the others get everything."""
        for websocket in (False, True):
            server = RunningServer(self, UNLIMITED + "max_message_length = 65000\n", websocket=True)
            stream: Stream
            if websocket:
                stream = WebSocketStream(server.http_port, receive_buffer_bytes=4096)
            else:
                stream = TCPStream(server.port, receive_buffer_bytes=4096)
            stalled = Peer(stream).named("stalled")
            self.addCleanup(stalled.close)
            stalled.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
            self.publish_until_it_is_gone(server)
            noticed = time.monotonic()
            try:
                came = stalled.rest()
            except ConnectionError:
                # Only who reads on within this time gets to the reason.
                self.assertGreater(time.monotonic() - noticed, LINGER_SECONDS / 2)
            else:
                self.assertEqual(came.pop(), TOO_SLOW)
                self.assertEqual(set(names(came)), {"NEW_MESSAGE", "SERVER_PRESENCE"})

    def publish_until_it_is_gone(self, server: RunningServer) -> None:
        """Post until everybody is told that the one who does not read has left."""
        publisher, reader = connect(self, server).named("publisher"), connect(self, server).named("reader")
        publisher.until(wire.ServerPresence, nickname="reader")
        reader.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
        before = resident_bytes(server.pid)
        noise = os.urandom(30_000).hex().encode()
        for _ in range(1000):
            publisher.ask_past_presence(posting(CHAT, noise), wire.MessagePosted)
            came = reader.receive()
            if isinstance(came, wire.ServerPresence):
                self.assertEqual((came.nickname, came.online), ("stalled", False))
                break
            assert isinstance(came, wire.NewMessage), came
            self.assertEqual(came.content, noise)
        else:
            self.fail("60 MB later it is still there")
        self.assertLess(resident_bytes(server.pid) - before, 30 * MIB)

    def test_asks_without_reading(self) -> None:
        """Who asks for more than it reads is not answered until it reads, and then is, in order."""
        server = RunningServer(self)
        greedy, other = connect(self, server).named("greedy"), connect(self, server)
        for _ in range(20):
            greedy.ask(posting(CHAT, os.urandom(2000).hex().encode()), wire.MessagePosted)
        self.assertEqual(len(greedy.ask(page(CHAT), wire.MessageList).messages), 20)
        before = resident_bytes(server.pid)
        greedy.send(*(page(CHAT) for _ in range(600)))  # the answers to these are about 25 MB, compressed
        for number in range(200):
            other.ask_past_presence(ping(number), wire.Pong)
        self.assertLess(resident_bytes(server.pid) - before, 12 * MIB)
        for _ in range(600):
            self.assertEqual(len(greedy.expect(wire.MessageList).messages), 20)
        self.assertEqual(greedy.caught_up(), [])


class FrameFloods(SynchronousTestCase):
    """More frames than allowed (decisions 1.9)."""

    def test_flood(self) -> None:
        """A flood earns ERROR 5000 once and is slowed down; every frame is answered, and others notice nothing."""
        config = "[limits]\nmax_frames_per_second = 200\nframe_burst = 50\nmax_connections_per_ip = 0\n"
        for transport in (connect, connect_websocket):
            server = RunningServer(self, config, websocket=True)
            flooder, other = transport(self, server), connect(self, server)
            started = time.monotonic()
            flooder.send(*(ping(number) for number in range(250)))
            for number in range(20):
                self.assertEqual(other.ask(ping(number), wire.Pong), wire.Pong(client_timestamp=number))
            came = [flooder.receive() for _ in range(251)]
            refused = [message for message in came if isinstance(message, wire.Error)]
            self.assertEqual([error.error_code for error in refused], [ErrorCode.RATE_LIMIT_EXCEEDED])
            self.assertGreaterEqual(came.index(refused[0]), 50)
            came.remove(refused[0])
            self.assertEqual(came, [wire.Pong(client_timestamp=number) for number in range(250)])
            self.assertGreater(time.monotonic() - started, 0.9)  # 200 frames above the burst, at 200 a second


class Door(SynchronousTestCase):
    """Who is let in (decisions 1.4)."""

    def turned_away(self, peer: Peer, code: ErrorCode, text: str) -> None:
        """After SERVER_CONFIG a client gets the error, the reason, and the end."""
        expected: list[Message] = [wire.Error(error_code=code, message=text), wire.Disconnect(reason=text)]
        self.assertEqual(peer.rest(), expected)

    def test_too_many_from_one_address(self) -> None:
        """max_connections_per_ip counts an address on all transports; a place that is left is free again."""
        anywhere = {"SUPERCHAT_SERVER_INTERFACE": ""}
        config = "[limits]\nmax_connections_per_ip = 3\n"
        server = RunningServer(self, config, websocket=True, environment=anywhere)
        first, *others = connect(self, server), connect(self, server), connect_websocket(self, server)
        for transport in (connect, connect_websocket):
            self.turned_away(transport(self, server), ErrorCode.CONNECTION_LIMIT, TOO_MANY)
        elsewhere = Peer(TCPStream(server.port, source="127.0.0.2"))
        self.addCleanup(elsewhere.close)
        elsewhere.expect(wire.ServerConfig)
        first.send(wire.Disconnect())
        self.assertEqual(first.rest(), [])
        others.append(connect(self, server))
        self.turned_away(connect(self, server), ErrorCode.CONNECTION_LIMIT, TOO_MANY)
        for peer in (elsewhere, *others):
            self.assertEqual(peer.caught_up(), [])

    def test_server_full(self) -> None:
        """max_users counts all connections; who comes above it is told so."""
        server = RunningServer(self, "[limits]\nmax_users = 2\nmax_connections_per_ip = 0\n")
        first, second = connect(self, server), connect(self, server)
        self.turned_away(connect(self, server), ErrorCode.SERVER_FULL, "Server is full")
        first.send(wire.Disconnect())
        self.assertEqual(first.rest(), [])
        for peer in (second, connect(self, server)):
            self.assertEqual(peer.caught_up(), [])

    def test_message_rate(self) -> None:
        """Posts above the rate are refused with 5001, one by one, and everything else goes on (decisions 4.10)."""
        server = RunningServer(self, "[limits]\nmessage_rate_limit = 3\n")
        alice = connect(self, server).named("alice")
        alice.send(*(posting(CHAT, b"%d" % number) for number in range(5)), page(CHAT))
        came = alice.caught_up()
        self.assertEqual(names(came), ["MESSAGE_POSTED"] * 3 + ["ERROR"] * 2 + ["MESSAGE_LIST"])
        for error in came[3:5]:
            assert isinstance(error, wire.Error)
            self.assertEqual(error.error_code, ErrorCode.MESSAGE_RATE_LIMIT)
        self.assertIn("Rate limit exceeded for session 1", server.log)


class Idle(SynchronousTestCase):
    """session_timeout_seconds (decisions 1.6)."""

    def test_idle_timeout(self) -> None:
        """That long after its last whole frame a session is told "Session timeout" and closed; others stay."""
        server = RunningServer(self, "[limits]\nsession_timeout_seconds = 1\n", websocket=True)
        silent, web, busy = connect(self, server), connect_websocket(self, server), connect(self, server)
        since = time.monotonic()
        for peer in (silent, web):
            peer.ask(ping(1), wire.Pong)
        silent.stream.send(silent.frames(ping(2))[:9])  # half a frame does not count
        for peer in (silent, web):
            while not readable(peer, 0.1):
                busy.ask(ping(3), wire.Pong)
            self.assertGreater(time.monotonic() - since, 0.95)
            self.assertEqual(peer.rest(), [wire.Disconnect(reason="Session timeout")])
        busy.ask(ping(4), wire.Pong)
        self.assertEqual(busy.rest(), [wire.Disconnect(reason="Session timeout")])


def readable(peer: Peer, seconds: float) -> bool:
    """Wait a moment for something to read."""
    return bool(select.select([peer.socket], [], [], seconds)[0])


class BrokenFrames(SynchronousTestCase):
    """Bytes that are no frames (decisions 1.5)."""

    def setUp(self) -> None:
        self.server = RunningServer(self, websocket=True)

    def test_framing_errors(self) -> None:
        """ERROR 1002, DISCONNECT "Protocol violation" and the end, on both transports; what came before is answered."""
        before = frames_of(ping(1), version=2)
        for broken in (
            b"\x00\x00\x00\x00",
            b"\x00\x00\x00\x02\x02\x10",
            struct.pack("!I", MAX_LENGTH + 1),
            b"\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
            HEADER.pack(3 + 3, 2, wire.Ping.CODE, COMPRESSED) + b"abc",
            HEADER.pack(3 + 20, 2, wire.Ping.CODE, COMPRESSED) + b"\x00\x00\x00\x08" + b"\xff" * 16,
            HEADER.pack(3 + 8, 2, wire.Ping.CODE, COMPRESSED) + b"\x7f\xff\xff\xff" + b"\xff" * 4,
        ):
            for transport in (connect, connect_websocket):
                peer = transport(self, self.server)
                peer.stream.send(before + broken + b"\x00" * 5000)
                self.assertEqual(peer.rest(), [wire.Pong(client_timestamp=1), *VIOLATION], broken)

    def test_half_a_frame(self) -> None:
        """A frame that never ends keeps only its own connection, and ending it later is answered."""
        peers = [transport(self, self.server) for transport in (connect, connect_websocket) for _ in range(5)]
        whole = frames_of(ping(1), version=2)
        for length, peer in enumerate(peers, 2):
            peer.stream.send(whole[: length % len(whole)])
        connect(self, self.server).ask(ping(2), wire.Pong)
        for length, peer in enumerate(peers, 2):
            peer.stream.send(whole[length % len(whole) :])
            self.assertEqual(peer.receive(), wire.Pong(client_timestamp=1))

    def test_announced_megabytes(self) -> None:
        """A length prefix of 1 MiB reserves nothing (decisions 1.5)."""
        before = resident_bytes(self.server.pid)
        peers = [transport(self, self.server) for transport in (connect, connect_websocket) for _ in range(100)]
        for peer in peers:
            peer.stream.send(struct.pack("!I", MAX_LENGTH) + b"\x02\x0a\x00")
        connect(self, self.server).ask(ping(2), wire.Pong)
        for peer in peers:
            peer.stream.send(b"\x00" * 100)
        connect(self, self.server).ask(ping(2), wire.Pong)
        self.assertLess(resident_bytes(self.server.pid) - before, 40 * MIB)

    def test_whole_megabyte(self) -> None:
        """A frame of exactly the largest size is read and answered."""
        for transport in (connect, connect_websocket):
            peer = transport(self, self.server)
            head = HEADER.pack(MAX_LENGTH, 2, wire.Ping.CODE, 0)
            peer.stream.send(head + (9).to_bytes(8, "big") + bytes(MAX_LENGTH - 11))
            self.assertEqual(peer.receive(), wire.Pong(client_timestamp=9))

    def test_very_many_tiny_frames(self) -> None:
        """Tens of thousands of the smallest frames in one stream are each answered, while others talk."""
        number = 30_000
        flooder, other = connect(self, self.server), connect(self, self.server)
        before = resident_bytes(self.server.pid)
        tiny = HEADER.pack(3, 2, wire.LeaveChannel.CODE, 0)
        sending = threading.Thread(target=flooder.stream.send, args=(tiny * number,))
        sending.start()
        self.addCleanup(sending.join)
        for count in range(number):
            self.assertFalse(flooder.expect(wire.LeaveResponse).success)
            if not count % 1000:
                other.ask(ping(count), wire.Pong)
        self.assertEqual(flooder.caught_up(), [])
        self.assertLess(resident_bytes(self.server.pid) - before, 12 * MIB)


class WebSocketBreaches(SynchronousTestCase):
    """What is no WebSocket, or no binary one (reference 1.3)."""

    def test_text_message(self) -> None:
        """A text message ends the connection, and only that one."""
        server = RunningServer(self, websocket=True)
        web, other = connect_websocket(self, server), connect_websocket(self, server)
        stream = web.stream
        assert isinstance(stream, WebSocketStream)
        stream.stream.send(b"\x81\x85\x00\x00\x00\x00hello")
        self.assertEqual(web.rest(), [])
        self.assertEqual(stream.close_code, 1003)
        other.ask(ping(1), wire.Pong)
