"""The head of an HTTP request, up to a WebSocket or an answer that ends the connection."""

from __future__ import annotations

import random
import re
from collections.abc import Hashable, Iterable
from itertools import pairwise

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from superchat.net.http import MAX_BODY_BYTES, MAX_HEAD_BYTES, REQUEST_TIMEOUT_SECONDS
from superchat.net.proxies import TrustedProxies
from tests.fuzz.pipes import Pipe
from tests.fuzz.target import Target
from tests.fuzz.troubles import no_troubles
from tests.net.websocket_peer import RecorderFactory, site_for

_PEER = IPv4Address("TCP", "192.0.2.7", 40_000)
_HEAD = re.compile(rb"HTTP/1\.[01] (\d\d\d) [ -~]+\r\n((?:[!-9;-~]+: ?[ -~]*\r\n)*)\r\n", re.DOTALL)
_LONGEST_ANSWER_BYTES = 2_000
_DATE = re.compile(rb"\r\nDate: [ -~]+")
_UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)


class Request:
    """What was answered to bytes in some pieces, and whether the connection waits for more of them."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        clock = Clock()
        factory = RecorderFactory()
        site = site_for(
            factory, clock, allowed_origins=("https://chat.example",), proxies=TrustedProxies(["192.0.2.7"])
        )
        pipe = Pipe(clock, _PEER)
        pipe.connect(site.buildProtocol(_PEER))
        for piece in pieces:
            pipe.arrive(piece)
            clock.advance(0)
        answer = pipe.taken()
        self.answer = _DATE.sub(b"", answer)
        self.is_waiting = not pipe.disconnecting
        self.client = getattr(factory.address, "host", "")
        self.reached = len(factory.recorder.data)
        clock.advance(4 * REQUEST_TIMEOUT_SECONDS)
        self.is_websocket = answer.startswith(b"HTTP/1.1 101 ")
        self.is_over_in_time = pipe.is_over or self.is_websocket
        pipe.hang_up()
        clock.advance(4 * REQUEST_TIMEOUT_SECONDS)
        self.left = len(clock.getDelayedCalls())


class HTTPTarget(Target):
    """`superchat.net.http`, and the handshake of `superchat.net.websocket`."""

    name = "http"
    files = ("net/http.py", "net/websocket.py", "net/proxies.py")
    longest_bytes = MAX_HEAD_BYTES + 2_000
    words = (
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b": ",
        b"\x00",
        b"GET /ws HTTP/1.1",
        b"HEAD",
        b"POST",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"Content-Length: 5",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"Sec-WebSocket-Version: 13",
        b"Origin: https://chat.example",
        b"X-Forwarded-For: 198.51.100.1, 192.0.2.7",
        b"Host: chat.example",
        b"%00",
        b"?a=b&c",
        b"http://[::1/ws",
        b"\xff",
    )
    steps_at_least = 20_000
    steps_per_byte = 40

    def seeds(self) -> Iterable[bytes]:
        """Requests that are answered in each way there is."""
        yield _UPGRADE + b"\r\n"
        yield _UPGRADE + b"Origin: https://chat.example\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
        yield _UPGRADE + b"Origin: https://other.example\r\n\r\n"
        yield _UPGRADE + b"\r\n\x82\x85\x00\x00\x00\x00hello"
        yield _UPGRADE.replace(b"13", b"8") + b"\r\n"
        yield _UPGRADE.replace(b"AA=", b"A=") + b"\r\n"
        yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        yield b"GET /ws HTTP/1.0\r\n\r\n"
        yield b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n"
        yield b"POST /ws HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        yield b"POST /ws HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        yield b"HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        yield b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"
        yield b"GET /" + b"a" * MAX_HEAD_BYTES
        yield b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 120 + b"\r\n"
        yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

    def run(self, data: bytes) -> Hashable:
        """All of it in one piece."""
        with no_troubles():
            self._whole = seen = Request([data])
        assert seen.is_over_in_time, "a connection that never ends"
        assert not seen.left, "something is still going to happen"
        assert len(seen.answer) <= _LONGEST_ANSWER_BYTES
        assert seen.reached <= len(data) if seen.is_websocket else not seen.reached
        return _status(seen), seen.is_waiting, bool(seen.client)

    def check(self, data: bytes, outcome: Hashable) -> None:
        """In other pieces it is answered the same."""
        whole = self._whole
        cuts = sorted((len(data) // 3, sum(data) % (len(data) + 1)))
        with no_troubles():
            _compare(whole, Request(data[start:end] for start, end in pairwise((0, *cuts, len(data)))))
            if len(data) <= 600:
                _compare(whole, Request(data[at : at + 1] for at in range(len(data))))

    def shape(self, data: bytes, rng: random.Random) -> bytes:
        """A head that ends, or one that is nearly right."""
        match rng.randint(0, 4):
            case 0:
                return data + b"\r\n\r\n"
            case 1:
                return _UPGRADE + data[: MAX_BODY_BYTES // 10] + b"\r\n\r\n"
        return data


def _compare(whole: Request, other: Request) -> None:
    assert (other.answer, other.client, other.reached) == (whole.answer, whole.client, whole.reached)
    assert other.is_waiting == whole.is_waiting


def _status(request: Request) -> int | None:
    """The status, of the one answer there is; nothing but what belongs to it was written."""
    if not request.answer:
        assert request.is_waiting or request.is_over_in_time
        return None
    head = _HEAD.match(request.answer)
    assert head is not None, request.answer
    status = int(head[1])
    if not request.is_websocket:
        assert b"\r\nHTTP/1" not in request.answer, "two answers"
        assert not head[2] or b"connection: close\r\n" in head[2].lower()
        assert status in (200, 400, 403, 404, 405, 414, 426, 431, 501, 503, 505), status
    return status
