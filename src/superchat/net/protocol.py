"""One client's connection: bytes to events for the chat, frames to the transport, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from superchat.chat.counters import CloseCause, Transport
from superchat.chat.dispatch import Event
from superchat.chat.limits import TokenBucket
from superchat.chat.service import Chat
from superchat.chat.session import Session
from superchat.config import Limits
from superchat.net.connections import Connections
from superchat.net.outbox import Flusher, Outbox
from superchat.net.trace import headers
from superchat.net.turn import Turn
from superchat.net.weights import ANSWER_BYTES_PER_FRAME, weight
from superchat.wire import frames
from superchat.wire.connection import Connection
from superchat.wire.errors import Broken, ErrorCode
from superchat.wire.frames import Header
from superchat.wire.messages import Disconnect

LINGER_SECONDS: Final = 2.0
"""How long a client may take to read its last frames before the connection is cut."""

LONGEST_REST_SECONDS: Final = 10.0
"""How long a client waits, at most, for what it asked for before; a session must not seem idle meanwhile."""

EVENTS_PER_TURN: Final = 16
STEP_SECONDS: Final = 0.0005
"""So many frames of one client are handled, or for so long, before the others get their turn."""

_READ_AHEAD_BYTES: Final = 128
_WRITE_AHEAD_BYTES: Final = 65_536
_ROUNDING_SECONDS: Final = 1e-6


@attrs.frozen
class Surroundings:
    """What all connections of a server share."""

    chat: Chat
    clock: IReactorTime
    flusher: Flusher
    turn: Turn
    connections: Connections


class SuperChatProtocol(Protocol):
    """A `Peer` of the chat on any stream transport.

    Requests are answered in the order they came, for the protocol has no request ids; some may overlap. While the
    next one has to wait, or answers are not being read, or the frame limit is used up, reading pauses.
    """

    __slots__ = (
        "_address",
        "_answering",
        "_around",
        "_cause",
        "_farewell",
        "_flooding",
        "_frames",
        "_held",
        "_incoming",
        "_kind",
        "_limits",
        "_linger",
        "_outbox",
        "_paid_at",
        "_reading",
        "_traced",
        "_waiting",
        "connected",
        "factory",
        "idle_at",
        "session",
        "transport",
        "write",
    )

    def __init__(self, around: Surroundings, address: str) -> None:
        config = around.chat.config
        limits = config.limits
        self._around = around
        self._address = address
        self._limits: Limits = limits
        self._traced = config.logging.debug
        self._incoming = Connection()
        self._frames = TokenBucket(rate=limits.max_frames_per_second, burst=limits.frame_burst)
        self._held: Event | None = None
        self._paid_at = 0.0
        self._flooding = False
        self._waiting = False
        self._answering = False
        self._farewell: tuple[str, CloseCause] | None = None
        self._reading = True
        self._linger: IDelayedCall | None = None
        self._cause: CloseCause | None = None
        self.idle_at = inf
        self.session: Session | None = None
        self.transport: Any = None

    # The peer, as the chat sees it

    @property
    def version(self) -> int:
        """The first non-zero version byte received, else 0 (decisions 1.2)."""
        return self._incoming.peer_version

    write: Callable[[bytes], None]
    """Queues whole frames for the end of this reactor turn. The outbox's own method: a message for many asks each."""

    def disconnect(self, reason: str | None, cause: CloseCause) -> None:
        """End the session now, announce *reason*, and close once that is written, or after `LINGER_SECONDS`."""
        if self._cause is not None:
            return
        self._cause = cause
        self.idle_at = inf
        self._leave(cause)
        if reason is not None:
            self._outbox.write(frames.encode(Disconnect(reason=reason)))
            self._around.chat.counters.sent[Disconnect.NAME] += 1
        self._outbox.close()
        self._linger = self._around.clock.callLater(LINGER_SECONDS, self.abort)
        if reason is None:
            self.transport.loseConnection()
        else:
            self._half_close()

    def retire(self, reason: str, cause: CloseCause) -> None:
        """Like `disconnect`, but after the request under way has been answered."""
        self._farewell = (reason, cause)
        if not self._answering:
            self._part()

    def time_out(self) -> None:
        """Idle is measured exactly, from the last whole frame (decisions 1.6)."""
        self.disconnect("Session timeout", "timeout")

    def abort(self) -> None:
        """Cut the connection without another word."""
        self.transport.abortConnection()

    # The protocol, as Twisted sees it

    def connectionMade(self) -> None:
        around, limits = self._around, self._limits
        self._outbox = Outbox(self.transport, around.flusher, limits.outbox_budget_bytes, self._too_slow)
        self.write = self._write_traced if self._traced else self._outbox.write
        self.session = around.chat.connect(self._address, self)
        if self.session is not None:
            self._kind: Transport = getattr(self.transport, "kind", "tcp")
            around.chat.counters.sessions[self._kind] += 1
            self.idle_at = around.clock.seconds() + (limits.session_timeout_seconds or inf)
        around.connections.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self._cause is not None:
            return  # reading goes on only so that the last frames are not lost in a reset
        self._incoming.receive_data(data)
        if not self._waiting:
            self._pump()
        if self._waiting and self._reading and self._incoming.buffered_bytes > _READ_AHEAD_BYTES:
            self._reading = False
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        self._outbox.stopProducing()
        if self._cause is None:
            self._cause = "client"
            self._leave(self._cause)
        self.session = None  # which knows us as its peer; without the circle nothing waits for the garbage collector
        self._around.connections.discard(self)

    # One event after the other

    def _pump(self) -> None:
        assert self.session is not None
        now = self._around.clock.seconds()
        ends = now + STEP_SECONDS
        for _ in range(EVENTS_PER_TURN):
            if now >= ends or self._around.turn.is_over(now):
                break
            event = self._next_event()
            if event is None:
                return
            if self._traced:
                self._trace("← RECV", [self._incoming.last_frame])
            unread = self._outbox.pending_bytes
            answer = self._around.chat.handle(self.session, event)
            self._owe((self._outbox.pending_bytes - unread) // ANSWER_BYTES_PER_FRAME)
            if answer is not None and not answer.called:
                self._waiting = self._answering = True
                answer.addBoth(self._answered)
                return
            if self._cause is not None or self._is_unread():
                return
            now = self._around.clock.seconds()
        self._waiting = True
        self._around.turn.rounds.add(self._resume)

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
        now = self._around.clock.seconds()
        event, self._held = self._held, None
        if event is None:
            try:
                event = self._incoming.next_event()
            except Broken:
                self._broken()
                return None
            if event is None:
                return None
            self.idle_at = now + (self._limits.session_timeout_seconds or inf)
        if self._flooding and self._frames.full(now):
            self._flooding = False
        if (owing := self._owing_seconds(now)) > 0:
            self._held = event
            self._wait(owing)
            return None
        if self._frames.take(now):
            self._owe(weight(event, self._incoming.last_payload_bytes))
            return event
        self._held = event
        self._flood()
        self._wait(self._frames.wait_seconds(now))
        return None

    def _owe(self, frames: int) -> None:
        """Take note of what a frame costs beyond that of others; the client pays for it by waiting (decisions 1.9)."""
        if frames > 0 and self._limits.max_frames_per_second:
            now = self._around.clock.seconds()
            paid_at = max(self._paid_at, now) + frames / self._limits.max_frames_per_second
            self._paid_at = min(paid_at, now + self._credit_seconds + LONGEST_REST_SECONDS)

    @property
    def _credit_seconds(self) -> float:
        return self._limits.frame_burst / self._limits.max_frames_per_second

    def _owing_seconds(self, now: float) -> float:
        """How long the client has to wait for that, at *now*; as much as a burst of frames costs it has on credit."""
        if self._paid_at <= now:
            return 0.0
        owing = self._paid_at - now - self._credit_seconds
        return owing if owing > _ROUNDING_SECONDS else 0.0

    def _wait(self, seconds: float) -> None:
        self._waiting = True
        self._around.clock.callLater(seconds, self._around.turn.rounds.add, self._resume)

    def _resume(self, result: object = None) -> None:
        self._waiting = self._answering = False
        self._part()
        if self._cause is not None or self._waiting:
            return
        self._pump()
        if not self._waiting and not self._reading:
            self._reading = True
            self.transport.resumeProducing()

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
            self._around.chat.counters.sessions[self._kind] -= 1
            self._around.chat.disconnected(self.session, cause)

    def _flood(self) -> None:
        """ERROR 5000 once per flood, then the session is read at the allowed pace (decisions 1.9)."""
        if not self._flooding and self.session is not None:
            self._flooding = True
            self._around.chat.counters.floods += 1
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

    def _write_traced(self, frames: bytes) -> None:
        self._trace("→ SEND", headers(frames))
        self._outbox.write(frames)

    def _trace(self, direction: str, traced: Iterable[Header | None]) -> None:
        number = self.session.id if self.session is not None else 0
        for header in traced:
            self._around.chat.activity.debug(
                "Session {id} {direction}: {header}", id=number, direction=direction, header=header
            )

    def _half_close(self) -> None:
        """Closing a socket with unread input would reset it, and the peer might lose its last frames."""
        transport = self.transport
        if ITCPTransport.providedBy(self.transport):
            transport.resumeProducing()
            transport.loseWriteConnection()
        else:
            transport.loseConnection()
