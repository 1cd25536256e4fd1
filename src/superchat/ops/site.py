"""The HTTP site of the operators' pages: a few peers, none of which can hold anything up."""

from __future__ import annotations

from typing import Any, Final, cast

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import IResource

from superchat.net.http import PunctualChannel, QuietSite

READ_TIMEOUT_SECONDS: Final = 60
"""How long a peer may take to read an answer, before its connection is cut."""

MAX_CONNECTIONS: Final = 32


class _Channel(PunctualChannel):
    """HTTP/1.1 with a peer that may be slow, but not for ever."""

    site: OperatorsSite
    _closing: Any = None

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


class OperatorsSite(QuietSite):
    """A site for a few peers at a time; the others are disconnected."""

    protocol = _Channel

    def __init__(self, resource: IResource, reactor: IReactorTime) -> None:
        super().__init__(resource, reactor)
        self.connections = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Serve up to `MAX_CONNECTIONS` peers."""
        if self.connections >= MAX_CONNECTIONS:
            return None
        self.connections += 1
        return super().buildProtocol(addr)
