"""One connection to a server, seen from the client: requests with their replies, events, and a heartbeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.client.errors import ClientError, ConnectionClosed, NoReply, ProtocolViolation
from superchat.client.replies import Exchanges
from superchat.wire.connection import Connection, Event
from superchat.wire.errors import Broken, Malformed, Unsupported
from superchat.wire.messages import BY_CODE, Disconnect, Ping, ServerConfig
from superchat.wire.records import Message

KEEPALIVE_SECONDS = 30.0
REQUEST_TIMEOUT_SECONDS = 10.0
CLOSED = "the server closed the connection"
CLOSE_SECONDS = 5.0  # after this long, a peer that does not take our last bytes is cut off

T = TypeVar("T")
EventListener = Callable[[Message], None]


def ignore(message: Message) -> None:
    """The listener of who does not listen."""


def fork(source: Deferred[T], cancel: Callable[[], None] = lambda: None) -> Deferred[T]:
    """Return a Deferred of its own for the result of ``source``, which others may wait for as well.

    A failure is taken out of ``source``. Cancelling the fork calls ``cancel`` and leaves ``source`` alone.
    """
    copy: Deferred[T] = Deferred(lambda _: cancel())

    def pass_on(result: T) -> T:
        if not copy.called:
            copy.callback(result)
        return result

    def pass_failure_on(failure: Failure) -> None:
        if not copy.called:
            copy.errback(failure)

    source.addCallbacks(pass_on, pass_failure_on)
    return copy


class ChatClient(Protocol):
    """One connection to a server.

    ``ready`` fires with the SERVER_CONFIG, which must be the server's first frame (decisions 1.1); it fails
    with ConnectionClosed, or ProtocolViolation, if the connection ends before. ``closed`` fires with the
    reason as a text, once, and never fails. ``on_event`` is called with every message that is not the reply
    to a request, in the order of the wire; whatever it raises is logged. ``clock`` is what it measures time by.

    A message that cannot be read ends the connection; one of an unknown type is skipped, as newer servers may
    send more. No more is buffered than one frame that is not complete yet.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        *,
        on_event: EventListener = ignore,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
    ) -> None:
        self.config: ServerConfig | None = None
        self.on_event = on_event
        self.ready: Deferred[ServerConfig] = Deferred()
        self.closed: Deferred[str] = Deferred()
        self.clock = clock
        self._keepalive_seconds = keepalive_seconds
        self._wire = Connection(BY_CODE)
        self._exchanges = Exchanges()
        self._open = False
        self._end: ConnectionClosed | None = None
        self._timer: IDelayedCall | None = None

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return self._open and self._end is None

    # Sending

    def send(self, message: Message) -> None:
        """Write a message; after the end of the connection, do nothing.

        Raises Unencodable if the message does not fit the protocol.
        """
        frame = self._wire.encode(message)
        if self.is_open:
            self.transport.write(frame)  # type: ignore[union-attr]

    def request(self, message: Message, timeout: float = REQUEST_TIMEOUT_SECONDS) -> Deferred[Any]:
        """Send a message and return a Deferred of its reply, of a type that ``replies.REPLIES`` names.

        It fails with ServerRefused when the reply is ERROR, NoReply after ``timeout`` seconds, and
        ConnectionClosed when the connection ends first. Replies with ``success=false`` are replies.
        Cancelling it only stops the waiting. Raises TypeError for a message that has no reply, Unencodable
        as ``send`` does.
        """
        frame = self._wire.encode(message)
        exchange = self._exchanges.open(message)
        if not self.is_open:
            self._exchanges.fail(self._end or ConnectionClosed("not connected"))
            return exchange.reply
        self.transport.write(frame)  # type: ignore[union-attr]
        expiry = self.clock.callLater(timeout, exchange.expire, timeout)

        def done(result: Message | Failure) -> Message | Failure:
            if expiry.active():
                expiry.cancel()
            return result

        return exchange.reply.addBoth(done)

    def close(self, reason: str | None = None) -> Deferred[str]:
        """Say DISCONNECT and close; the Deferred fires like ``closed``. Takes ``CLOSE_SECONDS`` at most."""
        if self.is_open:
            self.send(Disconnect(reason=reason))
            self._hang_up(ConnectionClosed(reason or "closed by this side"))
        return fork(self.closed) if self.transport is not None else succeed("never connected")

    def abort(self, reason: str = "aborted by this side") -> None:
        """Drop the connection at once, unsent bytes included."""
        if self._end is None:
            self._end = ConnectionClosed(reason)
        if self._open:
            self.transport.abortConnection()  # type: ignore[union-attr]

    # Twisted calls these

    def connectionMade(self) -> None:
        self._open = True

    def dataReceived(self, data: bytes) -> None:
        self._wire.receive_data(data)
        try:
            while self._end is None and (event := self._wire.next_event()) is not None:
                self._received(event)
        except Broken as broken:
            self._violated(broken.reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._open = False
        self._set_timer(None)
        if self._end is None:
            done = reason.check(ConnectionDone) is not None
            self._end = ConnectionClosed(CLOSED if done else reason.getErrorMessage().rstrip("."))
        self._exchanges.fail(self._end)
        if not self.ready.called:
            self.ready.errback(self._end)
        self.closed.callback(self._end.reason)

    # Receiving

    def _received(self, event: Event) -> None:
        if isinstance(event, Malformed):
            self._violated(str(event))
        elif isinstance(event, Unsupported):
            self._log.debug("Skipped: {event}", event=event)
        elif self.config is None:
            self._begin(event)
        else:
            self._dispatch(event)

    def _begin(self, first: Message) -> None:
        if not isinstance(first, ServerConfig):
            self._violated(f"the first message is {first.NAME}, not SERVER_CONFIG")
            return
        self.config = first
        self._set_timer(self.clock.callLater(self._keepalive_seconds, self._keep_alive))
        self.ready.callback(first)

    def _dispatch(self, message: Message) -> None:
        if isinstance(message, Disconnect):
            self._hang_up(ConnectionClosed(message.reason or CLOSED))
        if self._exchanges.settle(message):
            return
        try:
            self.on_event(message)
        except Exception:  # noqa: BLE001
            # A listener's mistake must not cost the connection.
            self._log.failure("The listener failed on {message}", message=message)

    # Ending

    def _violated(self, why: str) -> None:
        self._end = ProtocolViolation(f"protocol violation by the server: {why}")
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _hang_up(self, end: ConnectionClosed) -> None:
        self._end = end
        self._set_timer(self.clock.callLater(CLOSE_SECONDS, self.abort))
        self.transport.loseConnection()  # type: ignore[union-attr]

    def _keep_alive(self) -> None:
        self._set_timer(self.clock.callLater(self._keepalive_seconds, self._keep_alive))
        ping = Ping(timestamp=int(self.clock.seconds() * 1000))
        pong = self.request(ping, timeout=2 * self._keepalive_seconds)
        pong.addErrback(self._ping_failed)

    def _ping_failed(self, failure: Failure) -> None:
        failure.trap(ClientError)
        if failure.check(NoReply):
            self.abort("the server stopped answering")

    def _set_timer(self, call: IDelayedCall | None) -> None:
        """There is one timer: the heartbeat's while the connection is up, then that of the bounded close."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = call
