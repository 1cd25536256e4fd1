"""Opening one connection."""

from __future__ import annotations

from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from superchat.client.connect import CONNECT_SECONDS, connect, connect_endpoint
from superchat.client.errors import ConnectionClosed, ProtocolViolation
from superchat.client.protocol import ChatClient
from superchat.wire import messages as wire
from tests.client.scripted import CONFIG, ScriptedEndpoint, ScriptedServer


class ConnectEndpointTests(SynchronousTestCase):
    """A connection counts once the server has introduced itself."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = ScriptedEndpoint()
        self.endpoint.silent = True

    def test_greeted(self) -> None:
        """The client comes with its SERVER_CONFIG; its heartbeat is the only timer left."""
        connecting = connect_endpoint(self.endpoint, self.clock, keepalive_seconds=60)
        self.assertNoResult(connecting)
        self.endpoint.server.greet()
        client = self.successResultOf(connecting)
        self.assertEqual(client.config, CONFIG)
        self.assertEqual(self.successResultOf(client.ready), CONFIG)
        [heartbeat] = self.clock.getDelayedCalls()
        self.assertEqual(heartbeat.getTime(), 60)

    def test_listener(self) -> None:
        """No event is missed between the greeting and the first look at the client."""
        events: list[object] = []
        connect_endpoint(self.endpoint, self.clock, on_event=events.append)
        goodbye = wire.Disconnect(reason="full")
        self.endpoint.server.say(CONFIG, goodbye)
        self.assertEqual(events, [goodbye])

    def test_refused(self) -> None:
        """The endpoint's failure is passed on."""
        self.endpoint.down = True
        self.failureResultOf(connect_endpoint(self.endpoint, self.clock), ConnectionRefusedError)

    def test_silent_server(self) -> None:
        """Whoever accepts and says nothing is given up in time."""
        connecting = connect_endpoint(self.endpoint, self.clock, timeout_seconds=4)
        self.clock.advance(4)
        closed = self.failureResultOf(connecting, ConnectionClosed).value
        self.assertEqual(closed.reason, "no SERVER_CONFIG within 4 s")
        self.assertTrue(self.endpoint.server.gone)

    def test_no_chat_server(self) -> None:
        """What does not speak the protocol is told apart at once."""
        connecting = connect_endpoint(self.endpoint, self.clock)
        self.endpoint.server.say_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.failureResultOf(connecting, ProtocolViolation)

    def test_cancelled(self) -> None:
        """Cancelling drops the connection."""
        connecting = connect_endpoint(self.endpoint, self.clock)
        connecting.cancel()
        self.failureResultOf(connecting, ConnectionClosed, CancelledError)
        self.assertTrue(self.endpoint.server.gone)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ConnectTests(SynchronousTestCase):
    """Connecting by host and port."""

    def test_over_tcp(self) -> None:
        """A host and port lead to a TCP connection there."""
        reactor = MemoryReactorClock()
        connecting = connect(reactor, "localhost", 7000)
        _, port, factory, timeout_seconds, _ = reactor.tcpClients[0]
        self.assertEqual((port, timeout_seconds), (7000, CONNECT_SECONDS))
        built = cast(Protocol, factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 7000)))
        ScriptedServer(built).greet()
        self.assertIsInstance(self.successResultOf(connecting), ChatClient)
