"""Accounts, bans and acts as the rows of lists. Ids are text: most readers of JSON lose digits of large numbers."""

from __future__ import annotations

from collections.abc import Mapping

from superchat.model import Account, Act, Ban, UserFlags

Row = Mapping[str, object]


def user_row(account: Account, sessions: int) -> Row:
    """An account, and how many sessions are logged in to it."""
    return {
        "type": "user",
        "user_id": str(account.id),
        "nickname": account.nickname,
        "login_name": account.password_name,
        "admin": bool(account.user_flags & UserFlags.ADMIN),
        "moderator": bool(account.user_flags & UserFlags.MODERATOR),
        "sessions": sessions,
        "created_at_ms": account.created_at,
        "last_seen_ms": account.last_seen,
    }


def ban_row(ban: Ban, now_ms: int) -> Row:
    """A ban, and whether it is in force."""
    return {
        "type": "ban",
        "ban_id": str(ban.id),
        "ban_type": ban.ban_type,
        "user_id": _id(ban.account_id),
        "nickname": ban.nickname,
        "ip_cidr": ban.ip_cidr,
        "reason": ban.reason,
        "shadow": ban.shadowban,
        "banned_at_ms": ban.banned_at,
        "banned_until_ms": ban.banned_until,
        "banned_by": ban.banned_by,
        "active": ban.banned_until is None or ban.banned_until > now_ms,
    }


def act_row(act: Act) -> Row:
    """A row of the audit log."""
    return {
        "type": "act",
        "act_id": str(act.id),
        "performed_at_ms": act.performed_at,
        "actor": act.actor,
        "actor_id": _id(act.actor_id),
        "address": act.address,
        "action": act.action,
        "target_type": act.target_type,
        "target_id": _id(act.target_id),
        "target": act.target,
        "details": act.details,
    }


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)
