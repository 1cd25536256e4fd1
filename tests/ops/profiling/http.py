"""HTTP clients of the profiling site, on transports in memory."""

from __future__ import annotations

from http.client import HTTPResponse
from io import BytesIO
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from superchat.ops.profiling import ReactorWatch, make_profiling_site
from tests.ops.profiling.work import at_once

ADDRESS = IPv4Address("TCP", "127.0.0.1", 50_000)


@attrs.frozen
class Answer:
    """A response."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body, if it is text."""
        return self.body.decode("utf-8")


class _Buffer:
    """What http.client takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> BytesIO:
        """The bytes."""
        return BytesIO(self._data)


class CuttableTransport(StringTransport):
    """A transport whose connection can be cut, and that closes only when its client has read everything."""

    def __init__(self, reads: bool) -> None:
        super().__init__(peerAddress=ADDRESS)
        self.reads = reads
        self.protocol: Any = None
        self.closed: type[Exception] | None = None

    def loseConnection(self) -> None:
        """Close, some time."""
        super().loseConnection()
        if self.reads:
            self.close(ConnectionDone)

    def abortConnection(self) -> None:
        """Cut."""
        self.close(ConnectionAborted)

    def close(self, reason: type[Exception]) -> None:
        """Tell the server that the connection is gone."""
        if self.closed is None:
            self.closed = reason
            self.protocol.connectionLost(Failure(reason()))


@attrs.define
class Client:
    """One connection."""

    clock: Clock
    transport: CuttableTransport

    def send(self, path: str, method: str = "GET", body: bytes = b"", version: str = "1.1", host: bytes = b"x") -> None:
        """Send a request."""
        head = f"{method} {path} HTTP/{version}\r\nContent-Length: {len(body)}\r\n".encode("latin-1")
        self.transport.protocol.dataReceived(head + b"Host: " + host + b"\r\n\r\n" + body)

    def answer(self) -> Answer | None:
        """The response, if it is there, which is then read."""
        data = self.transport.value()
        if not data:
            return None
        self.transport.clear()
        response = HTTPResponse(_Buffer(data))  # type: ignore[arg-type]  # all that it uses of a socket
        response.begin()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def leave(self) -> None:
        """Close the connection."""
        self.transport.close(ConnectionDone)


class ProfilingServer:
    """The site, with a clock that stands still and without threads."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.watch = ReactorWatch(self.clock)
        self.site = make_profiling_site(self.clock, self.watch, at_once)

    def connect(self, reads: bool = True) -> Client | None:
        """Open a connection, if the server takes it."""
        protocol = self.site.buildProtocol(ADDRESS)
        if protocol is None:
            return None
        transport = CuttableTransport(reads)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return Client(self.clock, transport)

    def connected(self, reads: bool = True) -> Client:
        """Open a connection, which the server must take."""
        client = self.connect(reads)
        assert client is not None, "the server refused the connection"
        return client

    def ask(self, path: str, method: str = "GET", body: bytes = b"", host: bytes = b"x") -> Answer:
        """Ask for something that is answered at once."""
        client = self.connected()
        client.send(path, method, body, host=host)
        answer = client.answer()
        assert answer is not None, f"{path} was not answered"
        client.leave()
        return answer
