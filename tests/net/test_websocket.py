"""Tests for `superchat.net.websocket`: the site and the handshake in memory, and the whole over real sockets."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Request
from wsproto.extensions import PerMessageDeflate

from superchat.net.http import REQUEST_TIMEOUT_SECONDS
from tests.net.websocket_peer import (
    CLIENT_ADDRESS,
    RecorderFactory,
    WebSocketPeer,
    client_frame,
    protocol_frame,
    site_for,
)

FRAME = protocol_frame(40)
HEAD = {
    "Host": "chat.example",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def request(line: str = "GET /ws HTTP/1.1", **changes: str | None) -> bytes:
    """A handshake request whose headers are those of RFC 6455's example but for `changes` (None: left out)."""
    head = HEAD | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [line, *(f"{name}: {value}" for name, value in head.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode()


def answer_to(data: bytes, **options: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer to a request."""
    peer = WebSocketPeer(**options)
    peer.send_bytes(data)
    head, _, body = peer.unread().partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


class Handshake(SynchronousTestCase):
    """GET /ws."""

    def test_accepted(self) -> None:
        """The answer to the example of RFC 6455 is the one given there, and names no extension or subprotocol."""
        peer = WebSocketPeer()
        peer.send_bytes(request(Sec_WebSocket_Extensions="permessage-deflate", Sec_WebSocket_Protocol="chat"))
        self.assertEqual(
            peer.unread(),
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Upgrade: websocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )

    def test_greeting(self) -> None:
        """What the protocol says first is the first message, right behind the handshake (decisions 1.1)."""
        peer = WebSocketPeer()
        peer.server.greeting = FRAME
        peer.channel.dataReceived(peer.handshake(extensions=[PerMessageDeflate()]))
        accepted, message = peer.events()
        self.assertEqual(accepted, AcceptConnection())
        self.assertEqual(message, BytesMessage(FRAME))
        self.assertEqual(peer.factory.address, CLIENT_ADDRESS)

    def test_byte_by_byte(self) -> None:
        """The handshake may arrive in single bytes."""
        peer = WebSocketPeer()
        for byte in peer.handshake():
            self.assertEqual(peer.unread(), b"")
            peer.send_bytes(bytes((byte,)))
        self.assertEqual(peer.events(), [AcceptConnection()])

    def test_early_data(self) -> None:
        """Bytes that come in one piece with the handshake are not lost, wherever the piece ends."""
        early = client_frame(0x82, b"early") + client_frame(0x82, b"bird")
        for cut in range(len(early) + 1):
            peer = WebSocketPeer()
            peer.send_bytes(request() + early[:cut])
            peer.send_bytes(early[cut:])
            self.assertEqual(peer.server.data, b"earlybird")

    def test_second_request(self) -> None:
        """A connection has one request: whatever is behind a plain one does not become a WebSocket."""
        peer = WebSocketPeer()
        peer.send_bytes(b"GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n" + request() + client_frame(0x82, b"x"))
        self.assertEqual(peer.unread().count(b"HTTP/1.1 "), 1)
        self.assertTrue(peer.wire.disconnecting)
        self.assertIsNone(peer.factory.address)

    def test_no_upgrade(self) -> None:
        """A GET request that asks for no WebSocket gets 426 and a sentence that says what this is."""
        for data in (
            request(Upgrade=None),
            request(Upgrade="h2c"),
            request(Connection=None),
            request(Connection="keep-alive"),
            request("GET /ws HTTP/1.0"),
        ):
            code, headers, body = answer_to(data)
            self.assertEqual((code, headers[b"Upgrade"]), (426, b"websocket"))
            self.assertIn(b"WebSocket endpoint", body)
        peer = WebSocketPeer()
        peer.send_bytes(request(Upgrade=None))
        self.assertTrue(peer.unread().startswith(b"HTTP/1.1 426 Upgrade Required\r\n"))

    def test_method(self) -> None:
        """Other methods get 405; HEAD gets no body."""
        for method in ("POST", "PUT", "OPTIONS", "BREW"):
            code, headers, body = answer_to(request(f"{method} /ws HTTP/1.1"))
            self.assertEqual((code, headers[b"Allow"], bool(body)), (405, b"GET", True))
        code, _, body = answer_to(request("HEAD /ws HTTP/1.1"))
        self.assertEqual((code, body), (405, b""))

    def test_version(self) -> None:
        """Another version of the WebSocket protocol gets 426 and the version that is spoken."""
        for version in ("8", "12, 14", None):
            code, headers, _ = answer_to(request(Sec_WebSocket_Version=version))
            self.assertEqual((code, headers[b"Sec-Websocket-Version"]), (426, b"13"))

    def test_key(self) -> None:
        """The key must be 16 bytes in Base64, given once."""
        for key in (None, "", "short", "c2hvcnQ=", "!" * 24, f"x\r\nSec-WebSocket-Key: {'A' * 22}=="):
            self.assertEqual(answer_to(request(Sec_WebSocket_Key=key))[0], 400)

    def test_bad_request(self) -> None:
        """A handshake without a Host header or with a body is refused."""
        for data in (
            request(Host=None),
            request(Host="one\r\nHost: two"),
            request(Content_Length="3") + b"abc",
            request(Transfer_Encoding="chunked") + b"0\r\n\r\n",
        ):
            self.assertEqual(answer_to(data)[0], 400)
        self.assertEqual(answer_to(request(Content_Length="0"))[0], 101)

    def test_any_origin(self) -> None:
        """Any origin is accepted unless some are named (reference 1.3)."""
        for origin in (None, "null", "https://evil.example"):
            self.assertEqual(answer_to(request(Origin=origin))[0], 101)

    def test_allowed_origins(self) -> None:
        """If origins are named, pages from others get 403; programs, which send no Origin, are not pages."""
        allowed = {"allowed_origins": ("https://chat.example", "https://Chat2.example")}
        for origin in (None, "https://chat.example", "HTTPS://CHAT.EXAMPLE", "https://chat2.example"):
            self.assertEqual(answer_to(request(Origin=origin), **allowed)[0], 101)
        for origin in (
            "null",
            "",
            "http://chat.example",
            "https://chat.example.evil.example",
            "https://chat.example\r\nOrigin: https://evil.example",
            "https://\xe9vil.example",
        ):
            self.assertEqual(answer_to(request(Origin=origin), **allowed)[0], 403)

    def test_not_served(self) -> None:
        """If the factory wants no connection, the client is told so."""
        peer = WebSocketPeer()
        peer.factory.recorder = None
        peer.send_bytes(request())
        self.assertIn(b" 503 ", peer.unread())

    def test_failing_protocol(self) -> None:
        """A protocol that fails at its start is logged, and the client is cut off without a stray HTTP answer."""
        peer = WebSocketPeer()
        peer.server.greeting = "not bytes"  # type: ignore[assignment]
        peer.send_bytes(request())
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertEqual(peer.unread().count(b"HTTP/1.1"), 1)
        self.assertTrue(peer.wire.disconnected)


class WebSite(SynchronousTestCase):
    """`make_site`, apart from the WebSocket."""

    def test_elsewhere(self) -> None:
        """Everywhere else there is nothing: 404, in a sentence of plain text."""
        for path in ("/", "/other", "/ws/", "/ws/deep/er", "/%00", "//ws", "/" * 9000):
            code, headers, body = answer_to(request(f"GET {path} HTTP/1.1"))
            self.assertEqual((code, headers[b"Content-Type"]), (404, b"text/plain; charset=utf-8"))
            self.assertEqual(body, b"There is nothing here.\n")

    def test_query(self) -> None:
        """A query does not matter."""
        self.assertEqual(answer_to(request("GET /ws?token=1 HTTP/1.1"))[0], 101)

    def test_request_timeout(self) -> None:
        """A request has 10 seconds to arrive, and a byte now and then does not buy it more."""
        peer = WebSocketPeer()
        for _ in range(REQUEST_TIMEOUT_SECONDS - 1):
            peer.send_bytes(b"G")
            peer.clock.advance(1)
        self.assertFalse(peer.wire.disconnecting)
        peer.clock.advance(1)
        self.assertTrue(peer.wire.disconnecting)
        peer.clock.advance(60)
        self.assertTrue(peer.wire.disconnected)

    def test_idle_timeout(self) -> None:
        """A connection without a request is closed as well."""
        peer = WebSocketPeer()
        peer.clock.advance(REQUEST_TIMEOUT_SECONDS)
        self.assertTrue(peer.wire.disconnecting)

    def test_no_timeout_after_handshake(self) -> None:
        """An open WebSocket is not timed out here: how long it may be idle is the protocol's business."""
        peer = WebSocketPeer().connect()
        peer.clock.advance(100_000)
        self.assertFalse(peer.wire.disconnecting)
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_garbage(self) -> None:
        """What is no HTTP is answered with 400 and closed, and heads have an end."""
        for data in (b"\x00\x00\x00\x04\x02\x11\x00\x00\r\n\r\n", b"GET /ws HTTP/1.1\r\nno header\r\n\r\n"):
            peer = WebSocketPeer()
            peer.send_bytes(data)
            self.assertTrue(peer.unread().startswith(b"HTTP/1.1 400 "))
            self.assertTrue(peer.wire.disconnecting)
        for data in (b"A" * 100_000, request(X="y" * 15_000, Z="y" * 15_000)):
            peer = WebSocketPeer()
            peer.send_bytes(data)
            self.assertTrue(peer.wire.disconnecting)

    def test_bodies_are_dropped(self) -> None:
        """The body of a request is kept neither in memory nor on disk."""
        peer = WebSocketPeer()
        peer.send_bytes(request("POST / HTTP/1.1", Content_Length="50000"))
        peer.send_bytes(b"x" * 40_000)
        (waiting,) = peer.channel.requests
        self.assertEqual(waiting.content.getvalue(), b"")
        peer.send_bytes(b"x" * 10_000)
        self.assertIn(b" 404 ", peer.unread())

    def test_lost_request(self) -> None:
        """A client that goes in the middle of a request leaves no timer behind."""
        peer = WebSocketPeer()
        peer.send_bytes(b"GET /ws HTTP/1.1\r\n")
        peer.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """Requests write nothing into the log, so that nobody can fill it."""
        with capturedLogs() as events:
            for line in ("GET / HTTP/1.1", "HEAD / HTTP/1.1", "HEAD /ws HTTP/1.1", "POST /ws HTTP/1.1"):
                answer_to(request(line))
            answer_to(request())
        self.assertEqual(events, [])

    def test_only_http_1(self) -> None:
        """HTTP/2 is not offered: its requests cannot become WebSockets here."""
        site = site_for(RecorderFactory(), WebSocketPeer().clock)
        self.assertEqual(site.acceptableProtocols(), [b"http/1.1"])


class SocketClient(Protocol):
    """A WebSocket client on a real socket, on wsproto."""

    transport: Any

    def __init__(self) -> None:
        self.client = WSConnection(ConnectionType.CLIENT)
        self.heard: list[Any] = []
        self.received_bytes = 0
        self.lost: Deferred[None] = Deferred()
        self._waiting: list[tuple[int, Deferred[None]]] = []

    @property
    def data(self) -> bytes:
        return b"".join(event.data for event in self.heard if isinstance(event, BytesMessage))

    def connectionMade(self) -> None:
        self.transport.write(self.client.send(Request(host="127.0.0.1", target="/ws")))

    def dataReceived(self, data: bytes) -> None:
        self.client.receive_data(data)
        for event in self.client.events():
            self.heard.append(event)
            if isinstance(event, BytesMessage):
                self.received_bytes += len(event.data)
        self._check()

    def _check(self) -> None:
        for size, waiting in list(self._waiting):
            if self.received_bytes >= size:
                self._waiting.remove((size, waiting))
                waiting.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)

    def has_bytes(self, size: int) -> Deferred[None]:
        """Fires when so many bytes have come in messages."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((size, waiting))
        self._check()
        return waiting

    def send(self, event: Event) -> None:
        self.transport.write(self.client.send(event))


class OverSockets(TestCase):
    """The same over TCP on this machine."""

    timeout = 30

    def setUp(self) -> None:
        self.reactor = cast(Any, reactor)
        self.factory = RecorderFactory()
        self.server = self.factory.recorder
        self.server_lost: Deferred[None] = Deferred()
        self.server.connectionLost = lambda reason: self.server_lost.callback(None)
        self.server.greeting = FRAME
        site = site_for(self.factory, self.reactor)
        port = self.reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port

    async def connect(self) -> SocketClient:
        """A client that has been greeted."""
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port)
        client: SocketClient = await connectProtocol(endpoint, SocketClient())
        await client.has_bytes(len(FRAME))
        return client

    async def test_conversation(self) -> None:
        """A client is greeted, answered and, when it closes, let go in order."""
        client = await self.connect()
        self.assertEqual(self.factory.address, IPv4Address("TCP", "127.0.0.1", client.transport.getHost().port))
        self.server.react = lambda data: self.server.transport.write(FRAME)
        for count in range(2, 20):
            client.send(BytesMessage(b"next, please"))
            await client.has_bytes(count * len(FRAME))
        client.send(CloseConnection(1000))
        await client.lost
        await self.server_lost
        self.assertEqual(client.heard[1:-1], [BytesMessage(FRAME)] * 19)
        self.assertEqual(client.heard[-1], CloseConnection(1000, ""))

    async def test_closed_by_server(self) -> None:
        """A client that is closed on gets the rest, the Close frame, and the end of the connection."""
        client = await self.connect()
        large = protocol_frame(1_048_580)
        self.server.transport.write(large)
        self.server.transport.loseConnection()
        await client.has_bytes(len(FRAME + large))
        client.send(CloseConnection(1000))
        await client.lost
        await self.server_lost
        self.assertEqual(client.data, FRAME + large)

    async def test_breach_with_unread_input(self) -> None:
        """A client in the middle of a flood of nonsense still learns why it is cut off."""
        client = await self.connect()
        client.transport.write(client_frame(0x82, b"x", announced_length=3_000_000) + bytes(3_000_000))
        await client.lost
        await self.server_lost
        (close,) = client.heard[2:]
        self.assertEqual(close.code, 1009)

    async def test_slow_reader(self) -> None:
        """While a client does not read, the producer pauses and memory stays bounded; nothing gets lost."""
        client = await self.connect()
        frame = protocol_frame(60_000)
        producer = _Endless(self.server.transport, frame, total=200)
        client.transport.pauseProducing()
        producer.start()
        await producer.stalled
        self.assertLess(producer.written, 200)
        client.transport.resumeProducing()
        await client.has_bytes(len(FRAME) + 200 * len(frame))
        self.assertEqual(client.data, FRAME + frame * 200)
        client.transport.abortConnection()
        await self.server_lost

    async def test_aborted(self) -> None:
        """An aborted connection ends without a Close frame."""
        client = await self.connect()
        self.server.transport.abortConnection()
        await client.lost
        await self.server_lost
        self.assertEqual(client.heard[1:], [BytesMessage(FRAME)])


class _Endless:
    """Writes `total` frames, as fast as it is allowed to; `stalled` fires at its first pause."""

    def __init__(self, transport: Any, frame: bytes, total: int) -> None:
        self._transport = transport
        self._frame = frame
        self._total = total
        self._paused = False
        self.written = 0
        self.stalled: Deferred[None] = Deferred()

    def start(self) -> None:
        self._transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self._paused = True
        if not self.stalled.called:
            self.stalled.callback(None)

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self.written < self._total:
            self.written += 1
            self._transport.write(self._frame)

    def stopProducing(self) -> None:
        self._paused = True
