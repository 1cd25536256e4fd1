"""Nicknames of anonymous users and of accounts, and who is who."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs
from twisted.logger import Logger

from superchat.chat.bans import Bans
from superchat.chat.nicknames import SHORTEST_NICKNAME, is_nickname
from superchat.chat.presence import Presence
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions
from superchat.errors import Declined, Refused
from superchat.model import Account, name_key
from superchat.storage.errors import NameTaken, StorageError, UnknownAccount
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    GetUserInfo,
    ListUsers,
    NicknameResponse,
    SetNickname,
    UserInfo,
    UserList,
    UserListEntry,
)

RESERVED: Final = "This nickname is reserved"
_DEFAULT_USERS: Final = 100
_MOST_USERS: Final = 500


@attrs.frozen
class Identity:
    """SET_NICKNAME, GET_USER_INFO and LIST_USERS; *reserved* are the `name_key` of names that nobody takes
    (decisions 2.3)."""

    storage: IStorage
    sessions: Sessions
    presence: Presence
    bans: Bans
    longest_nickname: int
    reserved: frozenset[str]
    activity: Logger
    _log = Logger()

    async def set_nickname(self, session: Session, message: SetNickname) -> None:
        """wire 0x02: any refusal is NICKNAME_RESPONSE success=false, never an ERROR (decisions 2.1)."""
        self._check(message.nickname, session.account)
        if session.account is None:
            await self._call(session, message.nickname)
        else:
            await self._rename(session, session.account, message.nickname)

    def changed(self, account: Account, first: Session | None = None) -> None:
        """Let all sessions of an account be what it is now, and tell everybody; *first* hears of itself first."""
        sessions = self.sessions.refresh(account)
        for session in sorted(sessions, key=lambda session: session is not first):
            self._announce(session)

    async def get_user_info(self, session: Session, message: GetUserInfo) -> None:
        """wire 0x0F: online means that some session has exactly that nickname."""
        owner = await find_account(self.storage, message.nickname)
        online = bool(self.sessions.named(message.nickname))
        session.reply(_user_info(message.nickname, owner, online=online))

    async def list_users(self, session: Session, message: ListUsers) -> None:
        """wire 0x16: who is here, or for admins on request all who have accounts."""
        limit = min(message.limit or _DEFAULT_USERS, _MOST_USERS)
        if not message.include_offline:
            session.reply(UserList(users=tuple(_present(self.sessions.newest_first(), limit))))
            return
        if not session.is_admin:
            raise Refused(ErrorCode.PERMISSION_DENIED, "Admin permission required for include_offline")
        accounts: list[Account] = await self.storage.accounts(limit)
        session.reply(UserList(users=tuple(map(self._account_entry, accounts))))

    async def _call(self, session: Session, nickname: str) -> None:
        """Let an anonymous session go by a name, be it somebody's: its owner may log in then (decisions 2.2)."""
        previous = session.nickname
        self.sessions.rename(session, nickname)
        self._confirm(session, previous, nickname)
        self._announce(session)
        try:
            owner = await find_account(self.storage, nickname)
        except StorageError as error:
            # It has its name; nobody but the owner of an account will miss what cannot be told now.
            self._log.error("database error in set nickname: {error}", error=error)
            return
        if owner is not None:
            session.reply(_user_info(nickname, owner, online=True))

    async def _rename(self, session: Session, account: Account, nickname: str) -> None:
        """Let an account go by a name, in all of its sessions."""
        if nickname == account.nickname:
            self._confirm(session, nickname, nickname)
            self._announce(session)
            return
        try:
            renamed: Account = await self.storage.rename_account(account.id, nickname)
        except NameTaken:
            raise Declined(ErrorCode.INVALID_NICKNAME, "Nickname already in use") from None
        except UnknownAccount:
            raise Declined(ErrorCode.NOT_FOUND, "User not found") from None
        self.bans.adopt(renamed)
        self.sessions.refresh(renamed)
        self._confirm(session, account.nickname, nickname, _login_name(renamed))
        self.changed(renamed, session)
        self._end_if_banned(renamed)

    def _confirm(self, session: Session, previous: str | None, nickname: str, more: str = "") -> None:
        self.activity.info("Session {id} set nickname: {nickname}", id=session.id, nickname=nickname)
        changed = previous is not None and previous != nickname
        text = f"Nickname {'changed' if changed else 'set'} to {nickname}{more}"
        session.reply(NicknameResponse(success=True, message=text))

    def _announce(self, session: Session) -> None:
        self.presence.online(session)
        if session.joined is not None:
            self.presence.joined(session, session.joined)

    def _end_if_banned(self, account: Account) -> None:
        """A ban of the new name may have come while it was written down; bans act at once (decisions 7.1)."""
        refusal = self.bans.login_refusal(account)
        if refusal is not None:
            for session in self.sessions.of_account(account.id):
                session.peer.disconnect(refusal, "banned")

    def _check(self, nickname: str, account: Account | None) -> None:
        longest = self.longest_nickname
        if not is_nickname(nickname) or len(nickname) > longest:
            text = f"Invalid nickname. Must be {SHORTEST_NICKNAME}-{longest} characters, alphanumeric plus - and _"
            raise Declined(ErrorCode.INVALID_NICKNAME, text)
        if account is not None and name_key(nickname) in _names(account):
            return
        if name_key(nickname) in self.reserved:
            raise Declined(ErrorCode.INVALID_NICKNAME, RESERVED)
        refusal = self.bans.nickname_refusal(nickname)
        if refusal is not None:
            raise Declined(ErrorCode.PERMISSION_DENIED, refusal)

    def _account_entry(self, account: Account) -> UserListEntry:
        online = bool(self.sessions.of_account(account.id))
        return UserListEntry(nickname=account.nickname, is_registered=True, user_id=account.id, online=online)


def not_named(message: SetNickname | None, text: str) -> NicknameResponse:
    """How SET_NICKNAME is declined."""
    return NicknameResponse(success=False, message=text)


async def find_account(storage: IStorage, name: str) -> Account | None:
    """The account to which a name belongs, ignoring case: its nickname, or what it logs in with (decisions 2.5)."""
    if not is_nickname(name):
        return None
    account: Account | None = await storage.account_named(name)
    return account


def _names(account: Account) -> frozenset[str]:
    """The names that belong to an account."""
    return frozenset({name_key(account.nickname), name_key(account.password_name or account.nickname)})


def _login_name(account: Account) -> str:
    """What a renamed account's owner has to know: the password goes with the name it was made for (decisions 2.5)."""
    name = account.password_name
    if name is None or name == account.nickname:
        return ""
    return f". Your login name remains {name}, reserved for you until you change your password"


def _user_info(nickname: str, owner: Account | None, *, online: bool) -> UserInfo:
    user_id = None if owner is None else owner.id
    return UserInfo(nickname=nickname, is_registered=owner is not None, user_id=user_id, online=online)


def _present(sessions: Iterable[Session], limit: int) -> Iterator[UserListEntry]:
    """One entry per nickname and account, no empty names (decisions 5.2)."""
    seen: set[tuple[str, int | None]] = set()
    for session in sessions:
        who = session.nickname, session.account_id
        if session.nickname is None or who in seen:
            continue
        if len(seen) == limit:
            return
        seen.add((session.nickname, session.account_id))
        yield UserListEntry(
            nickname=session.nickname,
            is_registered=session.account is not None,
            user_id=session.account_id,
            online=True,
        )
