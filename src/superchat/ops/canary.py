"""A message of the server's own, posted and delivered again and again, to see that it can be done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure

from superchat.chat.service import Chat
from superchat.clocks import NowMs
from superchat.config import Config, Limits, SeedChannel
from superchat.model import Message, NewMessage
from superchat.net.factory import SuperChatFactory
from superchat.net.outbox import Flusher
from superchat.net.protocol import SuperChatProtocol
from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from superchat.wire import frames, messages
from superchat.wire.connection import Connection

PATIENCE_SECONDS: Final = 10.0
"""After this long, a delivery has failed."""

_CHANNEL_ID: Final = 1
_CONTENT: Final = b"tweet"
_CONFIG: Final = Config(
    limits=Limits(message_rate_limit=0, max_frames_per_second=0, session_timeout_seconds=0),
    channels=(SeedChannel("cage"),),
)
_SONG: Final = b"".join(
    frames.encode(request)
    for request in (
        messages.SetNickname(nickname="canary"),
        messages.SubscribeChannel(channel_id=_CHANNEL_ID),
        messages.PostMessage(channel_id=_CHANNEL_ID, content=_CONTENT),
    )
)


class _Cage(MemoryStorage):
    """A world that has nobody in it but the canary, and whose messages are committed by the server's storage."""

    def __init__(self, storage: IStorage) -> None:
        super().__init__()
        self._storage = storage
        self.open()

    def append_message(self, new: NewMessage) -> Deferred[Message]:
        """Rehearse it."""
        rehearsed: Deferred[Message] = self._storage.rehearse(new)
        return rehearsed.addCallback(lambda message: attrs.evolve(message, channel_id=new.channel_id))


class _Client:
    """A client inside the server, and its transport: what is written to it has arrived."""

    def __init__(self, protocol: SuperChatProtocol) -> None:
        self.heard: Deferred[None] = Deferred()
        """Fires with its message, or when the server refuses anything or ends the connection."""
        self._incoming = Connection(messages.BY_CODE)
        self._protocol = protocol
        protocol.makeConnection(self)

    def sing(self) -> None:
        """Take a nickname, subscribe to a channel, and post there."""
        self._protocol.dataReceived(_SONG)

    def leave(self) -> None:
        """Be gone."""
        self.heard = Deferred()
        self._protocol.connectionLost(Failure(ConnectionDone()))

    def write(self, data: bytes) -> None:
        self._incoming.receive_data(data)
        while (event := self._incoming.next_event()) is not None:
            if isinstance(event, messages.NewMessage) and event.content == _CONTENT:
                self._hear(None)
            elif isinstance(event, messages.Error):
                self._hear(RuntimeError(event.message))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self._hear(RuntimeError("it was disconnected"))

    abortConnection = loseConnection

    def pauseProducing(self) -> None:
        """It says everything at once."""

    resumeProducing = pauseProducing

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nothing ever waits here."""

    def unregisterProducer(self) -> None:
        """Nothing ever waited here."""

    def _hear(self, result: RuntimeError | None) -> None:
        if not self.heard.called:
            self.heard.callback(None) if result is None else self.heard.errback(result)


class Canary:
    """Connects as a client does, posts on a channel that nobody can see, and waits for the delivery.

    What is the server's own on that way is the storage, which commits the message, and *flusher*, through which
    everybody's frames go. The chat is one apart, so it does not show in what the server tells about its users.
    """

    _log = Logger()

    def __init__(
        self, storage: IStorage, flusher: Flusher, clock: IReactorTime, now_ms: NowMs, interval_seconds: float
    ) -> None:
        self.duration_seconds = 0.0
        """From post to delivery, the last time that it worked."""
        self.failures = 0
        self.delivered_at: float | None = None
        self.interval_seconds = interval_seconds
        self._clock = clock
        self._chat = Chat(_CONFIG, _Cage(storage), clock, now_ms, Logger(observer=LogPublisher()))
        self._factory = SuperChatFactory(self._chat, clock, flusher)
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
            Deferred.fromCoroutine(self._settle_and_sing())

    def stop(self) -> None:
        """Sing no more."""
        self._stopped = True
        self._chat.stop()
        if self._call is not None and self._call.active():
            self._call.cancel()

    async def _settle_and_sing(self) -> None:
        await self._chat.start()
        await self._sing()

    async def _sing(self) -> None:
        started = self._clock.seconds()
        try:
            await self._post_and_hear()
        except Exception as error:  # noqa: BLE001  # whatever it was, the next round may work
            self.failures += 1
            self._log.warn("canary: no delivery: {error}", error=error)
        else:
            self.delivered_at = self._clock.seconds()
            self.duration_seconds = self.delivered_at - started
        if not self._stopped:
            again = max(0.0, started + self.interval_seconds - self._clock.seconds())
            self._call = self._clock.callLater(again, lambda: Deferred.fromCoroutine(self._sing()))

    async def _post_and_hear(self) -> None:
        client = _Client(self._factory.buildProtocol(None))
        try:
            client.sing()
            await client.heard.addTimeout(PATIENCE_SECONDS, self._clock)
        finally:
            client.leave()
