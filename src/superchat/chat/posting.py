"""Posting and deleting messages, and who hears of it."""

from __future__ import annotations

import re
from itertools import chain
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat.chat.broadcasts import Broadcasts
from superchat.chat.channels import ChannelDirectory
from superchat.chat.counters import Counters
from superchat.chat.reading import entry_fields
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.errors import Refused
from superchat.model import Message, NewMessage
from superchat.storage.interface import (
    AlreadyDeleted,
    ForeignParent,
    IStorage,
    UnknownMessage,
    UnknownParent,
)
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message as WireMessage

_CHAT: Final = 0
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(content: bytes, longest: int) -> bytes:
    """The content as it is stored: UTF-8 without control characters other than newline and tab (decisions 4.4).

    Raises `Refused`: 6000 when nothing is left or it is not UTF-8, 6001 when it has more than *longest* bytes.
    """
    if len(content) > longest:
        raise Refused(ErrorCode.MESSAGE_TOO_LONG, f"Message too long (max {longest} bytes)")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Refused(ErrorCode.INVALID_INPUT, "Message is not valid UTF-8") from error
    if _CONTROLS.search(text):
        text = _CONTROLS.sub("", text)
        content = text.encode()
    if not content:
        raise Refused(ErrorCode.INVALID_INPUT, "Message must not be empty")
    return content


@attrs.frozen
class Posting:
    """POST_MESSAGE and DELETE_MESSAGE. Nothing is confirmed or told before it is committed (decisions 4.6)."""

    storage: IStorage
    directory: ChannelDirectory
    registry: ChannelRegistry
    clock: IReactorTime
    counters: Counters
    broadcasts: Broadcasts
    longest_message: int
    activity: Logger

    async def post(self, session: Session, message: wire.PostMessage) -> None:
        """wire 0x0A: the author gets MESSAGE_POSTED before anybody gets NEW_MESSAGE."""
        received = self.clock.seconds()
        content = clean(message.content, self.longest_message)
        place = self.directory.find(message.channel_id, message.subchannel_id)
        parent_id = message.parent_id or None
        if parent_id is not None and place.channel_type == _CHAT:
            raise Refused(ErrorCode.INVALID_INPUT, "Chat channels do not support threaded replies")
        draft = NewMessage(
            channel_id=place.id,
            parent_id=parent_id,
            author_nickname=session.nickname or "",
            author_session=session.key,
            content=content,
            created_at=int(received * 1000),
        )
        try:
            stored: Message = await self.storage.append_message(draft)
        except UnknownParent as error:
            raise Refused(ErrorCode.MESSAGE_NOT_FOUND, "Message not found") from error
        except ForeignParent as error:
            raise Refused(ErrorCode.INVALID_INPUT, "Parent message is in another channel") from error
        self.activity.info(
            "~{nickname} POST_MESSAGE channel={channel} message={message} bytes={bytes}",
            nickname=stored.author_nickname,
            channel=stored.channel_id,
            message=stored.id,
            bytes=len(content),
        )
        session.reply(wire.MessagePosted(success=True, message_id=stored.id, message="Message posted"))
        self._broadcast(stored, received)

    async def delete(self, session: Session, message: wire.DeleteMessage) -> None:
        """wire 0x0C: only the session that posted it may delete an anonymous message (decisions 3.3)."""
        stored: Message | None = await self.storage.message(message.message_id)
        if stored is None:
            raise Refused(ErrorCode.MESSAGE_NOT_FOUND, "Message not found")
        if stored.author_session != session.key:
            raise Refused(ErrorCode.PERMISSION_DENIED, "You can only delete your own messages")
        name = f"~{session.nickname}"
        try:
            tombstone: Message = await self.storage.delete_message(
                stored.id, f"[deleted by {name}]".encode(), self._now_ms(), name
            )
        except UnknownMessage as error:
            raise Refused(ErrorCode.MESSAGE_NOT_FOUND, "Message not found") from error
        except AlreadyDeleted as error:
            raise Refused(ErrorCode.INVALID_INPUT, "Message is already deleted") from error
        self.activity.info(
            "{name} DELETE_MESSAGE channel={channel} message={message}",
            name=name,
            channel=tombstone.channel_id,
            message=tombstone.id,
        )
        notice = wire.MessageDeleted(
            success=True,
            message_id=tombstone.id,
            deleted_at=tombstone.deleted_at,
            message=tombstone.content,
        )
        session.reply(notice)
        self._tell_others(session, tombstone, notice)

    def _broadcast(self, message: Message, received: float) -> None:
        """Roots go to the channel's subscribers, replies to the thread's (reference section 4)."""
        started = self.clock.seconds()
        news = wire.NewMessage(**entry_fields(message))
        channel_id, root_id = message.channel_id, message.root_id
        counters = self.counters
        if message.parent_id is None:
            number = self.registry.publish(self.registry.subscribers(channel_id), news)
            counters.channel_deliveries.add(channel_id, channel_id, None, number)
            self.broadcasts.published("channel", number, received, started)
        else:
            number = self.registry.publish(self.registry.thread_subscribers(root_id), news)
            counters.thread_deliveries.add(root_id, channel_id, root_id, number)
            self.broadcasts.published("thread", number, received, started)
        counters.broadcasts += 1
        counters.deliveries += number

    def _tell_others(self, actor: Session, message: Message, notice: WireMessage) -> None:
        """Once to everyone else joined, subscribed to the channel, or subscribed to the thread (decisions 4.8)."""
        audience = chain(
            self.registry.audience(message.channel_id), self.registry.thread_subscribers(message.root_id)
        )
        recipients = dict.fromkeys(audience)
        recipients.pop(actor, None)
        self.registry.publish(recipients, notice)

    def _now_ms(self) -> int:
        return int(self.clock.seconds() * 1000)
