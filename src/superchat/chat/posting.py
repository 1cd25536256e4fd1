"""Posting messages, and who hears of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat.chat.broadcasts import Broadcasts, Kind
from superchat.chat.channels import ChannelDirectory
from superchat.chat.counters import Counters
from superchat.chat.reading import entry_fields, shown
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.visibility import Visibility, no_such_message, wrote
from superchat.errors import Refused
from superchat.model import Channel, Message, NewMessage
from superchat.storage.errors import ForeignParent, UnknownChannel, UnknownParent
from superchat.storage.interface import IStorage
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode

_CHAT: Final = 0
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def check_length(content: bytes, longest: int) -> None:
    """Raise `Refused` for content that nobody may write (decisions 4.4): 6000 when it is empty, 6001 when it has more
    than *longest* bytes."""
    if not content:
        raise Refused(ErrorCode.INVALID_INPUT, "Message must not be empty")
    if len(content) > longest:
        raise Refused(ErrorCode.MESSAGE_TOO_LONG, f"Message too long (max {longest} bytes)")


def clean(content: bytes, place: Channel) -> bytes:
    """The content as it is stored: UTF-8 without control characters other than newline and tab (decisions 4.4).

    In a direct conversation it is opaque, perhaps ciphertext, and stays as it is. Raises `Refused`: 6000 when it is
    not UTF-8, or nothing is left.
    """
    if place.is_direct:
        return content
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Refused(ErrorCode.INVALID_INPUT, "Message is not valid UTF-8") from error
    if _CONTROLS.search(text):
        text = _CONTROLS.sub("", text)
        content = text.encode()
    check_length(content, len(content))
    return content


def foreign_parent() -> Refused:
    """What is said of a parent that is somewhere else (decisions 4.5)."""
    return Refused(ErrorCode.INVALID_INPUT, "Parent message is in another channel")


@attrs.frozen
class _Withheld:
    """A parent that strangers must not know of: for them, the nearest above it that they may see stands in."""

    parent: Message
    stand_in_id: int


@attrs.frozen
class Posting:
    """POST_MESSAGE. Nothing is confirmed or told before it is committed (decisions 4.6)."""

    storage: IStorage
    directory: ChannelDirectory
    visibility: Visibility
    registry: ChannelRegistry
    clock: IReactorTime
    counters: Counters
    broadcasts: Broadcasts
    longest_message: int
    activity: Logger

    async def post(self, session: Session, message: wire.PostMessage) -> None:
        """wire 0x0A: the author gets MESSAGE_POSTED before anybody gets NEW_MESSAGE."""
        received = self.clock.seconds()
        check_length(message.content, self.longest_message)
        place = self.directory.find(session, message.channel_id, message.subchannel_id)
        content = clean(message.content, place)
        parent_id = message.parent_id or None
        withheld = None
        if parent_id is not None:
            if place.channel_type == _CHAT:
                raise Refused(ErrorCode.INVALID_INPUT, "Chat channels do not support threaded replies")
            if self.visibility.withholds:
                withheld = await self._withheld(session, place, parent_id)
                if session.closed:
                    return
                self.directory.find(session, place.id)  # it may be gone meanwhile
        draft = NewMessage(
            channel_id=place.id,
            parent_id=parent_id,
            author_nickname=session.nickname or "",
            author_session=session.key,
            author_id=session.account_id,
            author_flags=session.user_flags,
            content=content,
            created_at=int(received * 1000),
        )
        stored = await self._append(session, draft)
        self.activity.info(
            "{name} POST_MESSAGE channel={channel} message={message} bytes={bytes}",
            name=shown(stored),
            channel=stored.channel_id,
            message=stored.id,
            bytes=len(content),
        )
        session.reply(wire.MessagePosted(success=True, message_id=stored.id, message="Message posted"))
        self._broadcast(stored, withheld, received)

    async def _append(self, session: Session, draft: NewMessage) -> Message:
        try:
            stored: Message = await self.storage.append_message(draft)
        except (UnknownParent, ForeignParent) as error:
            assert draft.parent_id is not None
            # Asked in either case: time does not tell a message that must not be known from one that is not there.
            await self.visibility.existing(session, draft.parent_id)
            raise (no_such_message() if isinstance(error, UnknownParent) else foreign_parent()) from error
        except UnknownChannel as error:
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist") from error
        return stored

    async def _withheld(self, session: Session, place: Channel, parent_id: int) -> _Withheld | None:
        """Whether the reply is to something that only some may see. Raises `Refused` when the author may not.

        This is asked before the message gets its id, so that broadcasts keep the order of the ids (decisions 4.6).
        """
        parent = await self.visibility.existing(session, parent_id)
        if parent.channel_id != place.id:
            raise foreign_parent()
        stand_in_id: int | None = await self.storage.seen_ancestor(parent_id, self.visibility.strangers)
        return None if stand_in_id in (None, parent_id) else _Withheld(parent, stand_in_id)

    def _broadcast(self, message: Message, withheld: _Withheld | None, received: float) -> None:
        """Roots go to the channel's subscribers, replies to the thread's (reference section 4)."""
        started = self.clock.seconds()
        channel_id, root_id = message.channel_id, message.root_id
        if message.parent_id is None:
            number = self._publish(self.registry.subscribers(channel_id), message, withheld)
            self.counters.channel_deliveries.add(channel_id, channel_id, None, number)
            kind: Kind = "channel"
        else:
            number = self._publish(self.registry.thread_subscribers(root_id), message, withheld)
            self.counters.thread_deliveries.add(root_id, channel_id, root_id, number)
            kind = "thread"
        self.broadcasts.published(kind, number, received, started)
        self.counters.broadcasts += 1
        self.counters.deliveries += number

    def _publish(self, listeners: Collection[Session], message: Message, withheld: _Withheld | None) -> int:
        """Tell those of *listeners* who may know of *message*; a new one has no replies yet (decisions 7.2)."""
        recipients = self.visibility.audience(listeners, message, hidden=False)
        fields = entry_fields(message)
        if withheld is None:
            return self.registry.publish(recipients, wire.NewMessage(**fields))
        insiders = {each: None for each in recipients if each.moderates or wrote(each, withheld.parent)}
        strangers = [each for each in recipients if each not in insiders]
        number = self.registry.publish(insiders, wire.NewMessage(**fields))
        fields["parent_id"] = withheld.stand_in_id
        return number + self.registry.publish(strangers, wire.NewMessage(**fields))
