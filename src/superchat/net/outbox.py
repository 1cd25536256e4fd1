"""Everything that waits to be written to one client: one write per reactor turn, within a byte budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from zope.interface import implementer

SLICE_SECONDS: Final = 0.01
"""How long outboxes are flushed before everything else in the reactor gets its turn."""

_CLOCK_EVERY: Final = 32


def _ignore(flushed: int, now: float) -> None:
    """For whoever does not want to know."""


class Flusher:
    """Flushes at the end of a reactor turn every outbox that got something in it, in slices of `SLICE_SECONDS`.

    An outbox that fails, because its transport does or whoever waits for it, is aborted; the others get their turns.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, on_progress: Callable[[int, float], None] = _ignore) -> None:
        self.flushed = 0
        """How many outboxes have had their turn so far; *on_progress* is told now and then, with the time."""
        self.waiting: set[Outbox] = set()
        """Those whose readers are behind: the kernel has not taken everything."""
        self._clock = clock
        self._on_progress = on_progress
        self._dirty: deque[Outbox] = deque()
        self._before: list[Callable[[], None]] = []
        self._scheduled = False

    @property
    def queued(self) -> int:
        """How many outboxes have been added so far; their turns come in that order."""
        return self.flushed + len(self._dirty)

    def pending_bytes(self) -> int:
        """What all outboxes hold together; those that neither wait nor have a turn coming are empty."""
        return sum(outbox.pending_bytes for outbox in self.waiting.union(self._dirty))

    def add(self, outbox: Outbox) -> None:
        """Flush *outbox* soon."""
        self._dirty.append(outbox)
        if not self._scheduled:
            self._schedule()

    def before_turns(self, call: Callable[[], None]) -> None:
        """Call soon, before the next outboxes are flushed; what it adds has its turn at once."""
        self._before.append(call)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        self._clock.callLater(0, self._run)

    def _run(self) -> None:
        before, self._before = self._before, []
        for call in before:
            with self._log.failuresHandled("what comes before the outboxes failed"):
                call()
        dirty = self._dirty
        deadline = self._clock.seconds() + SLICE_SECONDS
        try:
            while dirty:
                number = min(_CLOCK_EVERY, len(dirty))
                for _ in range(number):
                    outbox = dirty.popleft()
                    try:
                        outbox.flush()
                    except Exception:  # noqa: BLE001  # whatever it was, it is the trouble of one client
                        self._cut(outbox)
                self.flushed += number
                now = self._clock.seconds()
                self._on_progress(self.flushed, now)
                if now >= deadline:
                    break
        finally:
            self._scheduled = False
            if dirty or self._before:
                self._schedule()

    def _cut(self, outbox: Outbox) -> None:
        self._log.failure("a client's connection failed and is cut")
        with self._log.failuresHandled("a connection that failed could not be cut either"):
            outbox.abort()


@implementer(IPushProducer)
class Outbox:
    """The frames for one transport.

    - `write` MUST NOT block, re-enter the caller or reorder; past the budget it drops, and *overflowed* is called
      once, in a later turn.
    - Whatever was written before `close` is handed to the transport before it is closed.

    A plain TCP transport is sent to directly while it holds nothing itself, which saves two epoll calls and a
    wake-up per write. What the kernel does not take at once goes the usual way; the outbox then waits, as the
    transport's pull producer, until that is gone. Other transports see a push producer.
    """

    __slots__ = (
        "_budget",
        "_closed",
        "_direct",
        "_flusher",
        "_handed",
        "_idle",
        "_overflowing",
        "_paused",
        "_send",
        "_transport",
        "_unsent",
        "drained",
        "overflowed",
        "pending_bytes",
    )

    def __init__(
        self, transport: Any, flusher: Flusher, budget_bytes: int, overflowed: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._flusher = flusher
        self._budget = budget_bytes
        # One piece is kept as it is: with one message for many, a list for each would be most of the memory touched.
        self._unsent: bytes | list[bytes] | None = None
        self._handed = 0
        self._idle = True
        self._paused = False
        self._overflowing = False
        self._closed = False
        self._send = direct_send(transport)
        self._direct = self._send is not None
        self.overflowed = overflowed
        self.drained: Callable[[], None] | None = None
        """Called once when everything written so far has left; set it anew for each time."""
        self.pending_bytes = 0
        """What was written and is not known to have reached the kernel."""
        if not self._direct:
            transport.registerProducer(self, True)

    def write(self, frames: bytes) -> None:
        """Queue whole frames; no system call."""
        if self._closed:
            return
        if self.pending_bytes > self._budget:
            self._overflow()
            return
        unsent = self._unsent
        if unsent is None:
            self._unsent = frames
        elif isinstance(unsent, list):
            unsent.append(frames)
        else:
            self._unsent = [unsent, frames]
        self.pending_bytes += len(frames)
        if self._idle:
            self._idle = False
            self._flusher.add(self)

    def flush(self) -> None:
        """Write everything queued; called by the `Flusher`."""
        if self._closed:
            return
        if self._overflowing:
            self._overflowing = False
            self.overflowed()
            return
        if self._paused:
            return
        self._idle = True
        if (unsent := self._unsent) is not None:
            self._hand_over(_joined(unsent))
        if self.drained is not None and self._idle:
            drained, self.drained = self.drained, None
            drained()

    def discard(self) -> None:
        """Drop what the transport has not been given yet; the frames that it was given stay whole."""
        self._unsent = None
        self._handed = self.pending_bytes = 0

    def close(self) -> None:
        """Give the transport the rest, and drop later writes; it is up to the caller to close the transport."""
        if self._unsent is not None:
            self._transport.write(_joined(self._unsent))
        if self._paused or not self._direct:
            self._transport.unregisterProducer()
        self.stopProducing()

    def abort(self) -> None:
        """Drop everything and cut the connection."""
        self.stopProducing()
        self._transport.abortConnection()

    def pauseProducing(self) -> None:
        """The transport holds bytes that the kernel did not take."""
        self._paused = True
        self._idle = False
        self._flusher.waiting.add(self)

    def resumeProducing(self) -> None:
        """The transport is empty again."""
        if not self._paused:
            return
        self._paused = False
        self._flusher.waiting.discard(self)
        if self._direct:
            self._transport.unregisterProducer()
        self.pending_bytes -= self._handed
        self._handed = 0
        self._flusher.add(self)

    def stopProducing(self) -> None:
        """The connection is gone, or as good as gone."""
        self._closed = True
        self._flusher.waiting.discard(self)
        self._unsent = self._send = None
        self.drained = None
        self.overflowed = _ignored
        self.pending_bytes = 0

    def _hand_over(self, data: bytes) -> None:
        self._unsent = None
        self.pending_bytes = 0
        if self._send is not None:
            try:
                sent = self._send(data)
            except OSError:
                sent = 0  # would block, or broken: the transport finds out which
            if sent == len(data):
                return
            data = data[sent:]
            self._transport.registerProducer(self, False)
            self.pauseProducing()
        self._transport.write(data)
        if self._paused:
            self._handed = self.pending_bytes = len(data)

    def _overflow(self) -> None:
        if not self._overflowing:
            self._overflowing = True
            self._flusher.add(self)


def direct_send(transport: Any) -> Callable[[bytes], int] | None:
    """The `send` of a plain TCP transport's socket, which MUST NOT be called while the transport holds something
    itself; None for others."""
    if not isinstance(transport, Connection) or transport.TLS:
        return None
    send: Callable[[bytes], int] = transport.getHandle().send
    return send


def _joined(frames: bytes | list[bytes]) -> bytes:
    return b"".join(frames) if isinstance(frames, list) else frames


def _ignored() -> None:
    """Nobody has to be told any more; who was to be told would be kept alive."""
