"""Clients on blocking sockets, for tests that look at every single frame in its order."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Protocol, TypeVar

from twisted.trial.unittest import SynchronousTestCase
from wsproto import WSConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Request

from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.connection import Connection
from superchat.wire.frames import Header
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message
from tests.e2e.server import PATIENCE_SECONDS, RunningServer

M = TypeVar("M", bound=Message)

_CHUNK_BYTES = 65_536


class Stream(Protocol):
    """What a peer needs of its transport."""

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""

    def receive(self) -> bytes:
        """Wait for bytes; nothing means that the other side has ended the stream."""

    def close(self) -> None:
        """Close the connection; may be called again."""


class TCPStream:
    """A TCP connection, from the address ``source`` and with small buffers where that is asked for."""

    def __init__(self, port: int, *, source: str = "", receive_buffer_bytes: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            self.socket.bind((source, 0))
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> bytes:
        return self.socket.recv(_CHUNK_BYTES)

    def close(self) -> None:
        self.socket.close()


class WebSocketStream:
    """A WebSocket connection; ``messages`` are the binary messages received, each whole.

    ``early`` is sent in one piece with the handshake, before the server has answered it. ``stream`` is the
    connection underneath, for what no WebSocket client would send.
    """

    def __init__(self, port: int, *, early: bytes = b"", receive_buffer_bytes: int = 0) -> None:
        self.messages: list[bytes] = []
        self.close_code: int | None = None
        self._part = b""
        self.stream = TCPStream(port, receive_buffer_bytes=receive_buffer_bytes)
        self._client = WSConnection(ConnectionType.CLIENT)
        handshake = self._client.send(Request(host=f"127.0.0.1:{port}", target="/ws"))
        self.stream.send(handshake + (masked_message(early) if early else b""))
        self._events: list[Event] = []
        accepted = self._next_event()
        assert isinstance(accepted, AcceptConnection), accepted

    def send(self, data: bytes) -> None:
        self.stream.send(self._client.send(BytesMessage(data)))

    def receive(self) -> bytes:
        while True:
            event = self._next_event()
            if event is None:
                return b""
            if isinstance(event, CloseConnection):
                self.close_code = int(event.code)
                if self._client.state is ConnectionState.REMOTE_CLOSING:
                    self.stream.send(self._client.send(event.response()))
                return b""
            assert isinstance(event, BytesMessage), event
            self._part += event.data
            if event.message_finished:
                self.messages.append(self._part)
                self._part = b""
            return bytes(event.data)

    def say_goodbye(self) -> None:
        """Begin the closing handshake, as a browser does when its page is left."""
        self.stream.send(self._client.send(CloseConnection(1001)))

    def close(self) -> None:
        self.stream.close()

    def _next_event(self) -> Event | None:
        while not self._events:
            data = self.stream.receive()
            if not data:
                return None
            self._client.receive_data(data)
            self._events = list(self._client.events())
        return self._events.pop(0)


def masked_message(data: bytes) -> bytes:
    """A binary WebSocket message of up to 125 bytes, as a client sends it, masked with zeros."""
    return bytes((0x82, 0x80 | len(data))) + bytes(4) + data


def frames_of(*messages: Message, version: int) -> bytes:
    """The bytes of messages as a client of this version writes them, never compressed."""
    return b"".join(frames.encode(message, version=version) for message in messages)


class Peer:
    """A client that takes the server's frames one by one; ``headers`` are those of all frames so far.

    It writes ``version`` into its frames and never compresses any.
    """

    def __init__(self, stream: Stream, version: int = frames.VERSION) -> None:
        self.stream = stream
        self.headers: list[Header] = []
        self._version = version
        self._wire = Connection(BY_CODE)

    def send(self, *messages: Message) -> None:
        """Send messages, all in one piece."""
        self.stream.send(self.frames(*messages))

    def frames(self, *messages: Message) -> bytes:
        """The bytes of ``messages`` as this client writes them."""
        return frames_of(*messages, version=self._version)

    @property
    def socket(self) -> socket.socket:
        """The socket at the bottom."""
        stream = self.stream
        if isinstance(stream, WebSocketStream):
            stream = stream.stream
        assert isinstance(stream, TCPStream)
        return stream.socket

    def receive(self) -> Message:
        """The next message. Raises EOFError when the server has ended the stream instead."""
        while (event := self._wire.next_event()) is None:
            data = self.stream.receive()
            if not data:
                self._wire.receive_eof()
                raise EOFError("the server has closed the connection")
            self._wire.receive_data(data)
        header = self._wire.last_frame
        assert isinstance(event, Message), event
        assert header is not None
        self.headers.append(header)
        return event

    def expect(self, kind: type[M]) -> M:
        """The next message, which must be of this kind."""
        message = self.receive()
        assert isinstance(message, kind), f"{kind.NAME} should come next, but this came: {message}"
        return message

    def ask(self, question: Message, kind: type[M]) -> M:
        """Send a question; the next message must be its answer, of this kind."""
        self.send(question)
        return self.expect(kind)

    def ask_past_presence(self, question: Message, kind: type[M]) -> M:
        """Like ``ask``, but news of who is here may come before the answer."""
        self.send(question)
        while isinstance(message := self.receive(), (wire.ServerPresence, wire.ChannelPresence)):
            pass
        assert isinstance(message, kind), f"{kind.NAME} should come next, but this came: {message}"
        return message

    def until(self, kind: type[M], **wanted: object) -> M:
        """The next message of this kind and with these values; whatever comes before is passed over."""
        while True:
            message = self.receive()
            if isinstance(message, kind) and all(getattr(message, name) == value for name, value in wanted.items()):
                return message

    def caught_up(self) -> list[Message]:
        """Everything the server sends until it has answered all that was asked of it so far."""
        mark = wire.Ping(timestamp=len(self.headers) + 7_000_000)
        self.send(mark)
        came: list[Message] = []
        while True:
            message = self.receive()
            if isinstance(message, wire.Pong) and message.client_timestamp == mark.timestamp:
                return came
            came.append(message)

    def rest(self) -> list[Message]:
        """Everything until the server ends the stream; then this side closes as well."""
        came: list[Message] = []
        try:
            while True:
                came.append(self.receive())
        except EOFError:
            self.close()
            return came

    def close(self) -> None:
        """Close the connection without a word."""
        self.stream.close()

    # What most tests begin with

    def named(self, nickname: str) -> Peer:
        """Take a nickname, and wait until that is known to this client."""
        self.send(wire.SetNickname(nickname=nickname))
        self.until(wire.NicknameResponse, success=True)
        self.until(wire.ServerPresence, nickname=nickname)
        return self


def connect(
    case: SynchronousTestCase, server: RunningServer, version: int = frames.VERSION, *, greeted: bool = True
) -> Peer:
    """A new client over TCP, which has read SERVER_CONFIG if ``greeted``; it is closed at the end of the test."""
    return _ready(case, Peer(TCPStream(server.port), version), greeted)


def connect_websocket(
    case: SynchronousTestCase, server: RunningServer, version: int = 1, *, greeted: bool = True
) -> Peer:
    """The same over WebSocket."""
    return _ready(case, Peer(WebSocketStream(server.http_port), version), greeted)


def _ready(case: SynchronousTestCase, peer: Peer, greeted: bool) -> Peer:
    case.addCleanup(peer.close)
    if greeted:
        peer.expect(wire.ServerConfig)
    return peer


def names(messages: Iterable[Message]) -> list[str]:
    """The names of messages, for comparing sequences."""
    return [message.NAME for message in messages]
