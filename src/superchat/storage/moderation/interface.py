"""What the services may ask of a storage engine about bans and the audit log."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from superchat.model import Act, Ban, NewAct, NewBan


class IModeration(Interface):
    """Bans, and what was done with power. An act is recorded in the transaction of what was done (decisions 7.3)."""

    def add_ban(new: NewBan, act: NewAct) -> Deferred[Ban]:
        """Ban, and record it with the ban's id as its ``target_id``.

        A ban by nickname alone also gets the id of the account of that name, if there is one.
        Fails with ``UnknownAccount`` when ``new.account_id`` is of none.
        """

    def remove_user_bans(account_id: int | None, nickname: str | None, act: NewAct) -> Deferred[list[Ban]]:
        """Lift all bans of the account, or of the nickname ignoring case and of the account of that name; expired
        ones too. Returns those that were lifted; without any, nothing is recorded.
        """

    def remove_ip_bans(ip_cidr: str, act: NewAct) -> Deferred[list[Ban]]:
        """Lift all bans of exactly this normalised address or network; otherwise as ``remove_user_bans``."""

    def bans(now_ms: int, include_expired: bool, limit: int | None = None) -> Deferred[list[Ban]]:
        """The bans, newest first, ``limit`` of them at most; those that have ended only when asked for."""

    def record(act: NewAct) -> Deferred[Act]:
        """Add a row to the audit log."""

    def acts(limit: int, before_id: int | None = None) -> Deferred[list[Act]]:
        """At most ``limit`` rows of the audit log, newest first, from the one before ``before_id``."""
