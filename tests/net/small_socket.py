"""A real TCP transport of Twisted's on a real socket with a small kernel buffer, without a reactor that runs."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocol
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock

ADDRESS = ("192.0.2.7", 40_000)
_BUFFER_BYTES = 4096
_UNNUMBERED = 0


class _Transport(Server):
    """Does what a pair of sockets in the kernel cannot: it has addresses, and delays nothing."""

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "10.0.0.1", 12345)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """It is so anyway."""


class SmallSocket:
    """The transport, connected to *protocol*, and the peer, who reads only when it is told to."""

    def __init__(self, protocol: IProtocol) -> None:
        self._ours, self._peer = socket.socketpair()
        self._ours.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._peer.setblocking(False)
        self.clock = MemoryReactorClock()
        listening: Any = None
        self.transport = _Transport(self._ours, protocol, ADDRESS, listening, _UNNUMBERED, self.clock)
        protocol.makeConnection(self.transport)

    @property
    def is_writing(self) -> bool:
        """Whether the transport waits for the kernel."""
        return self.transport in self.clock.getWriters()

    def read(self) -> bytes:
        """Everything that the kernel holds for the peer."""
        data = b""
        while True:
            try:
                data += self._peer.recv(65536)
            except BlockingIOError:
                return data

    def drain(self) -> bytes:
        """Read, and let the transport write, until nothing is left."""
        data = self.read()
        while self.is_writing:
            self.transport.doWrite()
            self.clock.advance(0)
            data += self.read()
        return data

    def close_peer(self) -> None:
        """Let the peer be gone."""
        self._peer.close()

    def close(self) -> None:
        """Close both ends."""
        self._ours.close()
        self._peer.close()
