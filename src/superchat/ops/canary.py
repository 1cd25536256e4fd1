"""A message of the server's own, posted and delivered again and again, to see that it can be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from superchat.chat.counters import CloseCause, Counters
from superchat.chat.limits import TokenBucket
from superchat.chat.reading import entry_fields
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.model import REHEARSAL_CHANNEL_ID, Message, NewMessage
from superchat.net.outbox import Flusher, Outbox
from superchat.storage.interface import IStorage
from superchat.wire import frames, messages
from superchat.wire.connection import Connection

PATIENCE_SECONDS: Final = 10.0
"""After this long, a delivery has failed."""
_BUDGET_BYTES: Final = 65_536


class _Perch:
    """The transport of a client that lives inside the server: what is written to it has arrived."""

    def __init__(self, arrived: Callable[[bytes], None]) -> None:
        self._arrived = arrived

    def write(self, data: bytes) -> None:
        self._arrived(data)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nothing ever waits here."""

    def unregisterProducer(self) -> None:
        """Nothing ever waited here."""


class _Peer:
    """The canary as the chat sees it."""

    version = frames.VERSION

    def __init__(self, outbox: Outbox) -> None:
        self.write = outbox.write

    def disconnect(self, reason: str | None, cause: CloseCause) -> None:
        """It is always there."""


class Canary:
    """Posts on a channel that nobody can see, and waits for the delivery: commit, registry, outbox, flush, decode.

    It has a registry and counters of its own, so it does not show in what the server tells about its users.
    """

    _log = Logger()

    def __init__(self, storage: IStorage, flusher: Flusher, clock: IReactorTime, interval_seconds: float) -> None:
        self.duration_seconds = 0.0
        """From post to delivery, the last time that it worked."""
        self.failures = 0
        self.delivered_at: float | None = None
        self._storage = storage
        self._clock = clock
        self.interval_seconds = interval_seconds
        self._incoming = Connection(messages.BY_CODE)
        self._awaited: Deferred[None] | None = None
        outbox = Outbox(_Perch(self._hear), flusher, _BUDGET_BYTES, lambda: None)
        counters = Counters()
        unlimited = TokenBucket(rate=0, burst=1)
        self._session = Session(0, 0, "canary", _Peer(outbox), counters, unlimited, nickname="canary")
        self._registry = ChannelRegistry(counters)
        self._registry.subscribe_channel(self._session, REHEARSAL_CHANNEL_ID)
        self._call: IDelayedCall | None = None
        self._started_at = clock.seconds()
        self._stopped = False

    @property
    def age_seconds(self) -> float:
        """Since the last delivery, or since the start."""
        since = self._started_at if self.delivered_at is None else self.delivered_at
        return max(0.0, self._clock.seconds() - since)

    @property
    def is_late(self) -> bool:
        """Whether two deliveries in a row are missing."""
        return self.interval_seconds > 0 and self.age_seconds > 2 * self.interval_seconds + PATIENCE_SECONDS

    def start(self) -> None:
        """Sing now, and then at each interval; an interval of 0 is no canary."""
        if self.interval_seconds > 0:
            Deferred.fromCoroutine(self._sing())

    def stop(self) -> None:
        """Sing no more."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    async def _sing(self) -> None:
        started = self._clock.seconds()
        try:
            message = await self._rehearse(started)
            await self._deliver(message)
        except Exception as error:  # noqa: BLE001  # whatever it was, the next round may work
            self.failures += 1
            self._log.warn("canary: no delivery: {error}", error=error)
        else:
            self.delivered_at = self._clock.seconds()
            self.duration_seconds = self.delivered_at - started
        if not self._stopped:
            again = max(0.0, started + self.interval_seconds - self._clock.seconds())
            self._call = self._clock.callLater(again, lambda: Deferred.fromCoroutine(self._sing()))

    async def _rehearse(self, now: float) -> Message:
        new = NewMessage(
            channel_id=REHEARSAL_CHANNEL_ID,
            parent_id=None,
            author_nickname="canary",
            author_session=0,
            content=b"tweet",
            created_at=int(now * 1000),
        )
        stored: Deferred[Message] = self._storage.rehearse(new)
        return await stored.addTimeout(PATIENCE_SECONDS, self._clock)

    async def _deliver(self, message: Message) -> None:
        news = messages.NewMessage(**entry_fields(message))
        self._awaited = Deferred()
        self._registry.publish(self._registry.subscribers(REHEARSAL_CHANNEL_ID), news)
        await self._awaited.addTimeout(PATIENCE_SECONDS, self._clock)
        if self._incoming.next_event() != news:
            raise RuntimeError("what was delivered is not what was posted")

    def _hear(self, data: bytes) -> None:
        self._incoming.receive_data(data)
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.callback(None)
