"""A WebSocket after its handshake: RFC 6455 frames on one side, a byte transport on the other."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address as IPv6Host
from typing import ClassVar, Final, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IProducer,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.internet.tcp import Connection as TCPConnection
from twisted.logger import Logger
from twisted.python.failure import Failure
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from zope.interface import implementer

from superchat.net.rounds import Rounds
from superchat.net.websocket_frames import (
    PARTS_OF_A_FRAME,
    THROTTLE_SECONDS,
    FrameAllowance,
    MessageSizeLimit,
    WebSocketLimits,
    as_messages,
)
from superchat.net.websocket_stream import StreamTransport, WriteSide

FRAMES_AT_ONCE: Final = 4
"""WebSocket frames of one peer read before the others get their turn: each costs 20 µs and more, however empty."""


def plain_address(address: IAddress) -> IAddress:
    """Return `address`, an IPv4 address mapped into IPv6 as the IPv4 address it is (decisions 1.4)."""
    if not isinstance(address, IPv6Address):
        return address
    mapped = IPv6Host(address.host).ipv4_mapped
    return address if mapped is None else IPv4Address(address.type, str(mapped), address.port)


def _weight(event: Event) -> int:
    """For how many a WebSocket frame counts: for as many as carry a frame of the protocol, if it carries nothing."""
    return 1 if isinstance(event, BytesMessage) and event.data else PARTS_OF_A_FRAME


@implementer(ITransport, IPushProducer, IConsumer)
class WebSocketTransport:
    """One WebSocket connection as a byte transport.

    Below it, `stream` carries the WebSocket frames; its owner calls `start`, then `frames_received` and
    `stream_lost`. Above it, `protocol` sees a stream of bytes: the payload of binary messages as it arrives.
    No message is held back until it is whole; an empty one says nothing and is ignored.

    A text message closes the connection (1003), and so does a message over the limit (1009) or any other
    breach of RFC 6455, unmasked frames among them (1002, 1007). Pings are answered; of those that arrive
    while the peer does not read, only the last. Of more than `FRAMES_AT_ONCE` the rest is read in `rounds`, in which
    all WebSockets of a server take part.

    Writing behaves like Twisted's TCP transport: a producer is paused while the transport below holds more
    than it wants to, and `loseConnection` lets a paused producer finish before the Close frame goes out.
    """

    kind: ClassVar = "websocket"
    _log = Logger()

    def __init__(
        self,
        stream: StreamTransport,
        protocol: IProtocol,
        clock: IReactorTime,
        limits: WebSocketLimits,
        rounds: Rounds,
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self._clock = clock
        self._rounds = rounds
        self._close_timeout_seconds = limits.close_timeout_seconds
        self._frames = Connection(ConnectionType.SERVER, [MessageSizeLimit(limits.max_message_bytes)])
        self._allowance = FrameAllowance(clock, limits.max_frames_per_second)
        self._write_side = WriteSide(stream, self._writes_drained)
        self._owed_pong: Ping | None = None
        self._breach: Failure | None = None
        self._close_sent = False
        self._input_ended = False
        self._read_paused = False
        self._stream_paused = False
        self._reads_later = False
        self._throttle_call: IDelayedCall | None = None
        self._close_call: IDelayedCall | None = None
        self.disconnecting = False

    def start(self) -> None:
        """Connect the protocol. The response to the handshake is written; `stream` has no producer."""
        self._write_side.start()
        self._protocol.makeConnection(self)

    # What the owner of the stream below calls

    def frames_received(self, data: bytes) -> None:
        """Take bytes of WebSocket frames, however they are cut."""
        if self._input_ended:
            return
        self._frames.receive_data(data)
        if not (self._reads_later or self._read_paused):
            self._read_frames()

    def stream_lost(self, reason: Failure) -> None:
        """Tell the protocol that the connection is gone: `ConnectionLost` after a breach, else `reason`."""
        self.disconnecting = self._close_sent = self._input_ended = True
        for call in (self._throttle_call, self._close_call):
            if call is not None and call.active():
                call.cancel()
        self._write_side.stopProducing()
        self._protocol.connectionLost(self._breach or reason)

    # ITransport and IConsumer

    def write(self, data: bytes) -> None:
        """Send whole protocol frames, each as one binary message, all with one write to the stream below."""
        if data and not self._close_sent:
            self._write_side.write(as_messages(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send the chunks, together whole protocol frames, as `write` does."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Send a Close frame (1000), wait for the peer's, end the connection; abort it when time is up."""
        if not self.disconnecting:
            self._begin_closing()
            self._close_unless_producing()

    def abortConnection(self) -> None:
        """End the connection at once; what is not sent yet is lost."""
        self.disconnecting = self._close_sent = self._input_ended = True
        self._stream.abortConnection()

    def getPeer(self) -> IAddress:
        """Return the peer's address, IPv4 where it is one (decisions 1.4)."""
        return plain_address(self._stream.getPeer())

    def getHost(self) -> IAddress:
        """Return this end's address, IPv4 where it is one."""
        return plain_address(self._stream.getHost())

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Pause `producer` whenever too much waits for the peer.

        Raises RuntimeError if there is a producer already, ValueError for one that wants to be pulled.
        """
        if not streaming:
            raise ValueError("only push producers can be registered on a WebSocket")
        if self._write_side.producer is not None:
            raise RuntimeError(f"cannot register {producer}: {self._write_side.producer} is still registered")
        self._write_side.producer = cast(IPushProducer, producer)
        if self._input_ended:
            self._write_side.stopProducing()
        elif self._write_side.paused:
            self._write_side.pauseProducing()

    def unregisterProducer(self) -> None:
        """Forget the producer; a Close frame that waited for it goes out."""
        self._write_side.producer = None
        self._close_unless_producing()

    # IPushProducer: the reading side

    def pauseProducing(self) -> None:
        """Read no more from the peer; nothing is delivered until `resumeProducing`."""
        if not self.disconnecting:
            self._read_paused = True
            self._hold_stream(True)

    def resumeProducing(self) -> None:
        """Read on, beginning in the next reactor turn with what had arrived already."""
        if self._read_paused:
            self._read_paused = False
            self._read_later()

    def stopProducing(self) -> None:
        """The same as `loseConnection`."""
        self.loseConnection()

    # Reading

    def _read_frames(self) -> None:
        left = FRAMES_AT_ONCE
        for event in self._frames.events():
            self._event_received(event)
            if self._input_ended or self._read_paused:
                return
            left -= 1
            if not self._allowance.take(_weight(event)):
                self._hold_stream(True)
                self._reads_later = True
                self._throttle_call = self._clock.callLater(THROTTLE_SECONDS, self._rounds.add, self._read_on)
                return
            if not left:
                self._hold_stream(True)
                self._read_later()
                return
        self._hold_stream(False)

    def _read_later(self) -> None:
        if not (self._reads_later or self._input_ended):
            self._reads_later = True
            self._rounds.add(self._read_on)

    def _read_on(self) -> None:
        self._reads_later = False
        if not (self._read_paused or self._input_ended):
            with self._log.failuresHandled("a protocol failed on bytes from a WebSocket") as reading:
                self._read_frames()
            if reading.failed:
                self.abortConnection()

    def _hold_stream(self, hold: bool) -> None:
        if hold != self._stream_paused:
            self._stream_paused = hold
            if hold:
                self._stream.pauseProducing()
            else:
                self._stream.resumeProducing()

    def _event_received(self, event: Event) -> None:
        if isinstance(event, BytesMessage):
            if event.data and not self.disconnecting:
                self._protocol.dataReceived(bytes(event.data))
        elif isinstance(event, Ping):
            self._ping_received(event)
        elif isinstance(event, CloseConnection):
            self._close_received(event)
        elif isinstance(event, TextMessage):
            self._fail(CloseReason.UNSUPPORTED_DATA, "only binary messages are spoken here")

    def _ping_received(self, ping: Ping) -> None:
        # A peer that pings without reading must not fill the memory with pongs. The last is enough (5.5.3).
        if self._write_side.paused:
            self._owed_pong = ping
        elif not self._close_sent:
            self._write_side.write(self._frames.send(ping.response()))

    def _writes_drained(self) -> None:
        """The peer has read what was held for it: do what had to wait."""
        if self._owed_pong is not None:
            ping, self._owed_pong = self._owed_pong, None
            self._ping_received(ping)
        self._close_unless_producing()

    # Closing

    def _close_received(self, event: CloseConnection) -> None:
        if self._frames.state is ConnectionState.REMOTE_CLOSING:
            self._begin_closing()
            self._close_sent = True
            self._write_side.write(self._frames.send(event.response()))
            self._end(broken=False)
        elif self._frames.state is ConnectionState.CLOSED:
            self._end(broken=False)
        else:  # not from the peer: this is how wsproto reports a breach
            too_big = event.code == CloseReason.MESSAGE_TOO_BIG
            self._fail(event.code, "message too big" if too_big else event.reason or "protocol error")

    def _fail(self, code: int, text: str) -> None:
        self._breach = Failure(ConnectionLost(f"WebSocket closed with {int(code)}: {text}"))
        self._begin_closing()
        if not self._close_sent:
            self._send_close(code, text)
        self._end(broken=True)

    def _begin_closing(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            self._close_call = self._clock.callLater(self._close_timeout_seconds, self.abortConnection)
        # The peer's answer has to be seen, whatever was paused.
        self.resumeProducing()

    def _close_unless_producing(self) -> None:
        producing = self._write_side.producer is not None and self._write_side.paused
        if self.disconnecting and not self._close_sent and not producing:
            self._send_close(CloseReason.NORMAL_CLOSURE, None)

    def _send_close(self, code: int, text: str | None) -> None:
        self._close_sent = True
        self._write_side.write(self._frames.send(CloseConnection(code, text)))

    def _end(self, *, broken: bool) -> None:
        """Close the stream once all is written; nothing more is expected of the peer but its own end."""
        self._input_ended = True
        self._hold_stream(False)
        self._stream.unregisterProducer()
        if broken and isinstance(self._stream, TCPConnection):
            # Closing on unread input resets the connection, and the peer may never see the Close frame. So
            # only say that no more follows, and drop what still comes until the peer closes or time is up.
            self._stream.loseWriteConnection()
        else:
            self._stream.loseConnection()
