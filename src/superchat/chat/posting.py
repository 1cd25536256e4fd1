"""Posting messages, and who hears of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Collection
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.chat.broadcasts import Broadcasts, Kind
from superchat.chat.channels import ChannelDirectory
from superchat.chat.counters import Counters
from superchat.chat.reading import entry_fields, shown
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.visibility import Visibility, no_such_message, wrote
from superchat.clocks import NowMs
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
        content = _CONTROLS.sub("", text).encode()
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
    now_ms: NowMs
    counters: Counters
    broadcasts: Broadcasts
    longest_message: int
    activity: Logger

    def post(self, session: Session, message: wire.PostMessage) -> Awaitable[None]:
        """wire 0x0A: the author gets MESSAGE_POSTED before anybody gets NEW_MESSAGE.

        Returns a Deferred when the message is on its way to the storage, which keeps the order of what it is given.
        """
        received = self.clock.seconds()
        check_length(message.content, self.longest_message)
        place = self.directory.find(session, message.channel_id, message.subchannel_id)
        content = clean(message.content, place)
        account = session.account
        draft = NewMessage(
            channel_id=place.id,
            parent_id=message.parent_id or None,
            author_nickname=session.nickname or "",
            author_session=session.key,
            author_id=None if account is None else account.id,
            author_flags=0 if account is None else account.user_flags,
            content=content,
            created_at=self.now_ms(),
        )
        if draft.parent_id is not None:
            if place.channel_type == _CHAT:
                raise Refused(ErrorCode.INVALID_INPUT, "Chat channels do not support threaded replies")
            if self.visibility.withholds:
                return self._reply(session, draft, draft.parent_id, received)
        return self._append(session, draft, None, received)

    async def _reply(self, session: Session, draft: NewMessage, parent_id: int, received: float) -> None:
        """Post below something that may be withheld from somebody."""
        withheld = await self._withheld(session, draft.channel_id, parent_id)
        if session.closed:
            return
        self.directory.find(session, draft.channel_id)  # it may be gone meanwhile
        await self._append(session, draft, withheld, received)

    def _append(
        self, session: Session, draft: NewMessage, withheld: _Withheld | None, received: float
    ) -> Deferred[None]:
        appending: Deferred[Message] = self.storage.append_message(draft)
        return appending.addCallbacks(
            self._posted, self._refused, callbackArgs=(session, withheld, received), errbackArgs=(session,)
        )

    def _posted(self, stored: Message, session: Session, withheld: _Withheld | None, received: float) -> None:
        session.reply(wire.MessagePosted(success=True, message_id=stored.id, message="Message posted"))
        self._broadcast(stored, withheld, received)
        self.activity.info(
            "{name} POST_MESSAGE channel={channel} message={message} bytes={bytes}",
            name=shown(stored),
            channel=stored.channel_id,
            message=stored.id,
            bytes=len(stored.content),
        )

    def _refused(self, failure: Failure, session: Session) -> Failure:
        """Say why the storage did not take a message. Asks nobody: what comes later is told later."""
        error = failure.value
        if isinstance(error, ForeignParent) and self._may_know_of(session, error.channel_id):
            raise foreign_parent() from error
        if isinstance(error, (UnknownParent, ForeignParent)):
            raise no_such_message() from error
        if isinstance(error, UnknownChannel):
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist") from error
        return failure

    def _may_know_of(self, session: Session, channel_id: int) -> bool:
        """Whether *session* may hear that a parent is in this channel: surely not if it might be withheld."""
        channel = self.directory.get(channel_id)
        return channel is not None and self.directory.admits(session, channel) and not self.visibility.withholds

    async def _withheld(self, session: Session, channel_id: int, parent_id: int) -> _Withheld | None:
        """Whether the reply is to something that only some may see. Raises `Refused` when the author may not.

        This is asked before the message gets its id, so that broadcasts keep the order of the ids (decisions 4.6).
        """
        parent = await self.visibility.existing(session, parent_id)
        if parent.channel_id != channel_id:
            raise foreign_parent()
        stand_in_id: int | None = await self.storage.seen_ancestor(parent_id, self.visibility.strangers)
        return None if stand_in_id in (None, parent_id) else _Withheld(parent, stand_in_id)

    def _broadcast(self, message: Message, withheld: _Withheld | None, received: float) -> None:
        """Roots go to the channel's subscribers, replies to the thread's (reference section 4)."""
        started = self.clock.seconds()
        channel_id, root_id = message.channel_id, message.root_id
        if message.parent_id is None:
            kind: Kind = "channel"
            recipients = self._recipients(self.registry.subscribers(channel_id), message)
            self.counters.channel_deliveries.add(channel_id, channel_id, None, len(recipients))
        else:
            kind = "thread"
            recipients = self._recipients(self.registry.thread_subscribers(root_id), message)
            self.counters.thread_deliveries.add(root_id, channel_id, root_id, len(recipients))
        self.counters.broadcasts += 1
        self.counters.deliveries += len(recipients)
        *parts, last = self._parts(recipients, message, withheld)
        for part in parts:
            self.registry.publish(*part)
        self.broadcasts.begin(kind, len(recipients), received, started)  # it is complete with the last of its parts
        if recipients:
            self.registry.publish_soon(*last)

    def _recipients(self, listeners: Collection[Session], message: Message) -> Collection[Session]:
        """Those of *listeners* who may know of *message*; a new one has no replies yet (decisions 7.2)."""
        return self.visibility.audience(listeners, message, hidden=False)

    def _parts(
        self, recipients: Collection[Session], message: Message, withheld: _Withheld | None
    ) -> list[tuple[Collection[Session], wire.NewMessage]]:
        """What is sent to whom."""
        fields = entry_fields(message)
        if withheld is None:
            return [(recipients, wire.NewMessage(**fields))]
        insiders = {each: None for each in recipients if each.moderates or wrote(each, withheld.parent)}
        strangers = [each for each in recipients if each not in insiders]
        for_strangers = fields | {"parent_id": withheld.stand_in_id}
        return [(insiders, wire.NewMessage(**fields)), (strangers, wire.NewMessage(**for_strangers))]
