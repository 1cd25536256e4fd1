"""The clients of a talk: a protocol of the server's on a pipe, and what the other end makes of it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request

from superchat.net.factory import SuperChatFactory
from superchat.net.protocol import SuperChatProtocol
from tests.fuzz.pipes import Pipe, TCPPipe
from tests.fuzz.talks.transcript import Transcript

FLIGHT_SECONDS: Final = 30.0
"""Within this, a close that nobody hinders is over."""


class TCPClient:
    """A client on a plain connection."""

    def __init__(self, factory: SuperChatFactory, clock: Clock, address: str, transcript: Transcript) -> None:
        self.transcript = transcript
        self._clock = clock
        self._peer: IAddress = IPv4Address("TCP", address, 40_000)
        self.pipe = self._connected(factory)
        self.protocol: SuperChatProtocol = self._protocol()
        self.watched = [weakref.ref(self.protocol)]
        if self.protocol.session is not None:
            self.watched.append(weakref.ref(self.protocol.session))
        self.hear()

    @property
    def is_gone(self) -> bool:
        """Whether the connection is over."""
        return self.pipe.is_over

    @property
    def waiting_bytes(self) -> int:
        """What the server has got, and not looked at yet."""
        return self.protocol._incoming.buffered_bytes

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send bytes in pieces, a turn of the reactor for each."""
        for piece in pieces:
            if self.pipe.is_over:
                return
            self.transcript.said(piece)
            self.pipe.arrive(self._packed(piece))
            self._clock.advance(0)

    def hear(self) -> None:
        """Take in what was written; a client that was told that nothing more comes closes its side."""
        if self.pipe.is_read:
            self._heard(self.pipe.taken())
            if self.pipe.is_half_closed:
                self.pipe.hang_up()

    def read_on(self, on: bool) -> None:
        """Read, or do not."""
        self.pipe.read_on(on)

    def leave(self) -> None:
        """Close the connection at once; the rest of what the server says is lost."""
        self._heard(self.pipe.taken())
        self.transcript.leave()
        self.pipe.hang_up()

    def see_the_end(self) -> None:
        """The connection is over: hear the last of it."""
        self._heard(self.pipe.taken())
        self.transcript.lose()

    def _connected(self, factory: SuperChatFactory) -> Pipe:
        pipe = TCPPipe(self._clock, self._peer)
        pipe.connect(factory.buildProtocol(self._peer))
        return pipe

    def _protocol(self) -> Any:
        return self.pipe.protocol

    def _packed(self, data: bytes) -> bytes:
        return data

    def _heard(self, data: bytes) -> None:
        self.transcript.hears(data)


class WebSocketClient(TCPClient):
    """A client on a WebSocket; *site* has the endpoint at /ws."""

    def __init__(
        self, factory: SuperChatFactory, clock: Clock, address: str, transcript: Transcript, site: Any
    ) -> None:
        self._site = site
        self._client = WSConnection(ConnectionType.CLIENT)
        super().__init__(factory, clock, address, transcript)

    def _connected(self, factory: SuperChatFactory) -> Pipe:
        pipe = Pipe(self._clock, self._peer)
        pipe.connect(self._site.buildProtocol(self._peer))
        pipe.arrive(self._client.send(Request(host="chat.example", target="/ws")))
        return pipe

    def _protocol(self) -> Any:
        return self.pipe.protocol._websocket._protocol

    def _packed(self, data: bytes) -> bytes:
        return self._client.send(BytesMessage(data)) if self._client.state.name == "OPEN" else b""

    def _heard(self, data: bytes) -> None:
        if data:  # for none may come after the last
            self._client.receive_data(data)
        for event in self._client.events():
            if isinstance(event, BytesMessage):
                self.transcript.hears(bytes(event.data))
            elif isinstance(event, CloseConnection):
                if self._client.state.name == "REMOTE_CLOSING":
                    self.pipe.arrive(self._client.send(event.response()))
            else:
                assert isinstance(event, AcceptConnection), event
