"""Creating channels and subchannels: what may be asked for, how often, and who hears of it."""

from __future__ import annotations

import re
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat.chat.channels import ChannelDirectory
from superchat.chat.dispatch import UNREADABLE_REQUEST, Need, Refusal, Role
from superchat.chat.limits import SlidingWindows
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions
from superchat.clocks import NowMs
from superchat.errors import Declined
from superchat.model import Channel, ChannelType, NewChannel
from superchat.storage.errors import DuplicateName, UnknownChannel
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import ChannelCreated, CreateChannel, CreateSubchannel, SubchannelCreated
from superchat.wire.records import Message

WINDOW_SECONDS: Final = 3600
"""What `max_channel_creates` counts in (decisions 4.1)."""

CREATORS: Final = Need(
    Role.REGISTERED,
    Refusal(ErrorCode.AUTH_REQUIRED, "Only registered users can create channels. Please register or log in.", Declined),
)
SUBCREATORS: Final = Need(
    Role.REGISTERED,
    Refusal(
        ErrorCode.AUTH_REQUIRED, "Only registered users can create subchannels. Please register or log in.", Declined
    ),
)
UNREADABLE: Final = Refusal(ErrorCode.INVALID_FORMAT, UNREADABLE_REQUEST, Declined)

_NAME_BYTES: Final = range(3, 51)
_DISPLAY_BYTES: Final = range(1, 101)
_DESCRIPTION_BYTES: Final = range(501)
_RETENTION_HOURS: Final = range(1, 8761)

# Controls, separators of lines, bytes that are no UTF-8, and what changes the direction of the text around it.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINES: Final = re.compile("[\t\n]")


@attrs.frozen
class Creating:
    """CREATE_CHANNEL and CREATE_SUBCHANNEL. The creator gets the reply, everybody else is told (reference 2.2).

    *recent* outlives a change of the configuration; *limit* is what it allows now, 0 anything.
    """

    storage: IStorage
    directory: ChannelDirectory
    registry: ChannelRegistry
    sessions: Sessions
    clock: IReactorTime
    now_ms: NowMs
    recent: SlidingWindows
    limit: int
    activity: Logger

    async def create_channel(self, session: Session, message: CreateChannel) -> None:
        """wire 0x07"""
        description = message.description or ""
        _check_name(message.name, "Channel name")
        _check(len(_bytes(message.display_name)) in _DISPLAY_BYTES, "Display name must be 1-100 characters")
        _check_readable(message.display_name, "Display name")
        _check_description(description)
        _check_kind(message.channel_type, message.retention_hours)
        new = NewChannel(
            name=message.name,
            display_name=message.display_name,
            description=description,
            channel_type=message.channel_type,
            retention_hours=message.retention_hours,
            created_by=session.account_id,
        )
        try:
            created = await self._create(session, new)
        except DuplicateName as error:
            raise Declined(ErrorCode.INVALID_INPUT, "Channel name already exists") from error
        self._announce(
            session,
            _created(created, f"Channel '{created.display_name}' created successfully"),
            _created(created, f"New channel '{created.display_name}' created"),
        )

    async def create_subchannel(self, session: Session, message: CreateSubchannel) -> None:
        """wire 0x08: for the owner of the parent and for admins, and one level deep only (decisions 4.2)."""
        self._check_parent(session, message.channel_id)
        _check_name(message.name, "Subchannel name")
        _check_description(message.description)
        _check_kind(message.type, message.retention_hours)
        new = NewChannel(
            name=message.name,
            display_name=message.name,
            description=message.description,
            channel_type=message.type,
            retention_hours=message.retention_hours,
            parent_id=message.channel_id,
            created_by=session.account_id,
        )
        try:
            created = await self._create(session, new)
        except DuplicateName as error:
            text = "Subchannel name already exists in this channel"
            raise Declined(ErrorCode.INVALID_INPUT, text) from error
        except UnknownChannel as error:
            raise _no_parent() from error
        answer = _subcreated(created)
        self._announce(session, answer, answer)

    def _check_parent(self, session: Session, channel_id: int) -> None:
        """A direct conversation has no subchannels, and does not show that it is there (decisions 3.2)."""
        parent = self.directory.get(channel_id)
        if parent is None or parent.is_direct:
            raise _no_parent()
        if not session.is_admin and (parent.created_by is None or parent.created_by != session.account_id):
            text = "Only the channel owner or admins can create subchannels"
            raise Declined(ErrorCode.PERMISSION_DENIED, text)
        text = "Cannot create subchannels within subchannels (only one level of nesting allowed)"
        _check(parent.parent_id is None, text)

    async def _create(self, session: Session, new: NewChannel) -> Channel:
        """Create it within the limit. Only what was created counts, but it counts from the request on."""
        account_id, now = session.account_id, self.clock.seconds()
        assert account_id is not None
        if not self.recent.take(account_id, now, self.limit):
            raise self._limit_exceeded(session)
        try:
            created: Channel = await self.storage.create_channel(new, self.now_ms())
        except BaseException:
            self.recent.give_back(account_id, now)
            raise
        self.directory.add([created])
        self.activity.info(
            "{name} {what} channel={channel} parent={parent} type={type} retention={hours}h",
            name=session.nickname,
            what=CreateChannel.NAME if new.parent_id is None else CreateSubchannel.NAME,
            channel=created.id,
            parent=created.parent_id,
            type=ChannelType(created.channel_type).name.lower(),
            hours=created.retention_hours,
        )
        return created

    def _limit_exceeded(self, session: Session) -> Declined:
        """Both of the monitoring guide's searches find the line, and the code is in it (decisions 4.1, 4.10)."""
        self.activity.info(
            "Rate limit exceeded for session {id}: channel rate limit exceeded ({code}), {limit} per hour allowed",
            id=session.id,
            code=int(ErrorCode.CHANNEL_CREATE_LIMIT),
            limit=self.limit,
        )
        text = f"Channel creation limit exceeded (max {self.limit} per hour)"
        return Declined(ErrorCode.CHANNEL_CREATE_LIMIT, text)

    def _announce(self, creator: Session, reply: Message, news: Message) -> None:
        creator.reply(reply)
        self.registry.publish([each for each in self.sessions.everyone() if each is not creator], news)


def channel_not_created(message: CreateChannel | None, text: str) -> ChannelCreated:
    """How CREATE_CHANNEL is declined."""
    return ChannelCreated(success=False, message=text)


def subchannel_not_created(message: CreateSubchannel | None, text: str) -> SubchannelCreated:
    """How CREATE_SUBCHANNEL is declined."""
    return SubchannelCreated(success=False, message=text)


def _created(channel: Channel, text: str) -> ChannelCreated:
    return ChannelCreated(
        success=True,
        channel_id=channel.id,
        name=channel.name,
        description=channel.description,
        type=channel.channel_type,
        retention_hours=channel.retention_hours,
        message=text,
    )


def _subcreated(channel: Channel) -> SubchannelCreated:
    return SubchannelCreated(
        success=True,
        channel_id=channel.parent_id,
        subchannel_id=channel.id,
        name=channel.name,
        description=channel.description,
        type=channel.channel_type,
        retention_hours=channel.retention_hours,
        message=f"Subchannel '{channel.name}' created successfully",
    )


def _no_parent() -> Declined:
    return Declined(ErrorCode.CHANNEL_NOT_FOUND, "Parent channel not found")


def _check(is_right: bool, text: str) -> None:
    if not is_right:
        raise Declined(ErrorCode.INVALID_INPUT, text)


def _check_name(name: str, what: str) -> None:
    _check(len(_bytes(name)) in _NAME_BYTES, f"{what} must be 3-50 characters")
    _check_readable(name, what)


def _check_readable(text: str, what: str) -> None:
    """People tell names apart by what they see of them."""
    _check(_CONTROLS.search(text) is None, f"{what} must be readable text without control characters")
    _check(text == text.strip(), f"{what} must not begin or end with a space")


def _check_description(text: str) -> None:
    _check(len(_bytes(text)) in _DESCRIPTION_BYTES, "Description must be at most 500 characters")
    # It may have lines, as a message may (decisions 4.4).
    readable = _CONTROLS.search(_LINES.sub("", text)) is None
    _check(readable, "Description must be readable text without control characters")


def _check_kind(channel_type: int, retention_hours: int) -> None:
    kinds = [*ChannelType]
    _check(channel_type in kinds, "Invalid channel type (must be 0=chat or 1=forum)")
    _check(retention_hours in _RETENTION_HOURS, "Retention hours must be between 1 and 8760 (1 year)")


def _bytes(text: str) -> bytes:
    """As it came over the wire: what is limited is bytes (wire 0x07)."""
    return text.encode("utf-8", "surrogateescape")
