"""A chat without transports: the real rules on storage in memory, and clients that decode what they are sent."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from superchat.auth.passwords import Passwords
from superchat.chat.counters import CloseCause
from superchat.chat.dispatch import Event
from superchat.chat.service import Chat
from superchat.chat.session import Session
from superchat.config import Config, Limits, SeedChannel, Server, default_channels
from superchat.storage.memory import MemoryStorage
from superchat.wire.connection import Connection
from superchat.wire.errors import ErrorCode
from superchat.wire.frames import COMPRESSED, VERSION
from superchat.wire.messages import (
    BY_CODE,
    Error,
    MessageEntry,
    MessageList,
    MessagePosted,
    PostMessage,
    SetNickname,
)
from superchat.wire.records import Message
from tests.auth.quick import quick_passwords

M = TypeVar("M", bound=Message)
T = TypeVar("T")

CHAT, GENERAL, TECH, RANDOM = 1, 2, 3, 4


@attrs.define(eq=False)
class Client:
    """A peer of the chat, and what its user sees."""

    chat: Chat
    address: str = "192.0.2.1"
    version: int = 2
    ended: tuple[str | None, CloseCause] | None = None
    session: Session | None = None
    writes: int = 0
    late_writes: int = 0
    """Those after the session was over."""
    _incoming: Connection = attrs.field(factory=lambda: Connection(BY_CODE))

    # The peer, as the chat sees it

    def write(self, frames: bytes) -> None:
        """Take whole frames."""
        self.writes += 1
        self.late_writes += self.session is not None and self.session.closed
        self._incoming.receive_data(frames)

    def disconnect(self, reason: str | None, cause: CloseCause) -> None:
        """Take note of the end, the first time."""
        if self.ended is None:
            self.ended = reason, cause
            if self.session is not None:
                self.chat.disconnected(self.session, cause)

    # The client, as the tests see it

    @property
    def id(self) -> int:
        """The session's id."""
        assert self.session is not None
        return self.session.id

    def connect(self) -> Client:
        """Open the session, if the chat admits it."""
        self.session = self.chat.connect(self.address, self)
        return self

    def send(self, event: Event) -> Deferred[None] | None:
        """Hand one event to the chat."""
        assert self.session is not None
        return self.chat.handle(self.session, event)

    def complete(self, event: Event) -> Deferred[None] | None:
        """The same, with a Deferred for the answer to *event* also where the next one might begin before it."""
        answer = self.send(event)
        assert self.session is not None
        return self.session.settled() if answer is None and self.session.under_way else answer

    def leave(self) -> None:
        """Lose the connection."""
        assert self.session is not None
        self.chat.disconnected(self.session, "client")

    def received(self) -> list[Event]:
        """Everything since the last call; none of it is compressed but for version 2 (decisions 1.2)."""
        events = []
        while (event := self._incoming.next_event()) is not None:
            header = self._incoming.last_frame
            assert header is not None
            assert self.version == VERSION or not header.flags & COMPRESSED, header
            events.append(event)
        return events

    def ask(self, event: Event) -> list[Event]:
        """What comes at once for one event."""
        self.received()
        self.send(event)
        return self.received()

    def one(self, kind: type[M], event: Event) -> M:
        """The one message of a kind that comes at once for an event."""
        (found,) = [message for message in self.ask(event) if isinstance(message, kind)]
        return found

    def refusal(self, event: Event) -> tuple[ErrorCode, str]:
        """The ERROR that is the only answer to an event."""
        (error,) = self.ask(event)
        assert isinstance(error, Error), error
        return ErrorCode(error.error_code), error.message


class TalkTestCase(SynchronousTestCase):
    """Starts a `Chat` that a test talks to."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0)
    server = Server()
    channels: tuple[SeedChannel, ...] = default_channels()

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.jumped_ms = 0
        self.storage = self.make_storage()
        self.now(self.storage.open())
        self.log: list[LogEvent] = []
        self.run_now(self.start_chat())

    async def start_chat(self) -> None:
        """Let a chat begin on what is stored: a second one is as a restart."""
        config = Config(limits=self.limits, server=self.server, channels=self.channels)
        activity = Logger(observer=cast(ILogObserver, self.log.append))
        self.chat = Chat(config, self.storage, self.clock, self.now_ms, activity, self.make_passwords())
        await self.chat.start()

    def now_ms(self) -> int:
        """The date, by a wall clock that a test may set."""
        return int(self.clock.seconds() * 1000) + self.jumped_ms

    def jump(self, seconds: float) -> None:
        """Set the wall clock ahead, or back; no time passes."""
        self.jumped_ms += int(seconds * 1000)

    def make_passwords(self) -> Passwords:
        """What computes the passwords of this test."""
        return quick_passwords()

    def make_storage(self) -> MemoryStorage:
        """The storage of this test."""
        return MemoryStorage()

    def now(self, deferred: Deferred[T]) -> T:
        """The result that a Deferred has already."""
        result: T = self.successResultOf(deferred)
        return result

    def run_now(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a coroutine that does not wait for anything."""
        return self.now(Deferred.fromCoroutine(coroutine))

    def connect(self, nickname: str | None = None, **more: Any) -> Client:
        """A client that has seen everything so far."""
        client = Client(self.chat, **more).connect()
        if nickname is not None:
            client.send(SetNickname(nickname=nickname))
        self.settle()
        client.received()
        return client

    def settle(self) -> None:
        """Let collected presence events go out."""
        self.clock.advance(0.1)

    def post(self, client: Client, content: bytes = b"hello", **where: Any) -> int:
        """Post, and return the id."""
        self.clock.advance(0.001)
        message = PostMessage(**{"channel_id": GENERAL, "content": content, **where})
        return client.one(MessagePosted, message).message_id

    def entries(self, client: Client, event: Event) -> tuple[MessageEntry, ...]:
        """The entries of the MESSAGE_LIST that answers an event."""
        return client.one(MessageList, event).messages

    def log_lines(self) -> list[str]:
        """What was logged so far."""
        return [formatEvent(event) or "" for event in self.log]
