"""The HTTP side of the WebSocket transport: the site, the `/ws` resource and the RFC 6455 handshake."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import attrs
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from wsproto.utilities import generate_accept_token

from superchat.net.http import OneRequestChannel, QuietSite
from superchat.net.proxies import TrustedProxies
from superchat.net.rounds import Rounds
from superchat.net.websocket_frames import WebSocketLimits
from superchat.net.websocket_stream import StreamTransport
from superchat.net.websocket_transport import WebSocketTransport, plain_address

_VERSION: Final = b"13"
_UPGRADE_REQUIRED: Final = 426


@attrs.frozen
class Refusal:
    """An HTTP answer to a request that does not become a WebSocket."""

    code: int
    sentence: bytes
    headers: Mapping[bytes, bytes] = attrs.field(factory=dict)

    def answer(self, request: Request) -> bytes:
        """Set the head of the response and return its body."""
        request.setResponseCode(self.code, http.RESPONSES.get(self.code, b"Upgrade Required"))
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        for name, value in self.headers.items():
            request.setHeader(name, value)
        return b"" if request.method == b"HEAD" else self.sentence + b"\n"


_NOT_FOUND = Refusal(http.NOT_FOUND, b"There is nothing here.")
_ONLY_GET = Refusal(http.NOT_ALLOWED, b"Only GET is possible here.", {b"Allow": b"GET"})
_NO_UPGRADE = Refusal(
    _UPGRADE_REQUIRED,
    b"This is a WebSocket endpoint: connect to it with a WebSocket client.",
    {b"Upgrade": b"websocket", b"Connection": b"Upgrade"},
)
_OTHER_VERSION = Refusal(
    _UPGRADE_REQUIRED,
    b"Only version 13 of the WebSocket protocol is spoken here.",
    {b"Upgrade": b"websocket", b"Connection": b"Upgrade", b"Sec-WebSocket-Version": _VERSION},
)
_FOREIGN_ORIGIN = Refusal(http.FORBIDDEN, b"WebSocket connections from this origin are not allowed.")
_BAD_KEY = Refusal(http.BAD_REQUEST, b"Sec-WebSocket-Key must be given once, as 16 bytes in Base64.")
_BAD_REQUEST = Refusal(http.BAD_REQUEST, b"A WebSocket handshake has one Host header and no body.")
_NOT_SERVED = Refusal(http.SERVICE_UNAVAILABLE, b"The server takes no connections at the moment.")


def handshake_refusal(headers: Headers, allowed_origins: tuple[str, ...]) -> Refusal | None:
    """Return why a GET request with these headers cannot become a WebSocket, or None (RFC 6455 4.2.1).

    Any origin is accepted if `allowed_origins` is empty (reference 1.3). Otherwise an Origin header must name
    one of them; without the header the client is no web page, and the rule is not about it.
    """
    origins = [value.decode("latin-1").lower() for value in headers.getRawHeaders(b"Origin", [])]
    if b"websocket" not in _tokens(headers, b"Upgrade") or b"upgrade" not in _tokens(headers, b"Connection"):
        return _NO_UPGRADE
    if headers.getRawHeaders(b"Sec-WebSocket-Version") != [_VERSION]:
        return _OTHER_VERSION
    if allowed_origins and not {origin.lower() for origin in allowed_origins}.issuperset(origins):
        return _FOREIGN_ORIGIN
    if not _is_key(headers.getRawHeaders(b"Sec-WebSocket-Key", [])):
        return _BAD_KEY
    if len(headers.getRawHeaders(b"Host", [])) != 1 or _has_body(headers):
        return _BAD_REQUEST
    return None


def _tokens(headers: Headers, name: bytes) -> set[bytes]:
    return {token.strip().lower() for token in b",".join(headers.getRawHeaders(name, [])).split(b",")}


def _has_body(headers: Headers) -> bool:
    lengths = headers.getRawHeaders(b"Content-Length", [b"0"])
    return headers.hasHeader(b"Transfer-Encoding") or lengths != [b"0"]


def _is_key(values: Sequence[bytes]) -> bool:
    try:
        return [len(b64decode(value, validate=True)) for value in values] == [16]
    except binascii.Error:
        return False


class WebSocketResource(Resource):
    """Turns a GET request into a WebSocket with a protocol of `factory` on it.

    It belongs on a site made by `make_site`. The protocol gets a `WebSocketTransport` and speaks bytes over
    it as over TCP. A factory that builds none makes the answer 503. The numbers are those of
    `WebSocketLimits`, asked for anew for each connection where they can change; `allowed_origins` is explained
    at `handshake_refusal`. What one of `proxies` says in X-Forwarded-For is the client's address (decisions
    1.4). What does not fit one turn is read in `rounds`.
    """

    _log = Logger()

    def __init__(
        self,
        factory: IProtocolFactory,
        *,
        clock: IReactorTime,
        max_message_bytes: int = 1_048_580,
        max_frames_per_second: Callable[[], int] = lambda: 500,
        close_timeout_seconds: float = 5.0,
        allowed_origins: tuple[str, ...] = (),
        proxies: TrustedProxies | None = None,
        rounds: Rounds | None = None,
    ) -> None:
        super().__init__()
        self._factory = factory
        self._clock = clock
        self._rounds = rounds or Rounds(clock)
        self._max_message_bytes = max_message_bytes
        self._max_frames_per_second = max_frames_per_second
        self._close_timeout_seconds = close_timeout_seconds
        self._allowed_origins = allowed_origins
        self._proxies = proxies or TrustedProxies()

    def getChild(self, path: bytes, request: Request) -> Resource:
        """There is nothing below the endpoint."""
        return _Nothing()

    def render(self, request: Request) -> bytes | int:
        """Answer with 101 and take the connection over, or say why not."""
        if request.method != b"GET":
            return _ONLY_GET.answer(request)
        if request.clientproto != b"HTTP/1.1":
            return _NO_UPGRADE.answer(request)
        refusal = handshake_refusal(request.requestHeaders, self._allowed_origins)
        return self._upgrade(request) if refusal is None else refusal.answer(request)

    def _upgrade(self, request: Request) -> bytes | int:
        channel = cast(UpgradableChannel, request.channel)
        stream = channel.stream
        forwarded = request.requestHeaders.getRawHeaders(b"X-Forwarded-For", [])
        client = self._proxies.client(plain_address(stream.getPeer()), forwarded)
        protocol = self._factory.buildProtocol(client)
        if protocol is None:
            return _NOT_SERVED.answer(request)
        limits = WebSocketLimits(
            self._max_message_bytes, self._max_frames_per_second(), self._close_timeout_seconds
        )
        websocket = WebSocketTransport(stream, protocol, self._clock, limits, self._rounds)
        channel.upgrade(websocket)
        stream.write(_switching_protocols(request.requestHeaders))
        with self._log.failuresHandled("a protocol failed at the start of a WebSocket") as starting:
            websocket.start()
        if starting.failed:
            websocket.abortConnection()
        return NOT_DONE_YET


def _switching_protocols(headers: Headers) -> bytes:
    (key,) = headers.getRawHeaders(b"Sec-WebSocket-Key", [])
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + generate_accept_token(key) + b"\r\n\r\n"
    )


class UpgradableChannel(OneRequestChannel):
    """HTTP/1.1 on one connection, until a WebSocket takes it over."""

    _websocket: WebSocketTransport | None = None

    @property
    def stream(self) -> StreamTransport:
        """The transport, as what it has to be for a WebSocket."""
        return cast(StreamTransport, self.transport)

    def upgrade(self, websocket: WebSocketTransport) -> None:
        """Give the connection away while its request is rendered; the bytes after it are the WebSocket's."""
        self._websocket = websocket
        self.requests.clear()
        self.site.left(self)
        self.stream.unregisterProducer()

    def dataReceived(self, data: bytes) -> None:
        """Pass the bytes to whom they belong."""
        if self._websocket is not None:
            self._websocket.frames_received(data)
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the WebSocket, or the requests under way."""
        if self._websocket is not None:
            self._websocket.stream_lost(reason)
        else:
            super().connectionLost(reason)


class _Site(QuietSite):
    protocol = UpgradableChannel


class _Nothing(Resource):
    """404, for any path below it too."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return _NOT_FOUND.answer(request)


class _Root(Resource):
    def getChild(self, path: bytes, request: Request) -> Resource:
        return _Nothing()


def make_site(resource_children: Mapping[bytes, IResource], *, reactor: IReactorTime) -> Site:
    """Return the site that serves each child at its path segment (`b"ws"` for `/ws`) and 404 everywhere else.

    A request that takes longer to arrive than a `QuietSite` allows ends its connection.
    """
    root = _Root()
    for segment, child in resource_children.items():
        root.putChild(segment, child)
    return _Site(root, reactor)
