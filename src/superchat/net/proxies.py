"""Proxies that are trusted to say whose connection they pass on (decisions 1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.chat.networks import Networks, address_of, network_of
from superchat.net.proxy_protocol import NoHeader, Source, parse

HEADER_SECONDS: Final = 5.0
"""How long a trusted proxy may take to say whose connection it is."""


class TrustedProxies:
    """The networks whose word is taken; from anywhere else an address is what the connection says."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks: Networks[str] = Networks()
        for network in networks:
            self._networks.add(network_of(network), network)

    def trusts(self, host: str) -> bool:
        """Whether the peer with this address is one of them."""
        address = address_of(host)
        return address is not None and any(True for _ in self._networks.of(address))

    def client(self, peer: IAddress, forwarded: Sequence[bytes]) -> IAddress:
        """Whose request it is: *forwarded* are the values of X-Forwarded-For, in which every proxy appends its peer.

        So the last address is right that is no trusted proxy's; what stands before it anybody may have made up.
        """
        host = getattr(peer, "host", "")
        for word in reversed(b",".join(forwarded).split(b",")):
            if not self.trusts(host):
                break
            address = address_of(word.strip().decode("latin-1"))
            if address is None:
                break
            host = str(address)
        return peer if host == getattr(peer, "host", "") else located(host, 0)


def located(host: str, port: int) -> IAddress:
    """The address of a TCP peer."""
    kind = IPv6Address if ":" in host else IPv4Address
    address: IAddress = kind("TCP", host, port)
    return address


class ProxiedFactory(Factory):
    """Builds the protocols of *wrapped*: for a trusted proxy's connection after its PROXY header, which it must send;
    for everybody else at once, and a header from there is what it is to the protocol, junk."""

    noisy = False

    def __init__(self, wrapped: Factory, proxies: TrustedProxies, clock: IReactorTime) -> None:
        self.wrapped = wrapped
        self.clock = clock
        self._proxies = proxies

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        if self._proxies.trusts(getattr(addr, "host", "").removeprefix("::ffff:")):
            return _Proxied(self, addr)
        return cast("Protocol | None", self.wrapped.buildProtocol(addr))


class _Proxied(Protocol):
    """Waits for the header, then hands everything on to the protocol of the client it names."""

    _log = Logger()

    def __init__(self, owner: ProxiedFactory, proxy: IAddress | None) -> None:
        self._owner = owner
        self._proxy = proxy
        self._received = b""
        self._client: Protocol | None = None

    def connectionMade(self) -> None:
        self._transport = cast(ITCPTransport, self.transport)
        self._timer = self._owner.clock.callLater(HEADER_SECONDS, self._transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        if self._client is not None:
            self._client.dataReceived(data)
            return
        self._received += data
        try:
            source = parse(self._received)
        except NoHeader as error:
            self._log.info("a connection of the proxy {proxy} is cut: {why}", proxy=self._proxy, why=error)
            self._transport.abortConnection()
            return
        if source is not None:
            self._begin(source)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer.active():
            self._timer.cancel()
        if self._client is not None:
            self._client.connectionLost(reason)

    def _begin(self, source: Source) -> None:
        self._timer.cancel()
        address = self._proxy if source.host is None else located(source.host, source.port)
        rest, self._received = self._received[source.header_bytes :], b""
        self._client = cast("Protocol | None", self._owner.wrapped.buildProtocol(address))
        if self._client is None:
            self._transport.abortConnection()
            return
        self._client.makeConnection(self._transport)
        if rest:
            self._client.dataReceived(rest)
