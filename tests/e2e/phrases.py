"""What clients and server say most often, in the fewest words."""

from __future__ import annotations

from superchat.wire import messages as wire

CHAT, GENERAL, TECH = 1, 2, 3
"""Ids of the first channels of a new server: a linear chat and two forums."""


def presence(session_id: int, nickname: str, *, online: bool = True) -> wire.ServerPresence:
    """SERVER_PRESENCE of an anonymous session."""
    return wire.ServerPresence(
        session_id=session_id, nickname=nickname, is_registered=False, user_flags=0, online=online
    )


def in_channel(channel_id: int, session_id: int, nickname: str, *, joined: bool = True) -> wire.ChannelPresence:
    """CHANNEL_PRESENCE of an anonymous session."""
    return wire.ChannelPresence(
        channel_id=channel_id,
        session_id=session_id,
        nickname=nickname,
        is_registered=False,
        user_flags=0,
        joined=joined,
    )


def posting(channel_id: int, content: bytes, parent_id: int | None = None) -> wire.PostMessage:
    """POST_MESSAGE."""
    return wire.PostMessage(channel_id=channel_id, parent_id=parent_id, content=content)


def page(channel_id: int, limit: int = 0, **cursor: int) -> wire.ListMessages:
    """LIST_MESSAGES."""
    return wire.ListMessages(channel_id=channel_id, limit=limit, **cursor)


def said_of(message: wire.NewMessage | wire.MessageEntry) -> tuple[str, bytes, int]:
    """What people see of a message."""
    return message.author_nickname, message.content, message.reply_count
