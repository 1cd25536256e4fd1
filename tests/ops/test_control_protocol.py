"""The server's side of the control socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.control.messages import (
    LONGEST_REQUEST_BYTES,
    ROWS_PER_LINE,
    Answer,
    ControlError,
    ErrorKind,
    Request,
    decoded_reply,
    encoded_request,
)
from superchat.ops.control.protocol import (
    MOST_CONNECTIONS,
    REQUEST_SECONDS,
    ControlFactory,
    ControlProtocol,
    peer_uid,
)

STATS = encoded_request(Request("stats")) + b"\n"


class Transport(StringTransport):
    """A connection that remembers how it was ended."""

    aborted = False

    def abortConnection(self) -> None:
        """End it at once."""
        self.aborted = True


class Turns(Clock):
    """A reactor whose turns are taken by hand."""

    def turn(self) -> None:
        """Call what is due, and not what that asks for."""
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class Desk:
    """In the place of the commands: takes requests, and answers when the test says so."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Request]] = []
        self.answers: list[Deferred[Answer]] = []

    async def perform(self, who: str, request: Request) -> Answer:
        """Take a request."""
        self.taken.append((who, request))
        self.answers.append(Deferred())
        return await self.answers[-1]


class ProtocolTests(SynchronousTestCase):
    """One connection after the other."""

    def setUp(self) -> None:
        self.clock = Turns()
        self.desk = Desk()
        self.uid: int | None = os.geteuid()
        commands: Any = self.desk
        self.factory = ControlFactory(commands, self.clock, lambda transport: self.uid)

    def connected(self) -> tuple[ControlProtocol, Transport]:
        """A new connection."""
        protocol, transport = self.factory.buildProtocol(None), Transport()
        protocol.makeConnection(transport)
        return protocol, transport

    def lost(self, protocol: ControlProtocol) -> None:
        """The other side is gone."""
        protocol.connectionLost(Failure(ConnectionDone()))

    def replies(self, transport: Transport) -> Sequence[Any]:
        """What was answered."""
        return [decoded_reply(line) for line in transport.value().splitlines()]

    def error(self, transport: Transport) -> ControlError:
        """The error that was the answer, after which the connection is closed."""
        (line,) = transport.value().splitlines()
        self.assertTrue(transport.disconnecting)
        error: ControlError = self.assertRaises(ControlError, decoded_reply, line)
        return error

    def test_answer(self) -> None:
        """A request is carried out in the name of the process's user, answered, and the connection is closed."""
        protocol, transport = self.connected()
        for byte in STATS:
            protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.desk.taken, [(f"operator uid {self.uid}", Request("stats"))])
        self.assertEqual(transport.value(), b"")
        self.desk.answers[0].callback(Answer("done", {"sessions": 1}))
        self.assertEqual(self.replies(transport), [Answer("done", {"sessions": 1})])
        self.assertTrue(transport.disconnecting)

    def test_long_list(self) -> None:
        """A list is sent in parts, one in each turn of the reactor, so that nobody waits for all of it."""
        protocol, transport = self.connected()
        protocol.dataReceived(STATS)
        rows = [{"number": number} for number in range(2 * ROWS_PER_LINE + 1)]
        self.desk.answers[0].callback(Answer("", rows=rows))
        for turn in (1, 2, 3):
            self.assertEqual(len(self.replies(transport)), turn)
            self.clock.turn()
        *parts, end = self.replies(transport)
        self.assertEqual([row for part in parts for row in part], rows)
        self.assertEqual(end, Answer(""))
        self.assertTrue(transport.disconnecting)

    def test_refused(self) -> None:
        """What is not carried out is answered with the reason."""
        protocol, transport = self.connected()
        protocol.dataReceived(STATS)
        self.desk.answers[0].errback(ControlError(ErrorKind.REFUSED, "no"))
        self.assertEqual(self.error(transport).text, "no")

    def test_broken(self) -> None:
        """Whatever goes wrong in the server is answered too, and its log has it with a traceback."""
        protocol, transport = self.connected()
        protocol.dataReceived(STATS)
        self.desk.answers[0].errback(ZeroDivisionError())
        self.assertEqual(self.error(transport).kind, ErrorKind.FAILED)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nonsense(self) -> None:
        """What is no request is answered as that, and nothing is done."""
        for line in (b"GET / HTTP/1.1\r\n", b"\n", b"{}\n", b"\xff\xfe\n"):
            protocol, transport = self.connected()
            protocol.dataReceived(line)
            self.assertEqual(self.error(transport).kind, ErrorKind.USAGE, line)
            self.lost(protocol)
        self.assertEqual(self.desk.taken, [])

    def test_too_long(self) -> None:
        """A line without end is refused as soon as it is too long, and not kept."""
        for piece in (b"x" * (LONGEST_REQUEST_BYTES + 1), b"x" * (LONGEST_REQUEST_BYTES + 1) + b"\n"):
            protocol, transport = self.connected()
            protocol.dataReceived(piece)
            self.assertEqual(self.error(transport).text, "the request is too long")
            for _ in range(100):
                protocol.dataReceived(b"x" * 65536)
            self.assertEqual(len(transport.value().splitlines()), 1)
            self.assertLess(len(protocol._buffer), 2 * LONGEST_REQUEST_BYTES)
            self.lost(protocol)

    def test_one_request(self) -> None:
        """What comes behind the first request is dropped, in the same piece or later."""
        protocol, transport = self.connected()
        protocol.dataReceived(STATS + STATS + b"x" * (LONGEST_REQUEST_BYTES + 1))
        protocol.dataReceived(STATS)
        self.assertEqual(len(self.desk.taken), 1)
        self.desk.answers[0].callback(Answer("done"))
        self.assertEqual(self.replies(transport), [Answer("done")])

    def test_silence(self) -> None:
        """Who asks nothing is cut off; the work itself may take its time, and then the answer must be read."""
        silent, transport = self.connected()
        protocol, other = self.connected()
        protocol.dataReceived(STATS)
        self.clock.advance(REQUEST_SECONDS)
        self.assertTrue(transport.aborted)
        self.clock.advance(1000)
        self.assertFalse(other.aborted)
        self.desk.answers[0].callback(Answer("done"))
        self.clock.advance(REQUEST_SECONDS - 1)
        self.assertFalse(other.aborted)
        self.clock.advance(1)
        self.assertTrue(other.aborted)
        for gone in (silent, protocol):
            self.lost(gone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone(self) -> None:
        """Who does not wait for the answer changes nothing: it is carried out, and no time is left running."""
        protocol, transport = self.connected()
        protocol.dataReceived(STATS)
        self.lost(protocol)
        self.desk.answers[0].callback(Answer("", rows=[{}] * 1000))
        self.assertEqual(transport.value(), b"")
        protocol, transport = self.connected()
        protocol.dataReceived(STATS)
        self.desk.answers[1].callback(Answer("", rows=[{}] * 1000))
        self.lost(protocol)
        self.clock.advance(0)
        self.assertEqual(len(self.replies(transport)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_crowd(self) -> None:
        """More connections than a few are refused, until others are gone."""
        crowd = [self.connected() for _ in range(MOST_CONNECTIONS)]
        late, transport = self.connected()
        self.assertIn("too many", self.error(transport).text)
        late.dataReceived(STATS)
        self.lost(late)
        self.lost(crowd[0][0])
        _, transport = self.connected()
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.desk.taken, [])

    def test_strangers(self) -> None:
        """Only the server's own user and root are listened to, whatever became of the socket's mode."""
        self.uid = os.geteuid() + 1
        protocol, transport = self.connected()
        self.assertIn("only the user", self.error(transport).text)
        protocol.dataReceived(STATS)
        self.assertEqual(self.desk.taken, [])
        self.uid = 0
        protocol, _ = self.connected()
        protocol.dataReceived(STATS)
        self.assertEqual([who for who, _ in self.desk.taken], ["operator uid 0"])

    def test_unknown_peer(self) -> None:
        """Where the system does not tell who connects, the socket's mode is what there is."""
        self.uid = None
        protocol, _ = self.connected()
        protocol.dataReceived(STATS)
        self.assertEqual([who for who, _ in self.desk.taken], ["operator"])


class PeerTests(SynchronousTestCase):
    """Who is at the other end."""

    def test_own_process(self) -> None:
        """The kernel tells whose process has connected."""
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)

        class Connected:
            def getHandle(self) -> socket.socket:
                return ours

        self.assertIn(peer_uid(Connected()), (os.geteuid(), None))
