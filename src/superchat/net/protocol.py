"""One client's connection: bytes to events for the chat, frames to the transport, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from superchat.chat.counters import CloseCause, Transport
from superchat.chat.dispatch import Event
from superchat.chat.limits import TokenBucket
from superchat.chat.service import Chat
from superchat.chat.session import Session
from superchat.config import Limits
from superchat.net.outbox import Flusher, Outbox
from superchat.net.trace import headers
from superchat.net.turn import Turn
from superchat.wire import frames
from superchat.wire.connection import Connection
from superchat.wire.errors import Broken, ErrorCode
from superchat.wire.frames import Header
from superchat.wire.messages import Disconnect

LINGER_SECONDS: Final = 2.0
"""How long a client may take to read its last frames before the connection is cut."""

EVENTS_PER_TURN: Final = 16
STEP_SECONDS: Final = 0.0005
"""So many frames of one client are handled, or for so long, before the others get their turn."""

_READ_AHEAD_BYTES: Final = 16_384
_WRITE_AHEAD_BYTES: Final = 65_536


class SuperChatProtocol(Protocol):
    """A `Peer` of the chat on any stream transport.

    Requests are answered in the order they came, for the protocol has no request ids; some may overlap. While the
    next one has to wait, or answers are not being read, or the frame limit is used up, reading pauses.
    """

    def __init__(self, chat: Chat, clock: IReactorTime, flusher: Flusher, turn: Turn, address: str) -> None:
        limits = chat.config.limits
        self._chat = chat
        self._clock = clock
        self._flusher = flusher
        self._turn = turn
        self._address = address
        self._limits: Limits = limits
        self._traced = chat.config.logging.debug
        self._incoming = Connection()
        self._frames = TokenBucket(rate=limits.max_frames_per_second, burst=limits.frame_burst)
        self._held: Event | None = None
        self._flooding = False
        self._waiting = False
        self._answering = False
        self._farewell: tuple[str, CloseCause] | None = None
        self._reading = True
        self._last_frame = 0.0
        self._timer: IDelayedCall | None = None
        self._cause: CloseCause | None = None
        self.session: Session | None = None
        self.lost: Deferred[None] = Deferred()

    # The peer, as the chat sees it

    @property
    def version(self) -> int:
        """The first non-zero version byte received, else 0 (decisions 1.2)."""
        return self._incoming.peer_version

    def write(self, frames: bytes) -> None:
        """Queue whole frames for the end of this reactor turn."""
        if self._traced:
            self._trace("→ SEND", headers(frames))
        self._outbox.write(frames)

    def disconnect(self, reason: str | None, cause: CloseCause) -> None:
        """End the session now, announce *reason*, and close once that is written, or after `LINGER_SECONDS`."""
        if self._cause is not None:
            return
        self._cause = cause
        self._leave(cause)
        if reason is not None:
            self._outbox.write(frames.encode(Disconnect(reason=reason)))
            self._chat.counters.sent[Disconnect.NAME] += 1
        self._outbox.close()
        self._set_timer(LINGER_SECONDS, self.abort)
        if reason is None:
            self._transport.loseConnection()
        else:
            self._half_close()

    def retire(self, reason: str, cause: CloseCause) -> None:
        """Like `disconnect`, but after the request under way has been answered."""
        self._farewell = (reason, cause)
        if not self._answering:
            self._part()

    def abort(self) -> None:
        """Cut the connection without another word."""
        self._transport.abortConnection()

    # The protocol, as Twisted sees it

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._transport = transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self._outbox = Outbox(transport, self._flusher, self._limits.outbox_budget_bytes, self._too_slow)
        self._last_frame = self._clock.seconds()
        self.session = self._chat.connect(self._address, self)
        if self.session is None:
            return
        self._kind: Transport = getattr(transport, "kind", "tcp")
        self._chat.counters.sessions[self._kind] += 1
        if self._limits.session_timeout_seconds:
            self._set_timer(self._limits.session_timeout_seconds, self._check_idle)

    def dataReceived(self, data: bytes) -> None:
        if self._cause is not None:
            return  # reading goes on only so that the last frames are not lost in a reset
        self._incoming.receive_data(data)
        if not self._waiting:
            self._pump()
        if self._waiting and self._reading and self._incoming.buffered_bytes > _READ_AHEAD_BYTES:
            self._reading = False
            self._transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._set_timer(None, self.abort)
        self._outbox.stopProducing()
        if self._cause is None:
            self._cause = "client"
            self._leave(self._cause)
        self.session = None  # which knows us as its peer; without the circle nothing waits for the garbage collector
        self.lost.callback(None)

    # One event after the other

    def _pump(self) -> None:
        assert self.session is not None
        now = self._clock.seconds()
        ends = now + STEP_SECONDS
        for _ in range(EVENTS_PER_TURN):
            if now >= ends or self._turn.is_over(now):
                break
            event = self._next_event()
            if event is None:
                return
            if self._traced:
                self._trace("← RECV", [self._incoming.last_frame])
            answer = self._chat.handle(self.session, event)
            if answer is not None and not answer.called:
                self._waiting = self._answering = True
                answer.addBoth(self._answered)
                return
            if self._cause is not None or self._is_unread():
                return
            now = self._clock.seconds()
        self._waiting = True
        self._turn.later(self._resume)

    def _answered(self, result: object) -> None:
        """An answer that took its time is complete."""
        self._answering = False
        if self._farewell is not None or self._cause is not None or not self._is_unread():
            self._resume()

    def _is_unread(self) -> bool:
        """Whether the client has to read its answers before the next event; then that is handled once it has."""
        if self._outbox.pending_bytes <= _WRITE_AHEAD_BYTES:
            return False
        self._outbox.drained = self._resume
        self._waiting = True
        return True

    def _next_event(self) -> Event | None:
        """The next event, if one is there and its time has come."""
        now = self._clock.seconds()
        event, self._held = self._held, None
        if event is None:
            try:
                event = self._incoming.next_event()
            except Broken:
                self._broken()
                return None
            if event is None:
                return None
            self._last_frame = now
        if self._flooding and self._frames.full(now):
            self._flooding = False
        if self._frames.take(now):
            return event
        self._held = event
        self._flood()
        self._wait(self._frames.wait_seconds(now))
        return None

    def _wait(self, seconds: float) -> None:
        self._waiting = True
        self._clock.callLater(seconds, self._resume)

    def _resume(self, result: object = None) -> None:
        self._waiting = self._answering = False
        self._part()
        if self._cause is not None or self._waiting:
            return
        self._pump()
        if not self._waiting and not self._reading:
            self._reading = True
            self._transport.resumeProducing()

    # Ends

    def _part(self, result: object = None) -> None:
        """Disconnect if that is wanted, and nothing is under way any more."""
        if self._farewell is None:
            return
        if self.session is not None and self.session.under_way:
            self._waiting = True
            self.session.settled().addCallback(self._part)
        else:
            self.disconnect(*self._farewell)

    def _leave(self, cause: CloseCause) -> None:
        if self.session is not None:
            self._chat.counters.sessions[self._kind] -= 1
            self._chat.disconnected(self.session, cause)

    def _flood(self) -> None:
        """ERROR 5000 once per flood, then the session is read at the allowed pace (decisions 1.9)."""
        if not self._flooding and self.session is not None:
            self._flooding = True
            self._chat.counters.floods += 1
            self.session.refuse(ErrorCode.RATE_LIMIT_EXCEEDED, "Too many frames, slow down")

    def _broken(self) -> None:
        """Framing errors: ERROR 1002, DISCONNECT, close (decisions 1.5)."""
        if self.session is not None:
            self.session.refuse(ErrorCode.INVALID_FRAME, "Invalid frame")
        self.disconnect("Protocol violation", "protocol")

    def _too_slow(self) -> None:
        """The byte budget is used up: the backlog goes, the reason stays (decisions 1.7)."""
        self._outbox.discard()
        self.disconnect("Connection too slow", "slow")

    def _check_idle(self) -> None:
        """Idle is measured exactly, from the last whole frame (decisions 1.6)."""
        timeout = self._limits.session_timeout_seconds
        left = self._last_frame + timeout - self._clock.seconds()
        if left > 0:
            self._set_timer(min(left, timeout), self._check_idle)
        else:
            self.disconnect("Session timeout", "timeout")

    def _trace(self, direction: str, traced: Iterable[Header | None]) -> None:
        number = self.session.id if self.session is not None else 0
        for header in traced:
            self._chat.activity.debug(
                "Session {id} {direction}: {header}", id=number, direction=direction, header=header
            )

    def _half_close(self) -> None:
        """Closing a socket with unread input would reset it, and the peer might lose its last frames."""
        transport = self._transport
        if ITCPTransport.providedBy(self.transport):
            transport.resumeProducing()
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def _set_timer(self, seconds: float | None, call: Callable[[], None]) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self._clock.callLater(seconds, call)
