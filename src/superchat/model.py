"""Values as they are stored: field names equal column names, times are integer Unix milliseconds."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import attrs

REHEARSAL_CHANNEL_ID: Final = 0
"""No channel ever has this id, except while a message is rehearsed, which nobody can see."""


class ChannelType(IntEnum):
    """What a channel's messages look like (wire 0x07)."""

    CHAT = 0  # one line of messages
    FORUM = 1  # threads


def _size(content: bytes) -> str:
    """What people wrote has no place in logs and tracebacks; its length may help there."""
    return f"<{len(content)} bytes>"


@attrs.frozen
class NewChannel:
    """What a seed of the configuration, or a request to create a channel, asks for (decisions 4.1, 4.13)."""

    name: str
    display_name: str
    description: str
    channel_type: int
    retention_hours: int  # 0 keeps for ever (decisions 4.11)
    parent_id: int | None = None  # the top-level channel that a subchannel belongs to


@attrs.frozen
class Channel:
    """A place for messages. A subchannel is a channel too, with an id of its own (decisions 4.2)."""

    id: int
    name: str
    display_name: str
    description: str
    channel_type: int
    retention_hours: int
    parent_id: int | None
    created_at: int


@attrs.frozen
class NewMessage:
    """What somebody posts: a root when ``parent_id`` is None, else a reply."""

    channel_id: int  # the place: a subchannel's own id when it is posted there
    parent_id: int | None
    author_nickname: str  # bare, without the ``~`` of the anonymous
    author_session: int  # the posting session's key, 63 bits, never used again after a restart
    content: bytes = attrs.field(repr=_size)
    created_at: int


@attrs.frozen
class Message:
    """A message as everybody may read it; for a deleted one that is its tombstone (decisions 4.7)."""

    id: int
    channel_id: int
    parent_id: int | None
    root_id: int  # the message that began the thread; a root's own id
    author_nickname: str
    author_session: int
    content: bytes = attrs.field(repr=_size)
    created_at: int
    edited_at: int | None = None
    deleted_at: int | None = None
    reply_count: int = 0  # all living descendants, of roots and replies alike (decisions 4.3)
