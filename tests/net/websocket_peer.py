"""A WebSocket client in memory, on wsproto, and the protocol it finds at the other end."""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, Event, Request
from zope.interface import implementer

from superchat.net.websocket import WebSocketResource, make_site
from superchat.net.websocket_transport import WebSocketTransport

CLIENT_ADDRESS = IPv4Address("TCP", "192.0.2.7", 40_000)
MASK = b"\x11\x22\x33\x44"


class Recorder(Protocol):
    """Writes down what reaches it; `react`, if set, is called with each piece of data."""

    transport: WebSocketTransport

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.lost: list[Failure] = []
        self.react: Any = None
        self.greeting = b""

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)

    def connectionMade(self) -> None:
        self.transport.write(self.greeting)

    def dataReceived(self, data: bytes) -> None:
        self.chunks.append(data)
        if self.react is not None:
            self.react(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


class RecorderFactory(Factory):
    """Hands out one `Recorder` and remembers for whom."""

    noisy = False

    def __init__(self) -> None:
        self.recorder: Any = Recorder()
        self.address: IAddress | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.address = addr
        return self.recorder


class CountingTransport(StringTransport):
    """A transport that remembers each write."""

    def __init__(self, peer: IAddress) -> None:
        super().__init__(peerAddress=peer)
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)


@implementer(IPushProducer)
class RecordedProducer:
    """A push producer that writes down what it is told; `react`, if set, is called when it may go on."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.react: Any = None

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")
        if self.react is not None:
            self.react()

    def stopProducing(self) -> None:
        self.told.append("stop")


def site_for(factory: RecorderFactory, clock: IReactorTime, **options: Any) -> Site:
    """The site with the WebSocket endpoint at /ws, as the server makes it."""
    return make_site({b"ws": WebSocketResource(factory, clock=clock, **options)}, reactor=clock)


class WebSocketPeer:
    """One client and its connection; `options` are those of `WebSocketResource`."""

    def __init__(self, *, address: IAddress = CLIENT_ADDRESS, **options: Any) -> None:
        self.clock = Clock()
        self.factory = RecorderFactory()
        self.server: Recorder = self.factory.recorder
        self.wire: Any = CountingTransport(address)
        self.channel: Any = site_for(self.factory, self.clock, **options).buildProtocol(address)
        self.channel.makeConnection(self.wire)
        self.client = WSConnection(ConnectionType.CLIENT)
        self._seen = 0

    def connect(self, **request: Any) -> WebSocketPeer:
        """Do the handshake."""
        self.channel.dataReceived(self.handshake(**request))
        (accepted,) = self.events()
        assert isinstance(accepted, AcceptConnection), accepted
        return self

    def handshake(self, **request: Any) -> bytes:
        """The bytes of the handshake request."""
        return self.client.send(Request(host="chat.example", target="/ws", **request))

    def send(self, *events: Event) -> None:
        """Send events to the server, all in one piece."""
        self.channel.dataReceived(b"".join(self.client.send(event) for event in events))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.channel.dataReceived(data)

    def unread(self) -> bytes:
        """What the server has written since the last look."""
        value: bytes = self.wire.value()[self._seen :]
        self._seen += len(value)
        return value

    def events(self) -> list[Any]:
        """What the server has said since the last look."""
        self.client.receive_data(self.unread())
        return list(self.client.events())

    def messages(self) -> list[bytes]:
        """The binary messages since the last look, which are all there is."""
        whole: list[bytes] = []
        part = b""
        for event in self.events():
            assert isinstance(event, BytesMessage), event
            part += event.data
            if event.message_finished:
                whole.append(part)
                part = b""
        assert not part
        return whole


def protocol_frame(size: int) -> bytes:
    """A protocol frame of `size` bytes in all: the length prefix and anything."""
    return struct.pack("!I", size - 4) + bytes(index % 251 for index in range(size - 4))


def client_frame(first_byte: int, payload: bytes = b"", *, announced_length: int | None = None) -> bytes:
    """A masked WebSocket frame, of which `payload` may be only the beginning."""
    length = len(payload) if announced_length is None else announced_length
    if length < 126:
        header = bytes((first_byte, 0x80 | length))
    elif length < 65_536:
        header = struct.pack("!BBH", first_byte, 0x80 | 126, length)
    else:
        header = struct.pack("!BBQ", first_byte, 0x80 | 127, length)
    return header + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
