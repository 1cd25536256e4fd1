"""What a request to ban may say: whom, which network, why, and for how long."""

from __future__ import annotations

import re
from typing import Final

import attrs

from superchat.chat.bans import LAST_MOMENT_MS
from superchat.chat.networks import Network, network_of
from superchat.chat.nicknames import is_nickname
from superchat.errors import Declined
from superchat.wire.errors import ErrorCode

LONGEST_REASON_BYTES: Final = 500

_DISPLAY_PREFIXES: Final = "~$@"
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@attrs.frozen
class Whom:
    """A user, as somebody named them: by the id of an account, by a nickname, or by both."""

    account_id: int | None
    nickname: str | None

    def __str__(self) -> str:
        return f"user_id:{self.account_id}" if self.nickname is None else self.nickname


def whom(account_id: int | None, nickname: str | None) -> Whom:
    """Who is meant; a nickname may be given as it is shown, with its prefix. Raises `Declined`."""
    bare = (nickname or "").strip().lstrip(_DISPLAY_PREFIXES)
    if account_id is None and not bare:
        raise Declined(ErrorCode.INVALID_INPUT, "Must provide either UserID or Nickname")
    if bare and not is_nickname(bare):
        raise Declined(ErrorCode.INVALID_NICKNAME, "Invalid nickname")
    return Whom(account_id, bare or None)


def network(ip_cidr: str) -> Network:
    """The network that is meant (decisions 7.1). Raises `Declined`."""
    if not ip_cidr.strip():
        raise Declined(ErrorCode.INVALID_INPUT, "IP/CIDR address required")
    try:
        return network_of(ip_cidr)
    except ValueError:
        raise Declined(ErrorCode.INVALID_INPUT, "Invalid IP or CIDR format") from None


def checked_reason(reason: str) -> str:
    """A reason as it is stored and shown: one line of UTF-8, at most `LONGEST_REASON_BYTES`. Raises `Declined`."""
    try:
        size = len(reason.encode())
    except UnicodeEncodeError:
        raise Declined(ErrorCode.INVALID_INPUT, "Reason is not valid UTF-8") from None
    if size > LONGEST_REASON_BYTES:
        raise Declined(ErrorCode.INVALID_INPUT, f"Reason too long (max {LONGEST_REASON_BYTES} bytes)")
    return _UNPRINTABLE.sub(" ", reason).strip()


def until(now_ms: int, duration_seconds: int | None) -> int | None:
    """When a ban ends; None, for ever, also for durations that no calendar holds: the wire's have 64 bits.

    Raises `Declined` for a ban that would have ended already.
    """
    if duration_seconds is None:
        return None
    if duration_seconds <= 0:
        raise Declined(ErrorCode.INVALID_INPUT, "Duration must be at least one second")
    end = now_ms + duration_seconds * 1000
    return end if end <= LAST_MOMENT_MS else None
