"""A connection in memory that treats its protocol as Twisted's own transports do."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer


class Pipe(StringTransport):
    """What arrives while the protocol has paused waits; the end is told to the protocol in a turn of its own.

    While the peer does not read, the transport pauses its producer, as one does that holds more than it wants to, and
    an orderly close waits for the peer; `abortConnection` does not.
    """

    protocol: Any

    def __init__(self, clock: Clock, peer: IAddress) -> None:
        super().__init__(peerAddress=peer, lenient=True)
        self._clock = clock
        self._arrived: list[bytes] = []
        self.is_read = True
        self.is_over = False
        self.is_half_closed = False

    @property
    def is_reading(self) -> bool:
        """Whether the protocol gets what arrives."""
        return self.producerState == "producing" and not self.disconnecting and not self.is_over

    def connect(self, protocol: Any) -> None:
        """Let the protocol have the connection."""
        self.protocol = protocol
        protocol.makeConnection(self)

    def arrive(self, data: bytes) -> None:
        """Bytes of the peer."""
        self._arrived.append(data)
        self._deliver()

    def taken(self) -> bytes:
        """What was written since the last call."""
        written: bytes = self.value()
        self.clear()
        return written

    def read_on(self, on: bool) -> None:
        """The peer reads on, or no more for now."""
        if on == self.is_read or self.is_over:
            return
        self.is_read = on
        if self.producer is not None:
            (self.producer.resumeProducing if on else self.producer.pauseProducing)()
        if on and self.disconnecting:
            self._end_soon(ConnectionDone())

    def hang_up(self) -> None:
        """The peer has closed the connection."""
        self._end(ConnectionDone())

    # As its protocol sees it

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            if self.is_read:
                self._end_soon(ConnectionDone())

    def abortConnection(self) -> None:
        self.disconnecting = self.disconnected = True
        self._end_soon(ConnectionAborted())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.is_over:
            producer.stopProducing()
            return
        super().registerProducer(producer, streaming)
        if not self.is_read and streaming:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self.producer = self.streaming = None

    def resumeProducing(self) -> None:
        if not self.disconnecting and not self.is_over:
            self.producerState = "producing"
            self._clock.callLater(0, self._deliver)

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def _deliver(self) -> None:
        while self._arrived and self.is_reading:
            self.protocol.dataReceived(self._arrived.pop(0))

    def _end_soon(self, why: Exception) -> None:
        self._clock.callLater(0, self._end, why)

    def _end(self, why: Exception) -> None:
        if not self.is_over:
            self.is_over = True
            self._arrived.clear()
            if self.producer is not None:
                self.producer.stopProducing()
            self.protocol.connectionLost(Failure(why))


@implementer(ITCPTransport)
class TCPPipe(Pipe):
    """One that can be closed in one direction, as TCP can."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Not that it makes a difference here."""

    def getTcpNoDelay(self) -> bool:
        """As was set."""
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nor that."""

    def getTcpKeepAlive(self) -> bool:
        """As was set."""
        return True

    def loseWriteConnection(self) -> None:
        """Tell the peer that nothing more comes."""
        self.is_half_closed = True
