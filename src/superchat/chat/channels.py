"""The channels and subchannels, who has joined them, and their rosters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Final

import attrs

from superchat.chat.membership import Membership
from superchat.chat.pages import fitting
from superchat.chat.presence import Presence
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.errors import Declined, Refused
from superchat.model import Channel
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    ChannelEntry,
    ChannelList,
    ChannelUserEntry,
    ChannelUserList,
    GetSubchannels,
    JoinChannel,
    JoinResponse,
    LeaveChannel,
    LeaveResponse,
    ListChannels,
    ListChannelUsers,
    SubchannelEntry,
    SubchannelList,
)

_LONGEST_LIST: Final = 65535


class ChannelDirectory:
    """All channels in memory, by id. A subchannel is a channel whose parent is set (decisions 4.2).

    Direct conversations are among them, but for whoever does not take part they do not exist (decisions 3.2).
    """

    def __init__(self) -> None:
        self.membership = Membership()
        self._by_id: dict[int, Channel] = {}
        self._children: dict[int, dict[int, Channel]] = {}

    def add(self, channels: Iterable[Channel]) -> None:
        """Take in channels as they are stored."""
        for channel in channels:
            self._by_id[channel.id] = channel
            if channel.parent_id is not None:
                self._children.setdefault(channel.parent_id, {})[channel.id] = channel

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, channel_id: int) -> bool:
        return channel_id in self._by_id

    def get(self, channel_id: int) -> Channel | None:
        """The channel, subchannel or direct conversation with this id, whoever asks."""
        return self._by_id.get(channel_id)

    def remove(self, channel_id: int) -> None:
        """Forget a channel that is gone; its subchannels must be gone already."""
        channel = self._by_id.pop(channel_id)
        if channel.parent_id is not None:
            siblings = self._children[channel.parent_id]
            del siblings[channel_id]
            if not siblings:
                del self._children[channel.parent_id]
        self.membership.forget(channel_id)

    def admits(self, session: Session, channel: Channel) -> bool:
        """Whether a channel exists for *session* (decisions 3.2)."""
        return not channel.is_direct or self.membership.role(session, channel.id) is not None

    def find(self, session: Session, channel_id: int, subchannel_id: int | None = None) -> Channel:
        """The place named by a channel's own id, or by (parent, subchannel); both are the same (decisions 4.2).

        Raises `Refused`: 4001 for a channel that does not exist for *session*, 4004 for a subchannel that is not
        in it.
        """
        channel = self._by_id.get(channel_id)
        if channel is None or not self.admits(session, channel):
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist")
        if subchannel_id is None or subchannel_id == channel_id:
            return channel
        subchannel = self._children.get(channel_id, {}).get(subchannel_id)
        if subchannel is None:
            raise Refused(ErrorCode.SUBCHANNEL_NOT_FOUND, "Subchannel does not exist")
        return subchannel

    def top_level(self, after_id: int) -> Iterator[Channel]:
        """The channels that are no subchannels, with an id above *after_id*, ascending."""
        for channel_id in sorted(self._by_id):
            channel = self._by_id[channel_id]
            if channel_id > after_id and channel.parent_id is None and not channel.is_direct:
                yield channel

    def expiring(self) -> list[Channel]:
        """All places that do not keep their messages for ever, of whatever kind (decisions 4.11)."""
        return [channel for channel in self._by_id.values() if channel.retention_hours > 0]

    def subchannel_count(self, channel_id: int) -> int:
        """How many subchannels a channel has."""
        return len(self._children.get(channel_id, ()))

    def subchannels(self, channel_id: int) -> list[Channel]:
        """The subchannels of a channel, by name."""
        return sorted(self._children.get(channel_id, {}).values(), key=lambda channel: channel.name)


@attrs.frozen
class Channels:
    """LIST_CHANNELS, GET_SUBCHANNELS, JOIN_CHANNEL, LEAVE_CHANNEL and LIST_CHANNEL_USERS."""

    directory: ChannelDirectory
    registry: ChannelRegistry
    presence: Presence
    end_direct: Callable[[Session, int], Awaitable[None] | None]
    """Has a session leave a direct conversation for good; None when that is none of its own."""

    def list_channels(self, session: Session, message: ListChannels) -> None:
        """wire 0x04: ascending id, cursor by id, limit 0 = all (decisions 4.1)."""
        limit = message.limit or _LONGEST_LIST
        entries = map(self._entry, islice(self.directory.top_level(message.from_channel_id), limit))
        session.reply(ChannelList(channels=tuple(fitting(entries))))

    def get_subchannels(self, session: Session, message: GetSubchannels) -> None:
        """wire 0x15: by name; 4001 for an unknown channel."""
        channel = self.directory.get(message.channel_id)
        if channel is None or not self.directory.admits(session, channel):
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel not found")
        entries = map(_subchannel_entry, self.directory.subchannels(message.channel_id)[:_LONGEST_LIST])
        session.reply(SubchannelList(channel_id=message.channel_id, subchannels=tuple(fitting(entries))))

    def join(self, session: Session, message: JoinChannel) -> None:
        """wire 0x05: at most one joined channel; joining another one leaves the first (reference 2.2)."""
        try:
            place = self.directory.find(session, message.channel_id, message.subchannel_id)
        except Refused:
            raise Declined(ErrorCode.CHANNEL_NOT_FOUND, "Channel not found") from None
        if session.joined is not None and session.joined != place.id:
            self.presence.left(session, session.joined)
        self.presence.entering(session, place.id)
        self.registry.join(session, place.id)
        session.reply(
            JoinResponse(
                success=True,
                channel_id=message.channel_id,
                subchannel_id=message.subchannel_id,
                message="Joined channel",
            )
        )
        self.presence.joined(session, place.id)

    def leave(self, session: Session, message: LeaveChannel) -> Awaitable[None] | None:
        """wire 0x06: channel_id 0 means whatever is joined; *permanent* ends a direct conversation, joined or not."""
        joined = session.joined
        if message.permanent:
            place_id = self._place_id(session, message) if message.channel_id else joined
            ending = None if place_id is None else self.end_direct(session, place_id)
            if ending is not None:
                return ending
        if joined is None:
            raise Declined(ErrorCode.INVALID_INPUT, "Not currently joined to any channel")
        if message.channel_id and self._place_id(session, message) != joined:
            raise Declined(ErrorCode.INVALID_INPUT, "Session is not joined to the requested channel")
        session.reply(LeaveResponse(success=True, channel_id=joined, message="Left channel"))
        self.presence.left(session, joined)
        self.registry.leave(session)
        return None

    def list_users(self, session: Session, message: ListChannelUsers) -> None:
        """wire 0x17: the sessions that have joined, sorted by nickname, no empty names (decisions 5.2)."""
        if not message.channel_id:
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel not found")
        place = self.directory.find(session, message.channel_id, message.subchannel_id)
        named = [other for other in self.registry.joined(place.id) if other.nickname is not None]
        named.sort(key=lambda other: (other.nickname or "", other.id))
        session.reply(
            ChannelUserList(
                channel_id=message.channel_id,
                subchannel_id=message.subchannel_id,
                users=tuple(fitting(map(_roster_entry, named[:_LONGEST_LIST]))),
            )
        )

    def _place_id(self, session: Session, message: LeaveChannel) -> int | None:
        try:
            return self.directory.find(session, message.channel_id, message.subchannel_id).id
        except Refused:
            return None

    def _entry(self, channel: Channel) -> ChannelEntry:
        subchannels = self.directory.subchannel_count(channel.id)
        return ChannelEntry(
            channel_id=channel.id,
            name=channel.name,
            description=channel.description,
            user_count=len(self.registry.subscribers(channel.id)),
            is_operator=False,
            type=channel.channel_type,
            retention_hours=channel.retention_hours,
            has_subchannels=bool(subchannels),
            subchannel_count=subchannels,
        )


def not_joined(message: JoinChannel, text: str) -> JoinResponse:
    """How JOIN_CHANNEL is declined."""
    return JoinResponse(success=False, channel_id=message.channel_id, message=text)


def not_left(message: LeaveChannel, text: str) -> LeaveResponse:
    """How LEAVE_CHANNEL is declined."""
    return LeaveResponse(success=False, channel_id=message.channel_id, message=text)


def _subchannel_entry(channel: Channel) -> SubchannelEntry:
    return SubchannelEntry(
        subchannel_id=channel.id,
        name=channel.name,
        description=channel.description,
        type=channel.channel_type,
        retention_hours=channel.retention_hours,
    )


def _roster_entry(session: Session) -> ChannelUserEntry:
    return ChannelUserEntry(
        session_id=session.id,
        nickname=session.nickname or "",
        is_registered=session.account is not None,
        user_id=session.account_id,
        user_flags=session.user_flags,
    )
