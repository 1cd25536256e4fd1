"""Storage that forgets: for tests of everything above storage, and the yardstick of the real engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from superchat.histogram import Distribution
from superchat.ids import Snowflakes
from superchat.model import REHEARSAL_CHANNEL_ID, Channel, Message, NewChannel, NewMessage
from superchat.storage.accounts.memory import MemoryAccounts
from superchat.storage.direct.memory import MemoryDirect
from superchat.storage.errors import DuplicateName, StorageError, Unavailable, UnknownChannel
from superchat.storage.interface import IStorage, Size, Statistics
from superchat.storage.memory_messages import MemoryMessages
from superchat.storage.moderation.memory import MemoryModeration
from superchat.storage.removal.memory import MemoryRemoval

T = TypeVar("T")


@implementer(IStorage)
class MemoryStorage(MemoryMessages, MemoryAccounts, MemoryModeration, MemoryRemoval, MemoryDirect):
    """``IStorage`` in dictionaries; every Deferred has fired when it is returned.

    Ids take their time from ``created_at``, so no clock is needed. Content outlives ``close`` and the next
    ``open``, as a file would.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_open = False
        self._ids = Snowflakes()
        self._channels: dict[int, Channel] = {}
        self._last_channel_id = 0
        self._operations = 0

    def open(self) -> Deferred[None]:
        self._is_open = True
        return self._answer(lambda: None)

    def close(self) -> Deferred[None]:
        self._is_open = False
        return execute(lambda: None)

    def channels(self) -> Deferred[list[Channel]]:
        return self._answer(lambda: list(self._channels.values()))

    def create_channel(self, new: NewChannel, created_at: int) -> Deferred[Channel]:
        return self._answer(lambda: self._create_channel(new, created_at))

    def probe(self, now_ms: int) -> Deferred[None]:
        def write() -> None:
            self._operations += 1

        return self._answer(write)

    def rehearse(self, new: NewMessage) -> Deferred[Message]:
        return self._answer(lambda: self._rehearse(new))

    def measure(self) -> Deferred[Size]:
        return self._answer(lambda: Size(0, len(self._channels), len(self._messages), len(self._accounts)))

    def statistics(self) -> Statistics:
        done = self._operations
        return Statistics(
            commits=done,
            operations=done,
            largest_batch=min(done, 1),
            pending=0,
            commit_seconds=Distribution((), (done,), 0.0),
            commit_operations=Distribution((), (done,), float(done)),
        )

    def _answer(self, action: Callable[[], T]) -> Deferred[T]:
        def answer() -> T:
            if not self._is_open:
                raise Unavailable("the storage is closed")
            return action()

        return execute(answer)

    def seed_channels(self, seeds: Sequence[NewChannel], created_at: int) -> Deferred[None]:
        def seed() -> None:
            if self._last_channel_id:
                return
            try:
                for new in seeds:
                    self._create_channel(new, created_at)
            except StorageError:
                self._channels.clear()
                self._last_channel_id = 0
                raise

        return self._answer(seed)

    def _create_channel(self, new: NewChannel, created_at: int) -> Channel:
        if new.parent_id is not None and new.parent_id not in self._channels:
            raise UnknownChannel(f"there is no channel {new.parent_id}")
        for channel in self._channels.values():
            same_name = channel.name.casefold() == new.name.casefold()
            if channel.parent_id == new.parent_id and same_name and not channel.is_direct:
                raise DuplicateName(f"there is a channel {new.name!r} already")
        values = attrs.asdict(new)
        created = Channel(id=self._next_channel_id(), created_at=created_at, **values)
        self._channels[created.id] = created
        self._operations += 1
        return created

    def _next_channel_id(self) -> int:
        self._last_channel_id += 1
        return self._last_channel_id

    def _rehearse(self, new: NewMessage) -> Message:
        self._operations += 1
        message_id = self._ids.next(new.created_at)
        return Message(
            id=message_id,
            channel_id=REHEARSAL_CHANNEL_ID,
            parent_id=None,
            root_id=message_id,
            author_id=new.author_id,
            author_nickname=new.author_nickname,
            author_flags=new.author_flags,
            author_session=new.author_session,
            content=new.content,
            created_at=new.created_at,
        )
