"""Keeps a client connected, and where it was."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from superchat.client.errors import ClientError, ServerRefused
from superchat.client.protocol import REQUEST_TIMEOUT_SECONDS, ChatClient, fork
from superchat.wire import messages as wire
from superchat.wire.records import Message

FIRST_DELAY_SECONDS: Final = 1.0
LONGEST_DELAY_SECONDS: Final = 30.0

UNREACHABLE: Final = (ClientError, ConnectError, DNSLookupError)
"""What a failed attempt to connect raises."""

Connect = Callable[[], Deferred[ChatClient]]
"""Makes one attempt to connect, such as ``lambda: connect(reactor, host, port)``."""


def back_off(attempt: int, rng: Callable[[], float] = random.random) -> float:
    """How many seconds to wait before attempt number ``attempt``, counted from 1: between 1 s and 30 s.

    The upper bound doubles from 2 s to 30 s. ``rng`` takes away up to a half of it, so that the clients of a
    restarted server do not return all at once.
    """
    full = min(FIRST_DELAY_SECONDS * 2.0 ** min(attempt, 16), LONGEST_DELAY_SECONDS)
    return full * (1.0 - rng() / 2)


@attrs.define
class Places:
    """Who and where a client wants to be: what has to be said again after each connection.

    ``threads`` and ``channels`` keep their order, so that a server's limits cut off the same ones each time. Who has
    logged in is not named anew: the account has its name.
    """

    nickname: str | None = None
    joined: int | None = None
    channels: dict[int, None] = attrs.field(factory=dict)
    threads: dict[int, None] = attrs.field(factory=dict)
    login: wire.AuthRequest | None = None

    def introduction(self) -> list[Message]:
        """What a new connection says first: who it is."""
        if self.login is not None:
            return [self.login]
        return [] if self.nickname is None else [wire.SetNickname(nickname=self.nickname)]

    def returns(self) -> list[Message]:
        """What brings it to its places."""
        said: list[Message] = []
        if self.joined is not None:
            said.append(wire.JoinChannel(channel_id=self.joined))
        said += [wire.SubscribeChannel(channel_id=each) for each in self.channels]
        said += [wire.SubscribeThread(thread_id=each) for each in self.threads]
        return said

    def forget(self, request: Message) -> None:
        """Do not ask again for what the server refused: the channel or thread is gone, or the password another."""
        if isinstance(request, wire.AuthRequest):
            self.login = None
        elif isinstance(request, wire.JoinChannel):
            self.joined = None
        elif isinstance(request, wire.SubscribeChannel):
            self.channels.pop(request.channel_id, None)
        elif isinstance(request, wire.SubscribeThread):
            self.threads.pop(request.thread_id, None)


class Reconnecting:
    """A connection that comes back, after a server's DISCONNECT too, as operators restart servers.

    ``on_connected(client)`` is awaited after each connection, once ``places`` is restored. What it raises,
    or a loss of the connection meanwhile, counts as a failed attempt. ``on_lost(reason, delay_seconds)`` is
    called after each loss and each failed attempt, with the time until the next; it may raise to stop.
    ``on_refused(request, text)`` tells of a place that could not be restored and is given up.

    Twisted's ClientService does not do here: it raises NoTransition when a connection is lost while it is
    being prepared, which is when restarting servers lose them.
    """

    def __init__(
        self,
        clock: IReactorTime,
        connect: Connect,
        *,
        on_connected: Callable[[ChatClient], Awaitable[None]],
        on_lost: Callable[[str, float], None],
        on_refused: Callable[[Message, str], None] = lambda request, text: None,
        request_timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
        delay: Callable[[int], float] = back_off,
    ) -> None:
        self.places = Places()
        self.client: ChatClient | None = None
        """The connection in use; None while there is none."""
        self._clock = clock
        self._connect = connect
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_refused = on_refused
        self._timeout_seconds = request_timeout_seconds
        self._delay = delay

    def run(self) -> Deferred[None]:
        """Connect, and again whenever the connection is lost. Cancel the Deferred to say goodbye and stop.

        It fails if the very first attempt does, with whatever that failed with; else it never fires.
        """
        return Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        client = await self._establish()
        try:
            while True:
                reason = await fork(client.closed)
                self.client = None
                client = await self._return(reason)
        finally:
            await client.close()

    async def _return(self, reason: str) -> ChatClient:
        attempt = 0
        while True:
            attempt += 1
            delay_seconds = self._delay(attempt)
            self._on_lost(reason, delay_seconds)
            await deferLater(self._clock, delay_seconds)
            try:
                return await self._establish()
            except UNREACHABLE as error:
                reason = str(error).rstrip(".")

    async def _establish(self) -> ChatClient:
        client = await self._connect()
        try:
            await self._restore(client)
            self.client = client
            await self._on_connected(client)
        except BaseException:
            self.client = None
            await client.close()
            raise
        return client

    async def _restore(self, client: ChatClient) -> None:
        # Some places are open to the account only, so the login comes first. The rest is asked for at once: one
        # after the other would cost a round trip for each of dozens of threads.
        await self._repeat(client, self.places.introduction())
        await self._repeat(client, self.places.returns())

    async def _repeat(self, client: ChatClient, requests: list[Message]) -> None:
        replies = [client.request(each, self._timeout_seconds) for each in requests]
        outcomes = await DeferredList(replies, consumeErrors=True)
        for request, (_, outcome) in zip(requests, outcomes, strict=True):
            self._judge(request, outcome)

    def _judge(self, request: Message, outcome: Message | Failure) -> None:
        if isinstance(outcome, Failure):
            if not isinstance(outcome.value, ServerRefused):
                outcome.raiseException()
            self._give_up(request, outcome.value.text)
        elif not getattr(outcome, "success", True):
            self._give_up(request, getattr(outcome, "message", ""))

    def _give_up(self, request: Message, refusal: str) -> None:
        self.places.forget(request)
        self._on_refused(request, refusal)
