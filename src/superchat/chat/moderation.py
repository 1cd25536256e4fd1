"""Banning people and networks, and deleting accounts: what those with power may do, and what comes of it at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final

import attrs
from twisted.logger import Logger

from superchat.chat import ban_terms
from superchat.chat.ban_terms import Whom
from superchat.chat.bans import Bans, ends, matching
from superchat.chat.dispatch import Role
from superchat.chat.networks import Network, address_of, shown
from superchat.chat.registry import ChannelRegistry
from superchat.chat.sessions import Sessions
from superchat.clocks import NowMs
from superchat.errors import Declined
from superchat.model import Account, Ban, NewAct, NewBan, UserFlags, name_key
from superchat.storage.errors import StorageError, UnknownAccount
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import UserDeleted

ACCOUNT_DELETED: Final = "Account deleted"
NO_SUCH_USER: Final = "User not found"

_IDS_SHOWN: Final = 20


@attrs.frozen
class Actor:
    """Who acts: a session, or an operator beside the server, whose address is "local"."""

    name: str
    account_id: int | None
    address: str
    role: Role


@attrs.frozen
class Outcome:
    """What was done; *text* tells whoever asked for it."""

    text: str
    bans: Sequence[Ban] = ()


async def _nothing(account: Account) -> None:
    """Nobody else keeps anything about it."""


@attrs.define
class Moderation:
    """What moderators and admins do, whether they ask over the wire or beside the server (decisions 7).

    Every method says no with `Declined`, which leaves no trace; what is done is an act in the audit log, committed
    together with it, and takes effect in the same reactor turn. Whether the actor's role suffices is checked before
    (decisions 3.1); here only whom it may be used on.
    """

    _errors: ClassVar[Logger] = Logger()

    storage: IStorage
    bans: Bans
    sessions: Sessions
    registry: ChannelRegistry
    now_ms: NowMs
    activity: Logger
    protected: frozenset[str] = frozenset()  # name_key of the names that belong to admins, also without an account
    account_deleted: Callable[[Account], Awaitable[None]] = _nothing
    """Told of an account that is gone, once its sessions are and everybody knows."""

    async def ban_user(
        self,
        actor: Actor,
        account_id: int | None,
        nickname: str | None,
        reason: str,
        *,
        shadowban: bool = False,
        duration_seconds: int | None = None,
    ) -> Outcome:
        """Ban an account, or a nickname and the account of that name (decisions 7.1); for ever without a duration."""
        whom = ban_terms.whom(account_id, nickname)
        reason = ban_terms.checked_reason(reason)
        self._check_target(actor, whom, await self._account(whom))
        now = self.now_ms()
        new = NewBan(
            ban_type="user",
            account_id=whom.account_id,
            nickname=whom.nickname,
            ip_cidr=None,
            reason=reason,
            shadowban=shadowban,
            banned_at=now,
            banned_until=ban_terms.until(now, duration_seconds),
            banned_by=actor.name,
        )
        details = f"reason={reason!r}, shadowban={_word(shadowban)}, {ends(new)}"
        try:
            ban: Ban = await self.storage.add_ban(new, self._act(actor, "ban_user", "user", str(whom), details))
        except UnknownAccount:
            raise _no_such_target() from None
        self._log(actor, "banned user", str(whom), f"(ban_id={ban.id}, {details})", self._enforce(ban))
        return Outcome(f"User {whom} banned successfully", [ban])

    async def ban_ip(
        self, actor: Actor, ip_cidr: str, reason: str, *, duration_seconds: int | None = None
    ) -> Outcome:
        """Ban an address or a network (decisions 7.1); for ever without a duration."""
        network = ban_terms.network(ip_cidr)
        reason = ban_terms.checked_reason(reason)
        self._check_network(actor, network)
        now = self.now_ms()
        new = NewBan(
            ban_type="ip",
            account_id=None,
            nickname=None,
            ip_cidr=shown(network),
            reason=reason,
            shadowban=False,
            banned_at=now,
            banned_until=ban_terms.until(now, duration_seconds),
            banned_by=actor.name,
        )
        details = f"reason={reason!r}, {ends(new)}"
        act = self._act(actor, "ban_ip", "ip", shown(network), details)
        ban: Ban = await self.storage.add_ban(new, act)
        self._log(actor, "banned IP", shown(network), f"(ban_id={ban.id}, {details})", self._enforce(ban))
        return Outcome(f"IP {shown(network)} banned successfully", [ban])

    async def unban_user(self, actor: Actor, account_id: int | None, nickname: str | None) -> Outcome:
        """Lift all bans of an account, or of a nickname and the account of that name, expired ones too."""
        whom = ban_terms.whom(account_id, nickname)
        act = self._act(actor, "unban_user", "user", str(whom), "")
        lifted: list[Ban] = await self.storage.remove_user_bans(whom.account_id, whom.nickname, act)
        if not lifted:
            raise Declined(ErrorCode.NOT_FOUND, "No active ban found for this user")
        return self._lifted(actor, "unbanned user", "User", str(whom), lifted)

    async def unban_ip(self, actor: Actor, ip_cidr: str) -> Outcome:
        """Lift all bans of exactly this address or network, expired ones too."""
        network = shown(ban_terms.network(ip_cidr))
        act = self._act(actor, "unban_ip", "ip", network, "")
        lifted: list[Ban] = await self.storage.remove_ip_bans(network, act)
        if not lifted:
            raise Declined(ErrorCode.NOT_FOUND, "No active ban found for this IP")
        return self._lifted(actor, "unbanned IP", "IP", network, lifted)

    async def list_bans(self, *, include_expired: bool, limit: int | None = None) -> list[Ban]:
        """The bans, newest first."""
        found: list[Ban] = await self.storage.bans(self.now_ms(), include_expired, limit)
        return found

    async def delete_user(self, actor: Actor, account_id: int) -> Outcome:
        """Delete an account; its messages stay, as an anonymous user's. Everybody gets USER_DELETED, once, also the
        admin who asked for it: that is the answer."""
        account: Account | None = await self.storage.account(account_id)
        if account is None:
            raise Declined(ErrorCode.NOT_FOUND, NO_SUCH_USER)
        if account.id == actor.account_id:
            raise Declined(ErrorCode.INVALID_INPUT, "Cannot delete your own account")
        now = self.now_ms()
        act = self._act(actor, "delete_user", "user", account.nickname, "", account.id)
        try:
            deleted: Account = await self.storage.delete_account(account.id, now, act)
        except UnknownAccount:
            raise Declined(ErrorCode.NOT_FOUND, NO_SUCH_USER) from None
        sessions = self.sessions.of_account(deleted.id)
        for session in sessions:
            session.peer.disconnect(ACCOUNT_DELETED, "deleted")
        what = f"messages anonymized, {len(sessions)} sessions disconnected"
        text = f"User '{deleted.nickname}' deleted successfully ({what})"
        self._log(actor, "deleted user", deleted.nickname, f"(user_id={deleted.id})", len(sessions))
        self.registry.publish([*self.sessions.everyone()], UserDeleted(success=True, message=text))
        try:
            await self.account_deleted(deleted)
        except StorageError as error:  # the account is gone all the same
            self._errors.error("database error after the deletion of an account: {error}", error=error)
        return Outcome(text)

    # Who may be touched

    async def _account(self, whom: Whom) -> Account | None:
        """The account that is meant, None for a nickname that is nobody's."""
        named: Account | None = None
        if whom.nickname is not None:
            named = await self.storage.account_named(whom.nickname)
        if whom.account_id is None:
            return named
        account: Account | None = await self.storage.account(whom.account_id)
        if account is None:
            raise _no_such_target()
        if whom.nickname is not None and (named is None or named.id != account.id):
            raise Declined(ErrorCode.INVALID_INPUT, "UserID and Nickname are not the same user's")
        return account

    def _check_target(self, actor: Actor, whom: Whom, account: Account | None) -> None:
        """Nobody bans themselves by mistake, and no moderator an admin (decisions 3.4, 7.1)."""
        same_name = whom.nickname is not None and name_key(whom.nickname) == name_key(actor.name)
        if same_name or (account is not None and account.id == actor.account_id):
            raise Declined(ErrorCode.INVALID_INPUT, "You cannot ban yourself")
        if actor.role >= Role.ADMIN:
            return
        is_admin = account is not None and bool(account.user_flags & UserFlags.ADMIN)
        if is_admin or (whom.nickname is not None and name_key(whom.nickname) in self.protected):
            raise Declined(ErrorCode.PERMISSION_DENIED, "Permission denied: moderators cannot ban admins")

    def _check_network(self, actor: Actor, network: Network) -> None:
        """Nobody bans an address that they are connected from (decisions 7.1)."""
        mine = {actor.address}
        if actor.account_id is not None:
            mine.update(session.address for session in self.sessions.of_account(actor.account_id))
        if any(address is not None and address in network for address in map(address_of, mine)):
            raise Declined(ErrorCode.INVALID_INPUT, "You cannot ban your own address")

    # What comes of it

    def _enforce(self, ban: Ban) -> int:
        """Let a ban take effect; how many sessions it has ended."""
        self.bans.add(ban)
        if ban.shadowban:
            return 0
        reason = f"Banned: {ban.reason}" if ban.reason else "Banned"
        banned = matching(ban, self.sessions.everyone())
        for session in banned:
            session.peer.disconnect(reason, "banned")
        return len(banned)

    def _lifted(self, actor: Actor, did: str, kind: str, target: str, lifted: Sequence[Ban]) -> Outcome:
        for ban in lifted:
            self.bans.remove(ban)
        ids = ", ".join(str(ban.id) for ban in lifted[:_IDS_SHOWN])
        more = ", …" if len(lifted) > _IDS_SHOWN else ""
        self.activity.info(
            "{role} {actor} {did} {target} ({number} bans removed: {ids})",
            role=actor.role.name.capitalize(),
            actor=actor.name,
            did=did,
            target=target,
            number=len(lifted),
            ids=f"{ids}{more}",
        )
        return Outcome(f"{kind} {target} unbanned successfully ({len(lifted)} bans removed)", lifted)

    def _log(self, actor: Actor, did: str, target: str, details: str, ended: int) -> None:
        self.activity.info(
            "{role} {actor} {did} {target} {details}, {ended} sessions disconnected",
            role=actor.role.name.capitalize(),
            actor=actor.name,
            did=did,
            target=target,
            details=details,
            ended=ended,
        )

    def _act(
        self, actor: Actor, action: str, target_type: str, target: str, details: str, target_id: int | None = None
    ) -> NewAct:
        return NewAct(
            actor=actor.name,
            actor_id=actor.account_id,
            address=actor.address,
            action=action,
            target_type=target_type,
            target_id=target_id,
            target=target,
            details=details,
            performed_at=self.now_ms(),
        )


def _no_such_target() -> Declined:
    return Declined(ErrorCode.NOT_FOUND, "Failed to create ban: user not found")


def _word(flag: bool) -> str:
    return "true" if flag else "false"
