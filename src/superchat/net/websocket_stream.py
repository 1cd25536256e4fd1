"""The stream below a WebSocket: what it has to be, and how it is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IAddress, IProducer, IPushProducer
from zope.interface import implementer

from superchat.net.outbox import direct_send


class StreamTransport(Protocol):
    """What a WebSocket needs of the transport below it: TCP, TLS or one in memory."""

    def write(self, data: bytes) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def getPeer(self) -> IAddress: ...
    def getHost(self) -> IAddress: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def registerProducer(self, producer: IProducer, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...


@implementer(IPushProducer)
class WriteSide:
    """Stands between the stream below and the producer above, who learns when the peer reads slowly.

    Once it no longer does, *drained* is called, after the producer.

    A plain TCP stream is sent to directly while it holds nothing, like that of an `Outbox`: what the kernel does not
    take at once goes the usual way, and everybody waits until that is gone. Other streams say when they hold too much.
    """

    def __init__(self, stream: StreamTransport, drained: Callable[[], None]) -> None:
        self._stream = stream
        self._drained = drained
        self._send = direct_send(stream)
        self.paused = False
        self.producer: IPushProducer | None = None

    def start(self) -> None:
        """Begin; the stream may hold something already."""
        if self._send is None:
            self._stream.registerProducer(self, True)
        else:
            self._wait()

    def write(self, data: bytes) -> None:
        """Write whole WebSocket frames."""
        if self._send is None or self.paused:
            self._stream.write(data)
            return
        try:
            sent = self._send(data)
        except OSError:
            sent = 0  # would block, or broken: the stream finds out which
        if sent < len(data):
            self._wait()
            self._stream.write(data[sent:])

    def _wait(self) -> None:
        """Be told by the stream when it is empty; it has something, or is given something next."""
        self._stream.registerProducer(self, False)
        self.pauseProducing()

    def pauseProducing(self) -> None:
        self.paused = True
        if self.producer is not None:
            self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        if not self.paused:
            return  # a stream asks whom it is to pull from at once
        self.paused = False
        if self._send is not None:
            self._stream.unregisterProducer()
        if self.producer is not None:
            self.producer.resumeProducing()
        self._drained()

    def stopProducing(self) -> None:
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
