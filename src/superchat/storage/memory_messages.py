"""Messages in memory, and how far they were read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from superchat.ids import Snowflakes
from superchat.model import EVERYTHING, Account, Backlog, Channel, Message, NewAct, NewMessage, View
from superchat.storage.engine import MemoryEngine
from superchat.storage.errors import (
    AlreadyDeleted,
    ForeignParent,
    UnknownAccount,
    UnknownChannel,
    UnknownMessage,
    UnknownParent,
)
from superchat.storage.integers import nearest
from superchat.storage.threads import depth_first
from superchat.storage.views import as_seen, hides, own, visible, withheld


def _page(messages: list[Message], limit: int, before_id: int | None, after_id: int | None) -> list[Message]:
    """Choose from ``messages``, which ascend by id, as ``IStorage.root_page`` says."""
    count = max(limit, 0)
    if before_id is not None:
        return [message for message in reversed(messages) if message.id < before_id][:count]
    if after_id is not None:
        return [message for message in messages if message.id > after_id][:count]
    return messages[::-1][:count]


class MemoryMessages(MemoryEngine):
    """What ``IStorage`` says of messages, in dictionaries: as they were posted, by ascending id."""

    _accounts: dict[int, Account]  # other parts of the engine have these
    _former: dict[int, str]
    _channels: dict[int, Channel]
    _ids: Snowflakes

    def __init__(self) -> None:
        super().__init__()
        self._messages: dict[int, Message] = {}
        self._threads: dict[int, list[int]] = defaultdict(list)
        self._versions: defaultdict[int, list[tuple[str, Message, str]]] = defaultdict(list)
        self._positions: dict[tuple[int, int], int] = {}
        self._operations = 0

    def append_message(self, new: NewMessage) -> Deferred[Message]:
        return self._answer(lambda: self._append(new))

    def edit_message(
        self, message_id: int, content: bytes, edited_at: int, edited_by: str, act: NewAct | None = None
    ) -> Deferred[Message]:
        def edit() -> Message:
            self._keep_version("edited", message_id, edited_by, act)
            return self._rewrite(message_id, content=content, edited_at=edited_at)

        return self._answer(edit)

    def delete_message(
        self, message_id: int, text: bytes, deleted_at: int, deleted_by: str, act: NewAct | None = None
    ) -> Deferred[Message]:
        def delete() -> Message:
            self._keep_version("deleted", message_id, deleted_by, act)
            self._count_for_ancestors(self._messages[message_id], -1)
            return self._rewrite(message_id, content=text, deleted_at=deleted_at)

        return self._answer(delete)

    def message(self, message_id: int, view: View = EVERYTHING) -> Deferred[Message | None]:
        def read() -> Message | None:
            found = self._messages.get(message_id)
            return None if found is None or withheld(found, view) else self._as_seen(found, view)

        return self._answer(read)

    def root_page(
        self, channel_id: int, limit: int, before_id: int | None, after_id: int | None, view: View = EVERYTHING
    ) -> Deferred[list[Message]]:
        def read() -> list[Message]:
            roots = (self._messages[root_id] for root_id in self._threads)
            here = [root for root in roots if root.channel_id == channel_id]
            return _page(self._seen(here, view), limit, before_id, after_id)

        return self._answer(read)

    def thread_page(
        self, parent_id: int, limit: int, before_id: int | None, after_id: int | None, view: View = EVERYTHING
    ) -> Deferred[list[Message]]:
        def read() -> list[Message]:
            below = self._descendants(parent_id)
            page = _page(self._seen(below, view), limit, before_id, after_id)
            parents = {reply.id: reply.parent_id for reply in below if reply.parent_id is not None}
            return depth_first(parent_id, page, parents, {reply.id for reply in below if withheld(reply, view)})

        return self._answer(read)

    def seen_ancestor(self, message_id: int, view: View) -> Deferred[int | None]:
        def read() -> int | None:
            found = self._messages.get(message_id)
            if found is None:
                return None
            above = [found, *self._ancestors(found)]
            return next((each.id for each in above if not withheld(each, view)), found.root_id)

        return self._answer(read)

    def channels_of(self, message_ids: Sequence[int]) -> Deferred[dict[int, int]]:
        def read() -> dict[int, int]:
            return {each: self._messages[each].channel_id for each in message_ids if each in self._messages}

        return self._answer(read)

    def counts_since(self, backlogs: Sequence[Backlog], view: View = EVERYTHING) -> Deferred[list[int]]:
        return self._answer(lambda: [self._count(backlog, view) for backlog in backlogs])

    def set_read(self, account_id: int, channel_id: int, last_read_at: int, now_ms: int) -> Deferred[None]:
        def write() -> None:
            if account_id not in self._accounts:
                raise UnknownAccount(f"there is no account {account_id}")
            if channel_id not in self._channels:
                raise UnknownChannel(f"there is no channel {channel_id}")
            self._positions[account_id, channel_id] = nearest(last_read_at)
            self._operations += 1

        return self._answer(write)

    def read_positions(self, account_id: int, channel_ids: Sequence[int]) -> Deferred[dict[int, int]]:
        def read() -> dict[int, int]:
            positions = ((each, self._positions.get((account_id, each))) for each in channel_ids)
            return {each: position for each, position in positions if position is not None}

        return self._answer(read)

    def _append(self, new: NewMessage) -> Message:
        parent = self._parent(new)
        message_id = self._ids.next(new.created_at)
        message = Message(
            id=message_id,
            channel_id=new.channel_id,
            parent_id=new.parent_id,
            root_id=message_id if parent is None else parent.root_id,
            author_id=new.author_id,
            author_nickname=new.author_nickname,
            author_flags=new.author_flags,
            author_session=new.author_session,
            content=new.content,
            created_at=new.created_at,
        )
        self._messages[message_id] = message
        self._threads[message.root_id].append(message_id)
        self._count_for_ancestors(message, 1)
        return message

    def _parent(self, new: NewMessage) -> Message | None:
        if new.parent_id is None:
            if new.channel_id not in self._channels:
                raise UnknownChannel(f"there is no channel {new.channel_id}")
            return None
        parent = self._messages.get(new.parent_id)
        if parent is None:
            raise UnknownParent(f"there is no message {new.parent_id}")
        if parent.channel_id != new.channel_id:
            raise ForeignParent(f"message {new.parent_id} is in another channel", parent.channel_id)
        return parent

    def _keep_version(self, kind: str, message_id: int, changed_by: str, act: NewAct | None) -> None:
        original = self._messages.get(message_id)
        if original is None:
            raise UnknownMessage(f"there is no message {message_id}")
        if original.deleted_at is not None:
            raise AlreadyDeleted(f"message {message_id} is deleted already")
        self._versions[message_id].append((kind, original, changed_by))
        if act is not None:
            self._record(act)

    def _rewrite(self, message_id: int, **changes: Any) -> Message:
        self._messages[message_id] = attrs.evolve(self._messages[message_id], **changes)
        return self._as_seen(self._messages[message_id], EVERYTHING)

    def _seen(self, messages: Iterable[Message], view: View) -> list[Message]:
        """Those of ``messages`` that are on the reader's pages."""
        seen = (self._as_seen(each, view) for each in messages if not withheld(each, view))
        return [each for each in seen if visible(each)]

    def _as_seen(self, message: Message, view: View) -> Message:
        """A message with the author of today, and the replies that the reader may know of."""
        message = self._by_todays_author(message)
        if not hides(view) or not message.reply_count:
            return message
        below = (each for each in self._descendants(message.id) if each.deleted_at is None)
        return as_seen(message, {message.id: sum(withheld(each, view) for each in below)})

    def _by_todays_author(self, message: Message) -> Message:
        author_id = message.author_id
        if author_id is None:
            return message
        if author_id in self._former:
            nickname = self._former[author_id]
            return attrs.evolve(message, author_id=None, author_nickname=nickname, author_flags=0)
        account = self._accounts.get(author_id)
        if account is None:
            return attrs.evolve(message, author_flags=0)
        return attrs.evolve(message, author_nickname=account.nickname, author_flags=account.user_flags)

    def _count(self, backlog: Backlog, view: View) -> int:
        return sum(
            message.channel_id == backlog.channel_id
            and message.created_at > backlog.since_ms
            and message.deleted_at is None
            and backlog.root_id in (None, message.root_id)
            and not own(message, view)
            and not withheld(message, view)
            for message in self._messages.values()
        )

    def _forget_positions(self, account_id: int) -> None:
        for key in [key for key in self._positions if key[0] == account_id]:
            del self._positions[key]

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
