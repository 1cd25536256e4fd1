"""HTTP/1.1 for peers that are not trusted: nothing they send, or leave unread, can fill disk or memory or hold the
reactor."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final, cast

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from twisted.web.server import Site

from superchat.net.pace import Pace

REQUEST_TIMEOUT_SECONDS: Final = 10
"""How long a request may take to arrive, from the beginning of its connection."""
READ_TIMEOUT_SECONDS: Final = 10
"""How long a peer may take to read an answer, which is less than the kernel holds."""
MAX_HEAD_BYTES: Final = 16_384
MAX_BODY_BYTES: Final = 65_536
"""A body is read, and dropped, so that the peer gets to read the answer; what is longer is not waited for."""
MAX_CONNECTIONS: Final = 256
"""How many connections there may be that are, or have been, about one request; a WebSocket is none of them."""
GRACE_SECONDS: Final = 1.0
"""For so long, a connection that does nothing need not make room for another."""

_END_OF_HEAD: Final = b"\r\n\r\n"
_BAD: Final = b"400 Bad Request"
_TOO_LARGE: Final = b"431 Request Header Fields Too Large"


class OneRequestChannel(http.HTTPChannel):
    """Answers one request and closes. What follows the request is dropped, and no more of it is read.

    HTTPChannel sees the head only when all of it is here, at a time that the site's pace allows: it copies the rest
    of a packet for each line, answers every request in it on the spot, and takes each byte for a reason to wait on.
    """

    maxHeaders = 100
    site: QuietSite
    _log = Logger()

    def __init__(self) -> None:
        super().__init__()
        self._unparsed = bytearray()
        self._queued = False
        self._parsing = False
        self._complete = False
        self._ended = False
        self._closing: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take the head of a request and its body, and nothing more."""
        if self._ended:
            return
        if self._parsing:
            LineReceiver.dataReceived(self, data)  # HTTPChannel's would put the timeout off
            return
        searched = max(0, len(self._unparsed) - len(_END_OF_HEAD))
        self._unparsed += data
        if not self._queued:
            self._look_for_end(searched)

    def _look_for_end(self, searched: int) -> None:
        end = self._unparsed.find(_END_OF_HEAD, searched, MAX_HEAD_BYTES)
        if end >= 0:
            self._queued = True
            self.site.serves(self)
            self.site.pace.add(self._parse)
            if not self._parsing:
                self._producer.pauseProducing()
        elif len(self._unparsed) >= MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)

    def _parse(self) -> None:
        if self._ended:
            return
        received, self._unparsed = bytes(self._unparsed), bytearray()
        end = received.index(_END_OF_HEAD) + len(_END_OF_HEAD)
        self._parsing = True
        self._producer.resumeProducing()
        with self._log.failuresHandled("an HTTP request made the server fail") as answering:
            self.dataReceived(received[:end])
            if end < len(received):
                self.dataReceived(received[end:])
        if answering.failed:
            self.cut()

    def headerReceived(self, line: bytes) -> bool:
        """Refuse, with all else that is wrong, a length of more digits than Python reads."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            self._refuse(_BAD)
            return False

    def allHeadersReceived(self) -> None:
        """Wait for the body if it is small and on its way."""
        headers = self.requests[-1].requestHeaders
        expects = headers.hasHeader(b"expect")
        headers.removeHeader(b"expect")  # or HTTPChannel asks for what nobody wants
        super().allHeadersReceived()
        if self.length is None or self.length > MAX_BODY_BYTES or expects:
            self.length = 0
        if self.length:
            self.site.waits_for(self)

    def allContentReceived(self) -> None:
        """The request is complete."""
        self._complete = True
        self.site.serves(self)
        super().allContentReceived()

    def rawDataReceived(self, data: bytes) -> None:
        """Take a body; what comes after it is not kept for later, as HTTPChannel would, and nobody reads on."""
        if self._complete:
            self._producer.pauseProducing()
        else:
            super().rawDataReceived(data)

    def checkPersistence(self, request: http.Request, version: bytes) -> bool:
        """There is no next request."""
        return False

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Say that there is none."""
        headers.addRawHeader(b"Connection", b"close")
        super().writeHeaders(version, code, reason, headers)

    def loseConnection(self) -> None:
        """Close when everything is written, and cut the connection if that takes too long."""
        if not self._ended:
            self._ended = True
            self._closing = self.callLater(self.site.read_timeout_seconds, self.cut)
            self.site.waits_for(self)
            super().loseConnection()

    def timeoutConnection(self) -> None:
        """Close, without HTTPChannel's line in the log."""
        self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget everything about it."""
        self._ended = True
        self._unparsed.clear()
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self.site.left(self)
        super().connectionLost(reason)

    def cut(self) -> None:
        """End the connection, whatever the peer has still to read."""
        self._ended = True
        cast(Any, self.transport).abortConnection()

    @property
    def _producer(self) -> Any:
        return self.transport

    def _refuse(self, status: bytes) -> None:
        self._producer.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.loseConnection()


class _Discarded(BytesIO):
    """The body of a request: no resource here wants one."""

    def write(self, data: Any) -> int:
        return len(data)


class QuietSite(Site):
    """A site without request log, HTTP/2 and request bodies, that serves one request for each connection.

    When there are *max_connections*, the one that has kept the server waiting for longest makes room; if none has
    done so for *grace_seconds*, a newcomer is turned away. *rest* is explained at `Pace`.
    """

    noisy = False
    protocol = OneRequestChannel  # type: ignore[assignment]  # Site knows only its own private class

    def __init__(
        self,
        resource: IResource,
        reactor: IReactorTime,
        *,
        max_connections: int = MAX_CONNECTIONS,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        rest: float = 1.0,
    ) -> None:
        super().__init__(resource, timeout=REQUEST_TIMEOUT_SECONDS, reactor=reactor, parsePOSTFormSubmission=False)
        self.pace = Pace(reactor, rest)
        self.read_timeout_seconds = read_timeout_seconds
        self._max_connections = max_connections
        self._grace_seconds = grace_seconds
        self._clock = reactor
        self._open: set[OneRequestChannel] = set()
        self._waiting_since: dict[OneRequestChannel, float] = {}

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Serve a peer, if there is room or can be made."""
        if len(self._open) >= self._max_connections and not self._make_room():
            return None
        return super().buildProtocol(addr)

    def opened(self, channel: OneRequestChannel) -> None:
        """A connection is there, and its request is waited for."""
        self._open.add(channel)
        self.waits_for(channel)

    def waits_for(self, channel: OneRequestChannel) -> None:
        """It is up to the peer from now on."""
        self._waiting_since.pop(channel, None)
        self._waiting_since[channel] = self._clock.seconds()

    def serves(self, channel: OneRequestChannel) -> None:
        """It is up to the server from now on."""
        self._waiting_since.pop(channel, None)

    def left(self, channel: OneRequestChannel) -> None:
        """The connection is gone, or is about something else than a request."""
        self._open.discard(channel)
        self._waiting_since.pop(channel, None)

    def startFactory(self) -> None:
        """No log file to open."""

    def log(self, request: http.Request) -> None:
        """No line for it."""

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 only."""
        return [b"http/1.1"]

    def getContentFile(self, length: int | None) -> BytesIO:
        """Nowhere."""
        return _Discarded()

    def _make_room(self) -> bool:
        channel = next(iter(self._waiting_since), None)
        if channel is None or self._clock.seconds() - self._waiting_since[channel] < self._grace_seconds:
            return False
        self.left(channel)
        channel.cut()
        return True
