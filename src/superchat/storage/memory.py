"""Storage that forgets: for tests of everything above storage, and the yardstick of the real engines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from superchat.histogram import Distribution
from superchat.ids import Snowflakes
from superchat.model import REHEARSAL_CHANNEL_ID, Channel, Message, NewChannel, NewMessage
from superchat.storage.interface import (
    AlreadyDeleted,
    DuplicateName,
    ForeignParent,
    IStorage,
    Size,
    Statistics,
    StorageError,
    Unavailable,
    UnknownChannel,
    UnknownMessage,
    UnknownParent,
)
from superchat.storage.threads import depth_first

T = TypeVar("T")


def _visible(message: Message) -> bool:
    return message.deleted_at is None or message.reply_count > 0


def _page(messages: list[Message], limit: int, before_id: int | None, after_id: int | None) -> list[Message]:
    """Choose from ``messages``, which ascend by id, as ``IStorage.root_page`` says."""
    count = max(limit, 0)
    if before_id is not None:
        return [message for message in reversed(messages) if message.id < before_id][:count]
    if after_id is not None:
        return [message for message in messages if message.id > after_id][:count]
    return messages[::-1][:count]


@implementer(IStorage)
class MemoryStorage:
    """``IStorage`` in dictionaries; every Deferred has fired when it is returned.

    Ids take their time from ``created_at``, so no clock is needed. Content outlives ``close`` and the next
    ``open``, as a file would.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._ids = Snowflakes()
        self._channels: dict[int, Channel] = {}
        self._messages: dict[int, Message] = {}
        self._threads: defaultdict[int, list[int]] = defaultdict(list)
        self._originals: dict[int, tuple[Message, str]] = {}
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

    def append_message(self, new: NewMessage) -> Deferred[Message]:
        return self._answer(lambda: self._append(new))

    def delete_message(self, message_id: int, text: bytes, deleted_at: int, deleted_by: str) -> Deferred[Message]:
        return self._answer(lambda: self._delete(message_id, text, deleted_at, deleted_by))

    def message(self, message_id: int) -> Deferred[Message | None]:
        return self._answer(lambda: self._messages.get(message_id))

    def root_page(
        self, channel_id: int, limit: int, before_id: int | None, after_id: int | None
    ) -> Deferred[list[Message]]:
        def read() -> list[Message]:
            roots = (self._messages[root_id] for root_id in self._threads)
            visible = [root for root in roots if root.channel_id == channel_id and _visible(root)]
            return _page(visible, limit, before_id, after_id)

        return self._answer(read)

    def thread_page(
        self, parent_id: int, limit: int, before_id: int | None, after_id: int | None
    ) -> Deferred[list[Message]]:
        def read() -> list[Message]:
            descendants = self._descendants(parent_id)
            page = _page([*filter(_visible, descendants)], limit, before_id, after_id)
            parents = {reply.id: reply.parent_id for reply in descendants if reply.parent_id is not None}
            return depth_first(parent_id, page, parents)

        return self._answer(read)

    def count_since(self, channel_id: int, since_ms: int, *, root_id: int | None = None) -> Deferred[int]:
        def read() -> int:
            return sum(
                message.channel_id == channel_id
                and message.created_at > since_ms
                and message.deleted_at is None
                and root_id in (None, message.root_id)
                for message in self._messages.values()
            )

        return self._answer(read)

    def probe(self, now_ms: int) -> Deferred[None]:
        def write() -> None:
            self._operations += 1

        return self._answer(write)

    def rehearse(self, new: NewMessage) -> Deferred[Message]:
        return self._answer(lambda: self._rehearse(new))

    def measure(self) -> Deferred[Size]:
        return self._answer(lambda: Size(0, len(self._channels), len(self._messages)))

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
            if self._channels:
                return
            try:
                for new in seeds:
                    self._create_channel(new, created_at)
            except StorageError:
                self._channels.clear()
                raise

        return self._answer(seed)

    def _create_channel(self, new: NewChannel, created_at: int) -> Channel:
        if new.parent_id is not None and new.parent_id not in self._channels:
            raise UnknownChannel(f"there is no channel {new.parent_id}")
        for channel in self._channels.values():
            same_name = channel.name.casefold() == new.name.casefold()
            if channel.parent_id == new.parent_id and same_name:
                raise DuplicateName(f"there is a channel {new.name!r} already")
        values = attrs.asdict(new)
        created = Channel(id=len(self._channels) + 1, created_at=created_at, **values)
        self._channels[created.id] = created
        self._operations += 1
        return created

    def _append(self, new: NewMessage) -> Message:
        parent = self._parent(new)
        message_id = self._ids.next(new.created_at)
        message = Message(
            id=message_id,
            channel_id=new.channel_id,
            parent_id=new.parent_id,
            root_id=message_id if parent is None else parent.root_id,
            author_nickname=new.author_nickname,
            author_session=new.author_session,
            content=new.content,
            created_at=new.created_at,
        )
        self._messages[message_id] = message
        self._threads[message.root_id].append(message_id)
        self._count_for_ancestors(message, 1)
        return message

    def _rehearse(self, new: NewMessage) -> Message:
        self._operations += 1
        message_id = self._ids.next(new.created_at)
        return Message(
            id=message_id,
            channel_id=REHEARSAL_CHANNEL_ID,
            parent_id=None,
            root_id=message_id,
            author_nickname=new.author_nickname,
            author_session=new.author_session,
            content=new.content,
            created_at=new.created_at,
        )

    def _parent(self, new: NewMessage) -> Message | None:
        if new.parent_id is None:
            if new.channel_id not in self._channels:
                raise UnknownChannel(f"there is no channel {new.channel_id}")
            return None
        parent = self._messages.get(new.parent_id)
        if parent is None:
            raise UnknownParent(f"there is no message {new.parent_id}")
        if parent.channel_id != new.channel_id:
            raise ForeignParent(f"message {new.parent_id} is in another channel")
        return parent

    def _delete(self, message_id: int, text: bytes, deleted_at: int, deleted_by: str) -> Message:
        original = self._messages.get(message_id)
        if original is None:
            raise UnknownMessage(f"there is no message {message_id}")
        if original.deleted_at is not None:
            raise AlreadyDeleted(f"message {message_id} is deleted already")
        self._originals[message_id] = (original, deleted_by)
        tombstone = attrs.evolve(original, content=text, deleted_at=deleted_at)
        self._messages[message_id] = tombstone
        self._count_for_ancestors(original, -1)
        return tombstone

    def _count_for_ancestors(self, message: Message, change: int) -> None:
        self._operations += 1
        for ancestor in list(self._ancestors(message)):
            counted = attrs.evolve(ancestor, reply_count=ancestor.reply_count + change)
            self._messages[ancestor.id] = counted

    def _ancestors(self, message: Message) -> Iterator[Message]:
        while message.parent_id is not None:
            message = self._messages[message.parent_id]
            yield message

    def _descendants(self, parent_id: int) -> list[Message]:
        """All below ``parent_id``, by id: a reply is always younger than its parent."""
        parent = self._messages.get(parent_id)
        if parent is None:
            return []
        family = {parent_id}
        found = []
        for message in map(self._messages.__getitem__, self._threads[parent.root_id]):
            if message.parent_id in family:
                family.add(message.id)
                found.append(message)
        return found
