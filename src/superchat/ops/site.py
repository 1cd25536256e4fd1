"""The HTTP site of the operators' pages: a few peers, none of which can hold anything up."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final, cast

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Site

REQUEST_TIMEOUT_SECONDS: Final = 30
"""How long a request may take to arrive, and an idle connection stays before its next one."""

READ_TIMEOUT_SECONDS: Final = 60
"""How long a peer may take to read an answer, before its connection is cut."""

MAX_CONNECTIONS: Final = 32


class _Channel(http.HTTPChannel):
    """HTTP/1.1 with a peer that may be slow, but not for ever."""

    site: OperatorsSite
    _closing: Any = None

    def dataReceived(self, data: bytes) -> None:
        # Not HTTPChannel's method, which lets a byte now and then put the timeout off for ever.
        LineReceiver.dataReceived(self, data)

    def loseConnection(self) -> None:
        """Close when everything is written, and cut the connection if that takes too long."""
        if self._closing is None:
            self._closing = self.callLater(READ_TIMEOUT_SECONDS, self._cut)
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        super().connectionLost(reason)
        self.site.connections -= 1

    def _cut(self) -> None:
        cast(Any, self.transport).abortConnection()


class _Discarded(BytesIO):
    """The body of a request: no page wants one."""

    def write(self, data: Any) -> int:
        return len(data)


class OperatorsSite(Site):
    """A site without request log, HTTP/2 and request bodies."""

    noisy = False
    protocol = _Channel  # type: ignore[assignment]  # Site knows only its own private class

    def __init__(self, resource: IResource, reactor: Any) -> None:
        super().__init__(resource, timeout=REQUEST_TIMEOUT_SECONDS, reactor=reactor, parsePOSTFormSubmission=False)
        self.connections = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Serve up to `MAX_CONNECTIONS` peers at a time; the others are disconnected."""
        if self.connections >= MAX_CONNECTIONS:
            return None
        self.connections += 1
        return super().buildProtocol(addr)

    def startFactory(self) -> None:
        pass

    def log(self, request: http.Request) -> None:
        pass

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def getContentFile(self, length: int | None) -> BytesIO:
        return _Discarded()
