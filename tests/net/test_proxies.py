"""Tests for `superchat.net.proxies`: whose address counts behind a proxy, and whose word does not."""

from __future__ import annotations

from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from superchat.config import Limits
from superchat.net.proxies import HEADER_SECONDS, ProxiedFactory, TrustedProxies
from superchat.wire import frames
from superchat.wire.messages import ServerConfig, SetNickname
from tests.net.in_memory import InMemoryServer

PROXY = IPv4Address("TCP", "10.0.0.1", 50_000)
STRANGER = IPv4Address("TCP", "203.0.113.9", 50_000)
HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 6465\r\n"


class ForwardedTests(SynchronousTestCase):
    """`TrustedProxies.client`: X-Forwarded-For (decisions 1.4)."""

    proxies = TrustedProxies(("10.0.0.0/8", "2001:db8::/32"))

    def host(self, peer: IAddress, *values: bytes) -> str:
        return cast(IPv4Address, self.proxies.client(peer, values)).host

    def test_stranger(self) -> None:
        """What somebody else says does not count."""
        self.assertEqual(self.host(STRANGER, b"192.0.2.7"), "203.0.113.9")

    def test_proxy(self) -> None:
        """The client is who the trusted proxy appended, not what the client made up before."""
        self.assertEqual(self.host(PROXY, b"192.0.2.7"), "192.0.2.7")
        self.assertEqual(self.host(PROXY, b"198.51.100.66, 192.0.2.7"), "192.0.2.7")
        self.assertEqual(self.host(PROXY, b"198.51.100.66", b"::ffff:192.0.2.7"), "192.0.2.7")

    def test_chain(self) -> None:
        """Proxies behind proxies are passed over, as long as they are trusted."""
        self.assertEqual(self.host(PROXY, b"6.6.6.6, 192.0.2.7, 2001:db8::5, 10.1.1.1"), "192.0.2.7")
        self.assertEqual(self.host(PROXY, b"10.9.9.9"), "10.9.9.9")

    def test_nothing_said(self) -> None:
        """Without the header, or with junk in it, it is the proxy's own connection."""
        for values in ((), (b"",), (b"unknown",), (b"192.0.2.7, \xff\x00",), (b"192.0.2.7:80",)):
            self.assertEqual(self.host(PROXY, *values), "10.0.0.1")


class ProxiedTests(SynchronousTestCase):
    """`ProxiedFactory` before a chat: the PROXY protocol (decisions 1.4)."""

    def setUp(self) -> None:
        self.server = InMemoryServer(Limits(max_connections_per_ip=1))
        self.successResultOf(Deferred.fromCoroutine(self.server.start()))
        self.clock = self.server.clock
        self.factory = ProxiedFactory(self.server.factory, TrustedProxies(("10.0.0.0/8",)), self.clock)

    def connect(self, peer: IAddress) -> tuple[Protocol, StringTransport]:
        transport = StringTransport(peerAddress=peer)
        protocol = self.factory.buildProtocol(peer)
        assert protocol is not None
        protocol.makeConnection(transport)
        self.clock.advance(0)
        return protocol, transport

    def addresses(self) -> list[str]:
        return [session.address for session in self.server.chat.sessions.everyone()]

    def test_client_of_a_proxy(self) -> None:
        """Nothing is sent before the header; then the client is greeted, and counted by its own address."""
        protocol, transport = self.connect(PROXY)
        protocol.dataReceived(HEADER[:10])
        self.clock.advance(0)
        self.assertEqual((transport.value(), self.addresses()), (b"", []))
        protocol.dataReceived(HEADER[10:] + frames.encode(SetNickname(nickname="alice")))
        self.clock.advance(0)
        self.assertEqual(self.addresses(), ["192.0.2.7"])
        self.assertEqual(len([*self.server.chat.sessions.named("alice")]), 1)
        self.assertEqual(transport.value()[5], ServerConfig.CODE)

    def test_many_behind_one(self) -> None:
        """Clients behind one proxy do not share its limit."""
        for client in range(3):
            protocol, _ = self.connect(PROXY)
            protocol.dataReceived(b"PROXY TCP4 192.0.2.%d 198.51.100.1 4711 6465\r\n" % client)
        self.assertEqual(self.addresses(), ["192.0.2.0", "192.0.2.1", "192.0.2.2"])

    def test_stranger(self) -> None:
        """A header from anywhere else is junk to the protocol, and the address is the connection's."""
        protocol, _ = self.connect(STRANGER)
        self.assertEqual(self.addresses(), ["203.0.113.9"])
        protocol.dataReceived(HEADER)
        self.assertEqual(self.addresses(), [])

    def test_no_header(self) -> None:
        """A trusted proxy that sends none is cut, at once when it sends something else."""
        protocol, transport = self.connect(PROXY)
        protocol.dataReceived(frames.encode(SetNickname(nickname="alice")))
        self.assertTrue(transport.disconnecting)
        _, silent = self.connect(PROXY)
        self.clock.advance(HEADER_SECONDS)
        self.assertTrue(silent.disconnecting)

    def test_end(self) -> None:
        """Connections end like any others, before the header and after it."""
        before = self.clock.getDelayedCalls()
        protocol, _ = self.connect(PROXY)
        protocol.connectionLost()
        protocol, _ = self.connect(PROXY)
        protocol.dataReceived(HEADER)
        protocol.connectionLost()
        self.assertEqual((self.addresses(), self.clock.getDelayedCalls()), ([], before))

    def test_own_connection(self) -> None:
        """A proxy that only looks whether the server is there is greeted as itself."""
        protocol, _ = self.connect(PROXY)
        protocol.dataReceived(b"PROXY UNKNOWN\r\n")
        self.assertEqual(self.addresses(), ["10.0.0.1"])
