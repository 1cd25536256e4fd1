"""What only an operator does to accounts: making those of the reserved names, rights, and lost passwords."""

from __future__ import annotations

from typing import Final

import attrs

from superchat.auth.passwords import acceptable
from superchat.chat.identity import find_account
from superchat.chat.moderation import Actor
from superchat.chat.nicknames import SHORTEST_NICKNAME, is_nickname
from superchat.chat.service import Chat
from superchat.errors import Declined
from superchat.model import Account, NewAccount, NewAct, UserFlags, name_key
from superchat.storage.errors import NameTaken, Renamed, UnknownAccount
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode

ROLES: Final = {"admin": UserFlags.ADMIN, "moderator": UserFlags.MODERATOR}
PASSWORD_RESET: Final = "Password reset by an operator"


@attrs.frozen
class Change:
    """An account as it is now; *text* tells the operator what was done, *sessions* how many felt it."""

    account: Account
    text: str
    sessions: int = 0
    changed: bool = True


@attrs.frozen
class AccountAdministration:
    """Each method says no with `Declined`, which leaves no trace; what is done is an act in the audit log, committed
    together with it (decisions 7.3), and live sessions feel it in the same reactor turn."""

    chat: Chat
    storage: IStorage

    async def create(self, actor: Actor, nickname: str, secret: str, role: str | None) -> Change:
        """Make an account, also of a reserved name, with the rights of *role* and of the lists of the configuration
        that the name is in (decisions 2.3). *secret* stands for the password (wire 9)."""
        self._check_nickname(nickname)
        flags = self._flags_of(nickname) | (UserFlags.NONE if role is None else _flag(role))
        if await self.storage.account_named(nickname) is not None:
            raise _taken(nickname)
        hashed = await self._hashed(secret)
        roles = role_names(flags)
        act = self._act(actor, "create_user", nickname, None, roles)
        try:
            account: Account = await self.storage.create_account(
                NewAccount(nickname, hashed, flags, act.performed_at), None, act
            )
        except NameTaken:
            raise _taken(nickname) from None
        self.chat.bans.adopt(account)
        self._log(actor, "created account", account, roles)
        return Change(account, f"Created account {account.nickname}{f' ({roles})' if roles else ''}")

    async def grant(self, actor: Actor, name: str, role: str) -> Change:
        """Give an account the rights of *role*."""
        account, flag = await self.find(name), _flag(role)
        if account.user_flags & flag:
            return Change(account, f"{account.nickname} is {_article(role)} already", changed=False)
        changed = await self._set_flags(actor, "grant", account, account.user_flags | flag, role)
        text = f"{changed.account.nickname} is {_article(role)} now"
        return attrs.evolve(changed, text=f"{text} ({_sessions(changed.sessions)})")

    async def revoke(self, actor: Actor, name: str, role: str) -> Change:
        """Take the rights of *role* from an account."""
        account, flag = await self.find(name), _flag(role)
        if not account.user_flags & flag:
            return Change(account, f"{account.nickname} is not {_article(role)}", changed=False)
        changed = await self._set_flags(actor, "revoke", account, account.user_flags & ~flag, role)
        text = f"{changed.account.nickname} is no longer {_article(role)}"
        return attrs.evolve(changed, text=f"{text} ({_sessions(changed.sessions)})")

    async def reset_password(self, actor: Actor, account_id: int, nickname: str, secret: str) -> Change:
        """Give an account another password, salted with its *nickname* of today, and end its sessions: whoever had
        the old one may be in them."""
        hashed = await self._hashed(secret)
        act = self._act(actor, "reset_password", nickname, account_id)
        try:
            account: Account = await self.storage.set_password(account_id, hashed, act, named=nickname)
        except UnknownAccount:
            raise _unknown(nickname) from None
        except Renamed:
            text = f"{nickname} goes by another name since a moment ago. Try again."
            raise Declined(ErrorCode.INVALID_INPUT, text) from None
        sessions = self.chat.sessions.of_account(account.id)
        for session in sessions:
            session.peer.disconnect(PASSWORD_RESET, "password")
        ended = f"{len(sessions)} sessions disconnected"
        self._log(actor, "reset password of", account, ended)
        return Change(account, f"Reset the password of {account.nickname} ({ended})", len(sessions))

    async def find(self, name: str) -> Account:
        """The account to which a name belongs."""
        account = await find_account(self.storage, name)
        if account is None:
            raise _unknown(name)
        return account

    def sessions_of(self, account: Account) -> int:
        """How many sessions are logged in to an account."""
        return len(self.chat.sessions.of_account(account.id))

    async def _set_flags(self, actor: Actor, action: str, account: Account, flags: int, role: str) -> Change:
        act = self._act(actor, action, account.nickname, account.id, role)
        try:
            changed: Account = await self.storage.set_flags(account.id, flags, act)
        except UnknownAccount:
            raise _unknown(account.nickname) from None
        self.chat.identity.changed(changed)
        self._log(actor, f"granted {role} to" if action == "grant" else f"revoked {role} from", changed)
        return Change(changed, "", self.sessions_of(changed))

    async def _hashed(self, secret: str) -> str:
        if not acceptable(secret):
            raise Declined(ErrorCode.INVALID_INPUT, "This is no hash of a password")
        hashed: str = await self.chat.passwords.hash(secret)
        return hashed

    def _check_nickname(self, nickname: str) -> None:
        longest = self.chat.config.limits.max_nickname_length
        if not is_nickname(nickname) or len(nickname) > longest:
            text = f"A nickname has {SHORTEST_NICKNAME} to {longest} characters: letters, digits, - and _"
            raise Declined(ErrorCode.INVALID_NICKNAME, text)

    def _flags_of(self, nickname: str) -> UserFlags:
        """The rights that go with a name by the configuration."""
        server, flags = self.chat.config.server, UserFlags.NONE
        for names, flag in (
            (server.admin_users, UserFlags.ADMIN),
            (server.moderator_users, UserFlags.MODERATOR),
        ):
            if name_key(nickname) in map(name_key, names):
                flags |= flag
        return flags

    def _act(self, actor: Actor, action: str, nickname: str, account_id: int | None, details: str = "") -> NewAct:
        return NewAct(
            actor=actor.name,
            actor_id=actor.account_id,
            address=actor.address,
            action=action,
            target_type="user",
            target_id=account_id,
            target=nickname,
            details=details,
            performed_at=self.chat.now_ms(),
        )

    def _log(self, actor: Actor, did: str, account: Account, details: str = "") -> None:
        more = f" ({details})" if details else ""
        self.chat.activity.info(
            "{actor} {did} {nickname}{more}", actor=actor.name, did=did, nickname=account.nickname, more=more
        )


def role_names(flags: int) -> str:
    """The roles that rights are, for people."""
    return ", ".join(name for name, flag in ROLES.items() if flags & flag)


def _flag(role: str) -> UserFlags:
    try:
        return ROLES[role]
    except KeyError:
        raise Declined(ErrorCode.INVALID_INPUT, f"A role is one of {', '.join(ROLES)}") from None


def _article(role: str) -> str:
    return f"an {role}" if role == "admin" else f"a {role}"


def _sessions(number: int) -> str:
    return "1 live session" if number == 1 else f"{number} live sessions"


def _taken(nickname: str) -> Declined:
    return Declined(ErrorCode.INVALID_NICKNAME, f"The name {nickname} belongs to an account already")


def _unknown(name: str) -> Declined:
    return Declined(ErrorCode.NOT_FOUND, f"There is no account {name}")
