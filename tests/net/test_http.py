"""Tests for `superchat.net.http`: one request for each connection, and nothing more from anybody."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from superchat.net.http import (
    GRACE_SECONDS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    READ_TIMEOUT_SECONDS,
    REQUEST_TIMEOUT_SECONDS,
    QuietSite,
)

ADDRESS = IPv4Address("TCP", "192.0.2.7", 40_000)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_PACKET_BYTES = 55_000


class Page(Resource):
    """Says hello, after *costs_seconds* on the clock; or later, when the test finishes the request."""

    isLeaf = True

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.costs_seconds = 0.0
        self.later = False
        self.requests: list[Request] = []
        self.lost: list[Failure] = []

    def render(self, request: Request) -> bytes | int:
        self.requests.append(request)
        self.clock.rightNow += self.costs_seconds
        if not self.later:
            return b"" if request.method == b"HEAD" else b"hello"
        gone: Deferred[None] = request.notifyFinish()
        gone.addErrback(self.lost.append)
        return NOT_DONE_YET


class Wire(StringTransport):
    """A transport that counts what was read from it, and is gone when it was cut."""

    protocol: Any

    def abortConnection(self) -> None:
        super().abortConnection()
        self.protocol.connectionLost(Failure(ConnectionAborted()))

    def deliver(self, data: bytes) -> None:
        """Bytes of the peer, if anybody wants them."""
        if not self.disconnecting:
            self.protocol.dataReceived(data)


class SiteTestCase(SynchronousTestCase):
    """A site with one page."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.page = Page(self.clock)
        self.site = QuietSite(self.page, self.clock, max_connections=3)
        self.site.displayTracebacks = False

    def connect(self) -> Wire | None:
        """A connection, if it is taken."""
        protocol = self.site.buildProtocol(ADDRESS)
        if protocol is None:
            return None
        wire = Wire(peerAddress=ADDRESS)
        wire.protocol = protocol
        protocol.makeConnection(wire)
        return wire

    def connected(self) -> Wire:
        """A connection, which must be taken."""
        wire = self.connect()
        assert wire is not None, "the connection was refused"
        return wire

    def sent(self, data: bytes) -> Wire:
        """A connection on which this has arrived."""
        wire = self.connected()
        wire.deliver(data)
        return wire

    def leave(self, wire: Wire) -> None:
        """The peer closes."""
        wire.protocol.connectionLost(Failure(ConnectionDone()))

    def assert_answered_once(self, wire: Wire, status: bytes = b"200 OK") -> None:
        self.assertEqual(wire.value().count(b"HTTP/1.1 "), 1, wire.value())
        self.assertTrue(wire.value().startswith(b"HTTP/1.1 " + status), wire.value())
        self.assertTrue(wire.disconnecting)


class OneRequestTests(SiteTestCase):
    """One answer, and the end."""

    def test_answer(self) -> None:
        """The answer says that the connection ends, and it does."""
        for head in (REQUEST, REQUEST.replace(b"Host", b"Connection: keep-alive\r\nHost")):
            wire = self.sent(head)
            self.assert_answered_once(wire)
            self.assertIn(b"\r\nConnection: close\r\n", wire.value())
            self.assertTrue(wire.value().endswith(b"\r\n\r\nhello"))
            self.leave(wire)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_says_close_once(self) -> None:
        """It says so once to clients that want it so as well."""
        wire = self.sent(REQUEST.replace(b"Host", b"Connection: close\r\nHost"))
        self.assertEqual(wire.value().lower().count(b"close"), 1)

    def test_pipelined(self) -> None:
        """A packet full of requests is one request."""
        wire = self.sent(REQUEST * (LARGE_PACKET_BYTES // len(REQUEST)))
        self.assert_answered_once(wire)
        self.assertEqual(len(self.page.requests), 1)

    def test_pipelined_while_answering(self) -> None:
        """What comes while the answer is being made is not kept, and after a packet of it nobody reads on."""
        self.page.later = True
        wire = self.sent(REQUEST)
        self.assertEqual(wire.producerState, "producing")
        wire.deliver(REQUEST * 1000)
        self.assertEqual(wire.producerState, "paused")
        self.assertEqual(wire.protocol._dataBuffer, [])
        self.assertEqual(wire.value(), b"")
        self.page.requests[0].write(b"hello")
        self.page.requests[0].finish()
        self.assert_answered_once(wire)
        self.assertEqual(len(self.page.requests), 1)

    def test_peer_leaves(self) -> None:
        """While the answer is being made, the resource learns that nobody waits for it any more."""
        self.page.later = True
        wire = self.sent(REQUEST)
        self.leave(wire)
        self.assertEqual(len(self.page.lost), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_every_split(self) -> None:
        """It does not matter how the request is cut, or whether an empty line comes before it."""
        post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
        for data in (REQUEST, b"\r\n" + REQUEST, post):
            for cut in range(len(data)):
                wire = self.sent(data[:cut])
                self.assertEqual(wire.value(), b"")
                wire.deliver(data[cut:])
                self.assert_answered_once(wire)
                self.leave(wire)


class HeadTests(SiteTestCase):
    """The head of a request has an end."""

    def test_bounded(self) -> None:
        """A head that is too large is told so, whatever it is made of, in one piece or in many."""
        for data in (
            b"A" * 100_000,
            b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000,
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
            b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n",
        ):
            for size in (len(data), 1000, 1):
                wire = self.connected()
                for start in range(0, len(data), size):
                    wire.deliver(data[start : start + size])
                self.assert_answered_once(wire, b"431 ")
                self.leave(wire)
        self.assertEqual(self.page.requests, [])

    def test_largest(self) -> None:
        """A head of just the largest size is a good one."""
        start = b"GET / HTTP/1.1\r\nX: "
        wire = self.sent(start + b"y" * (MAX_HEAD_BYTES - len(start) - 4) + b"\r\n\r\n" + REQUEST)
        self.assert_answered_once(wire)

    def test_number_of_headers(self) -> None:
        """So is the number of its lines bounded."""
        self.assert_answered_once(self.sent(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 90 + b"\r\n"))
        self.assert_answered_once(self.sent(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 110 + b"\r\n"), b"400 ")

    def test_parsed_when_whole(self) -> None:
        """Nothing of a head is looked at before its end is there, however many lines there are."""
        wire = self.sent(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50)
        self.assertEqual(wire.protocol.requests, [])
        wire.deliver(b"\r\n")
        self.assert_answered_once(wire)

    def test_bad(self) -> None:
        """What is no request is answered with 400, once; a length of very many digits is no exception."""
        for data in (
            b"\x00\x00\x00\x04\x02\x11\x00\x00\r\n\r\n",
            b"\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/1.1\r\nno header\r\nneither this\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\nX: y\r\n\r\n",
        ):
            wire = self.sent(data + REQUEST)
            self.assert_answered_once(wire, b"400 ")
            self.leave(wire)
        self.assertEqual(self.page.requests, [])


class BodyTests(SiteTestCase):
    """Bodies are read a little, and never kept."""

    def head(self, more: bytes) -> bytes:
        """The head of a POST."""
        return b"POST / HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n\r\n"

    def test_small(self) -> None:
        """A small one is waited for, so that its sender gets to read the answer."""
        wire = self.sent(self.head(b"Content-Length: 1000"))
        wire.deliver(b"x" * 999)
        self.assertEqual(wire.value(), b"")
        wire.deliver(b"x")
        self.assert_answered_once(wire)

    def test_not_waited_for(self) -> None:
        """One that is large, or of no known size, or sent only on demand, changes nothing: the answer is there."""
        for more in (
            b"Content-Length: %d" % (MAX_BODY_BYTES + 1),
            b"Content-Length: " + b"9" * 100,
            b"Transfer-Encoding: chunked",
            b"Content-Length: 10\r\nExpect: 100-continue",
        ):
            wire = self.sent(self.head(more))
            self.assert_answered_once(wire)
            self.leave(wire)

    def test_not_kept(self) -> None:
        """What was sent of one is nowhere."""
        self.page.later = True
        wire = self.sent(self.head(b"Content-Length: 1000000") + b"x" * 10_000)
        wire.deliver(b"x" * 60_000)
        content: Any = self.page.requests[0].content
        self.assertEqual(content.getvalue(), b"")
        self.assertEqual(wire.protocol._dataBuffer, [])
        self.assertEqual(wire.producerState, "paused")

    def test_never_ends(self) -> None:
        """One that does not arrive in time ends the connection."""
        wire = self.sent(self.head(b"Content-Length: 1000"))
        for _ in range(REQUEST_TIMEOUT_SECONDS):
            wire.deliver(b"x")
            self.clock.advance(1)
        self.assertTrue(wire.disconnecting)
        self.assertEqual(self.page.requests, [])


class TimeTests(SiteTestCase):
    """Nobody stays."""

    def test_arrival(self) -> None:
        """A request has ten seconds to arrive, and a byte now and then does not buy it more."""
        silent, slow = self.connected(), self.connected()
        for byte in REQUEST[:REQUEST_TIMEOUT_SECONDS]:
            slow.deliver(bytes((byte,)))
            self.clock.advance(1)
        for wire in (silent, slow):
            self.assertTrue(wire.disconnecting)
            self.assertEqual(wire.value(), b"")

    def test_answer_takes_long(self) -> None:
        """An answer may take its time to be made."""
        self.page.later = True
        wire = self.sent(REQUEST)
        self.clock.advance(1000)
        self.assertFalse(wire.disconnecting)

    def test_never_reads(self) -> None:
        """Who does not read the answer is cut off."""
        wire = self.sent(REQUEST)
        self.clock.advance(READ_TIMEOUT_SECONDS)
        self.assertTrue(wire.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pace(self) -> None:
        """Requests that cost much are answered one after the other, with rests between; their peers wait unread."""
        self.page.costs_seconds = 0.02
        wires = [self.sent(REQUEST) for _ in range(3)]
        self.assertEqual(len(self.page.requests), 1)
        self.assertEqual([wire.producerState for wire in wires], ["producing", "paused", "paused"])
        self.clock.pump([0.005] * 5)
        self.assertEqual(len(self.page.requests), 2)
        self.clock.pump([0.005] * 5)
        for wire in wires:
            self.assert_answered_once(wire)

    def test_gone_in_the_queue(self) -> None:
        """Who leaves before the turn has come costs nothing any more."""
        self.page.costs_seconds = 0.02
        wires = [self.sent(REQUEST) for _ in range(3)]
        self.leave(wires[1])
        self.clock.pump([0.005] * 20)
        self.assertEqual(len(self.page.requests), 2)
        self.assertEqual(wires[1].value(), b"")


class RoomTests(SiteTestCase):
    """There is room for so many."""

    def test_full(self) -> None:
        """When it is taken, a newcomer is turned away, until one of them has left."""
        wires = [self.connected() for _ in range(3)]
        self.assertIsNone(self.connect())
        self.leave(wires[0])
        self.assertIsNotNone(self.connect())
        self.assertIsNone(self.connect())

    def test_idle_make_room(self) -> None:
        """The one that has kept the server waiting for longest makes room, so that nobody can take it all."""
        first, second, third = (self.connected() for _ in range(3))
        self.clock.advance(GRACE_SECONDS)
        fourth = self.connected()
        self.assertEqual([wire.disconnected for wire in (first, second, third, fourth)], [True, False, False, False])
        first.deliver(REQUEST)
        self.assertEqual(self.page.requests, [])

    def test_unread_make_room(self) -> None:
        """So does one whose answer is not read."""
        unread, *_ = [self.sent(REQUEST), self.connected(), self.connected()]
        self.clock.advance(GRACE_SECONDS)
        self.connected()
        self.assertTrue(unread.disconnected)

    def test_answering_stays(self) -> None:
        """One for which an answer is being made does not."""
        self.page.later = True
        wires = [self.sent(REQUEST) for _ in range(3)]
        self.clock.advance(GRACE_SECONDS)
        self.assertIsNone(self.connect())
        self.assertEqual([wire.disconnected for wire in wires], [False] * 3)


class HarmlessTests(SiteTestCase):
    """Nothing that arrives makes the server fail or write a line."""

    def test_anything(self) -> None:
        """Whatever the bytes are, there is one answer at the most, and not a word in the log."""
        chance = random.Random(6465)
        pieces = (
            *(b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b"\x00", b"\xff", b"GET ", b"/", b"HEAD / ", b"HTTP/1.1"),
            *(b"Host: x", b"Content-Length: 5", b"Content-Length: ", b"Transfer-Encoding: chunked", b"Cookie: a=;b"),
            *(b"Content-Type: multipart/form-data", b"9" * 4400, b"%ff", b"x" * 1000),
            *(b"Authorization: Basic x", b"Expect: 100-continue", b"Connection: Upgrade", b"GET / HTTP/1.1\r\n"),
        )
        with capturedLogs() as events:
            for _ in range(2000):
                wire = self.sent(chance.choice((b"", b"GET / HTTP/1.1\r\n", b"POST /?a=%zz&b HTTP/1.1\r\n")))
                for _ in range(chance.randrange(1, 12)):
                    wire.deliver(chance.choice(pieces))
                wire.deliver(b"\r\n\r\n")
                self.assertLessEqual(wire.value().count(b"HTTP/1."), 1)
                self.leave(wire)
        self.assertEqual(events, [])
        self.assertGreater(len(self.page.requests), 100)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timeouts_are_silent(self) -> None:
        """A connection that times out is nobody's news."""
        with capturedLogs() as events:
            self.sent(b"GET")
            self.clock.advance(REQUEST_TIMEOUT_SECONDS)
            self.clock.advance(READ_TIMEOUT_SECONDS)
        self.assertEqual(events, [])

    def test_failure(self) -> None:
        """A server that fails on a request cuts the connection, and says so in its log."""
        wire = self.connected()
        self.patch(self.site, "getContentFile", lambda length: 1 // 0)
        wire.deliver(REQUEST)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(wire.disconnected)
