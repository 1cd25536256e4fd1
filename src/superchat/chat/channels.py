"""The channels and subchannels, who has joined them, and their rosters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import attrs

from superchat.chat.pages import fitting
from superchat.chat.presence import Presence
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.errors import Refused
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
    """All channels in memory, by id. A subchannel is a channel whose parent is set (decisions 4.2)."""

    def __init__(self) -> None:
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

    def find(self, channel_id: int, subchannel_id: int | None = None) -> Channel:
        """The place named by a channel's own id, or by (parent, subchannel); both are the same (decisions 4.2).

        Raises `Refused`: 4001 for an unknown channel, 4004 for a subchannel that is not in it.
        """
        channel = self._by_id.get(channel_id)
        if channel is None:
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
            if channel_id > after_id and channel.parent_id is None:
                yield channel

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

    def list_channels(self, session: Session, message: ListChannels) -> None:
        """wire 0x04: ascending id, cursor by id, limit 0 = all (decisions 4.1)."""
        limit = message.limit or _LONGEST_LIST
        entries = map(self._entry, islice(self.directory.top_level(message.from_channel_id), limit))
        session.reply(ChannelList(channels=tuple(fitting(entries))))

    def get_subchannels(self, session: Session, message: GetSubchannels) -> None:
        """wire 0x15: by name; 4001 for an unknown channel."""
        if message.channel_id not in self.directory:
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel not found")
        entries = map(_subchannel_entry, self.directory.subchannels(message.channel_id)[:_LONGEST_LIST])
        session.reply(SubchannelList(channel_id=message.channel_id, subchannels=tuple(fitting(entries))))

    def join(self, session: Session, message: JoinChannel) -> None:
        """wire 0x05: at most one joined channel; joining another one leaves the first (reference 2.2)."""
        try:
            place = self.directory.find(message.channel_id, message.subchannel_id)
        except Refused:
            session.reply(JoinResponse(success=False, channel_id=message.channel_id, message="Channel not found"))
            return
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

    def leave(self, session: Session, message: LeaveChannel) -> None:
        """wire 0x06: channel_id 0 means whatever is joined."""
        joined = session.joined
        if joined is None:
            session.reply(_not_left(message, "Not currently joined to any channel"))
        elif message.channel_id and self._place_id(message) != joined:
            session.reply(_not_left(message, "Session is not joined to the requested channel"))
        else:
            session.reply(LeaveResponse(success=True, channel_id=joined, message="Left channel"))
            self.presence.left(session, joined)
            self.registry.leave(session)

    def list_users(self, session: Session, message: ListChannelUsers) -> None:
        """wire 0x17: the sessions that have joined, sorted by nickname, no empty names (decisions 5.2)."""
        if not message.channel_id:
            raise Refused(ErrorCode.CHANNEL_NOT_FOUND, "Channel not found")
        place = self.directory.find(message.channel_id, message.subchannel_id)
        named = [other for other in self.registry.joined(place.id) if other.nickname is not None]
        named.sort(key=lambda other: (other.nickname or "", other.id))
        session.reply(
            ChannelUserList(
                channel_id=message.channel_id,
                subchannel_id=message.subchannel_id,
                users=tuple(fitting(map(_roster_entry, named[:_LONGEST_LIST]))),
            )
        )

    def _place_id(self, message: LeaveChannel) -> int | None:
        try:
            return self.directory.find(message.channel_id, message.subchannel_id).id
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


def _not_left(message: LeaveChannel, text: str) -> LeaveResponse:
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
        is_registered=False,
        user_id=None,
        user_flags=0,
    )
