"""What moderators and admins ask for over the wire, and how it is answered."""

from __future__ import annotations

from typing import Final

import attrs

from superchat.chat.dispatch import Need, Refusal, Role, role_of
from superchat.chat.moderation import Actor, Moderation
from superchat.chat.pages import fitting
from superchat.chat.session import Session
from superchat.errors import Declined
from superchat.model import Ban
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    BanEntry,
    BanIP,
    BanList,
    BanUser,
    DeleteUser,
    IPBanned,
    IPUnbanned,
    ListBans,
    UnbanIP,
    UnbanUser,
    UserBanned,
    UserDeleted,
    UserUnbanned,
)

_REQUIRED: Final = "Permission denied: admin access required"
MODERATORS: Final = Need(Role.MODERATOR, Refusal(ErrorCode.PERMISSION_DENIED, _REQUIRED, Declined))
MODERATORS_TO_LIST: Final = Need(Role.MODERATOR, Refusal(ErrorCode.PERMISSION_DENIED, _REQUIRED))
ADMINS: Final = Need(Role.ADMIN, Refusal(ErrorCode.PERMISSION_DENIED, _REQUIRED, Declined))

_LONGEST_LIST: Final = 65535


@attrs.frozen
class ModerationRequests:
    """BAN_USER, BAN_IP, UNBAN_USER, UNBAN_IP, LIST_BANS and DELETE_USER."""

    moderation: Moderation

    async def ban_user(self, session: Session, message: BanUser) -> None:
        """wire 0x59"""
        outcome = await self.moderation.ban_user(
            _actor(session),
            message.user_id,
            message.nickname,
            message.reason,
            shadowban=message.shadowban,
            duration_seconds=message.duration_seconds,
        )
        (ban,) = outcome.bans
        session.reply(UserBanned(success=True, ban_id=ban.id, message=outcome.text))

    async def ban_ip(self, session: Session, message: BanIP) -> None:
        """wire 0x5A"""
        outcome = await self.moderation.ban_ip(
            _actor(session), message.ip_cidr, message.reason, duration_seconds=message.duration_seconds
        )
        (ban,) = outcome.bans
        session.reply(IPBanned(success=True, ban_id=ban.id, message=outcome.text))

    async def unban_user(self, session: Session, message: UnbanUser) -> None:
        """wire 0x5B"""
        outcome = await self.moderation.unban_user(_actor(session), message.user_id, message.nickname)
        session.reply(UserUnbanned(success=True, message=outcome.text))

    async def unban_ip(self, session: Session, message: UnbanIP) -> None:
        """wire 0x5C"""
        outcome = await self.moderation.unban_ip(_actor(session), message.ip_cidr)
        session.reply(IPUnbanned(success=True, message=outcome.text))

    async def list_bans(self, session: Session, message: ListBans) -> None:
        """wire 0x5D: newest first, as many as fit one frame."""
        found = await self.moderation.list_bans(include_expired=message.include_expired, limit=_LONGEST_LIST)
        session.reply(BanList(bans=tuple(fitting(map(_entry, found)))))

    async def delete_user(self, session: Session, message: DeleteUser) -> None:
        """wire 0x5E: the notice that everybody gets is the answer, too."""
        await self.moderation.delete_user(_actor(session), message.user_id)


def user_not_banned(message: BanUser | None, text: str) -> UserBanned:
    """How BAN_USER is declined."""
    return UserBanned(success=False, message=text)


def ip_not_banned(message: BanIP | None, text: str) -> IPBanned:
    """How BAN_IP is declined."""
    return IPBanned(success=False, message=text)


def user_not_unbanned(message: UnbanUser | None, text: str) -> UserUnbanned:
    """How UNBAN_USER is declined."""
    return UserUnbanned(success=False, message=text)


def ip_not_unbanned(message: UnbanIP | None, text: str) -> IPUnbanned:
    """How UNBAN_IP is declined."""
    return IPUnbanned(success=False, message=text)


def user_not_deleted(message: DeleteUser | None, text: str) -> UserDeleted:
    """How DELETE_USER is declined."""
    return UserDeleted(success=False, message=text)


def _actor(session: Session) -> Actor:
    return Actor(session.nickname or "", session.account_id, session.address, role_of(session))


def _entry(ban: Ban) -> BanEntry:
    return BanEntry(
        ban_id=ban.id,
        ban_type=ban.ban_type,
        user_id=ban.account_id,
        nickname=ban.nickname,
        ip_cidr=ban.ip_cidr,
        reason=ban.reason,
        shadowban=ban.shadowban,
        banned_at=ban.banned_at,
        banned_until=ban.banned_until,
        banned_by=ban.banned_by,
    )
