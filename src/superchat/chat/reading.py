"""Reading messages: pages of root messages and of threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs

from superchat.chat.channels import ChannelDirectory
from superchat.chat.pages import ROOM_BYTES, fitting
from superchat.chat.session import Session
from superchat.chat.visibility import Visibility
from superchat.errors import Refused
from superchat.model import Message, NewMessage, UserFlags
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import ListMessages, MessageEntry, MessageList

_DEFAULT_PAGE: Final = 50
_LARGEST_PAGE: Final = 200
ENTRY_BYTES: Final = 128
"""More than an entry has beside its content; only pages near 1 MiB need exact figures."""


def page_limit(wanted: int) -> int:
    """How many messages a page has at most, if so many are wanted; 0 is for the server to say (decisions 4.3)."""
    return min(wanted or _DEFAULT_PAGE, _LARGEST_PAGE)


def shown(author: Message | NewMessage) -> str:
    """How an author's name is shown: ``~`` anonymous, ``$`` admin, ``@`` moderator, bare for other accounts, and
    empty for the server's own notes (wire 0x89)."""
    if author.author_id is None:
        return author.author_nickname and f"~{author.author_nickname}"
    return f"{prefix(author.author_flags)}{author.author_nickname}"


def shown_session(session: Session) -> str:
    """The same for whoever is at *session* now."""
    if session.account is None:
        return f"~{session.nickname}"
    return f"{prefix(session.account.user_flags)}{session.account.nickname}"


def prefix(user_flags: int) -> str:
    """What an account's rights put before its nickname."""
    if user_flags & UserFlags.ADMIN:
        return "$"
    return "@" if user_flags & UserFlags.MODERATOR else ""


def entry_fields(message: Message) -> dict[str, Any]:
    """The fields that a message has on the wire, in lists and in NEW_MESSAGE alike.

    A message in a subchannel carries the subchannel's own id as its channel (decisions 4.2).
    """
    return {
        "message_id": message.id,
        "channel_id": message.channel_id,
        "parent_id": message.parent_id,
        "author_user_id": message.author_id,
        "author_nickname": shown(message),
        "content": message.content,
        "created_at": message.created_at,
        "edited_at": message.edited_at,
        "reply_count": message.reply_count,
    }


@attrs.frozen
class Reading:
    """LIST_MESSAGES."""

    storage: IStorage
    directory: ChannelDirectory
    visibility: Visibility

    async def list_messages(self, session: Session, message: ListMessages) -> None:
        """wire 0x09, in the order of decisions 4.3; a page that would pass 1 MiB is shortened."""
        place = self.directory.find(session, message.channel_id, message.subchannel_id)
        if message.parent_id:
            parent = await self.visibility.existing(session, message.parent_id)
            if parent.channel_id != place.id:
                raise Refused(ErrorCode.INVALID_INPUT, "Parent message is in another channel")
        cursor = page_limit(message.limit), message.before_id, message.after_id, self.visibility.bans.view(session)
        if message.parent_id:
            page = await self.storage.thread_page(message.parent_id, *cursor)
        else:
            page = await self.storage.root_page(place.id, *cursor)
        oldest_first = message.after_id is not None and message.before_id is None
        session.reply(
            MessageList(
                channel_id=message.channel_id,
                subchannel_id=message.subchannel_id,
                parent_id=message.parent_id,
                messages=tuple(_shorten(page, oldest_first=oldest_first)),
            )
        )


def _shorten(page: Iterable[Message], *, oldest_first: bool) -> Iterator[MessageEntry]:
    """The part of a page that fits one frame: what is farthest from the cursor goes, the order stays."""
    entries = [MessageEntry(**entry_fields(message)) for message in page]
    if sum(len(entry.content) + ENTRY_BYTES for entry in entries) <= ROOM_BYTES:
        return iter(entries)
    by_distance = sorted(entries, key=lambda entry: entry.message_id, reverse=not oldest_first)
    kept = {entry.message_id for entry in fitting(by_distance)}
    return (entry for entry in entries if entry.message_id in kept)
