"""HTTP/1.1 for peers that are not trusted: nothing they send or leave unread can fill disk or memory."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.protocols.basic import LineReceiver
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Site

REQUEST_TIMEOUT_SECONDS: Final = 30
"""How long a request may take to arrive, and an idle connection stays before its next one."""


class PunctualChannel(http.HTTPChannel):
    """Ends the connection when a request takes longer than its timeout to arrive."""

    def dataReceived(self, data: bytes) -> None:
        """Not HTTPChannel's method, which lets a byte now and then put the timeout off for ever."""
        LineReceiver.dataReceived(self, data)


class _Discarded(BytesIO):
    """The body of a request: no resource here wants one."""

    def write(self, data: Any) -> int:
        return len(data)


class QuietSite(Site):
    """A site without request log, HTTP/2 and request bodies."""

    noisy = False
    protocol = PunctualChannel  # type: ignore[assignment]  # Site knows only its own private class

    def __init__(self, resource: IResource, reactor: IReactorTime) -> None:
        super().__init__(resource, timeout=REQUEST_TIMEOUT_SECONDS, reactor=reactor, parsePOSTFormSubmission=False)

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
