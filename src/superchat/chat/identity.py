"""Nicknames of anonymous users, and who is who."""

from __future__ import annotations

import re
from typing import Final

import attrs
from twisted.logger import Logger

from superchat.chat.presence import Presence
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions
from superchat.errors import Refused
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

SHORTEST_NICKNAME: Final = 3
_DEFAULT_USERS: Final = 100
_MOST_USERS: Final = 500
_ALPHABET: Final = re.compile(r"[a-zA-Z0-9_-]+")


@attrs.frozen
class Identity:
    """SET_NICKNAME, GET_USER_INFO and LIST_USERS; *reserved* names belong to administrators (decisions 2.3)."""

    sessions: Sessions
    presence: Presence
    longest_nickname: int
    reserved: frozenset[str]
    activity: Logger

    def set_nickname(self, session: Session, message: SetNickname) -> None:
        """wire 0x02: any free-form refusal is NICKNAME_RESPONSE success=false, never an ERROR (decisions 2.1)."""
        nickname, previous = message.nickname, session.nickname
        problem = self._problem(nickname)
        if problem is not None:
            session.reply(NicknameResponse(success=False, message=problem))
            return
        self.sessions.rename(session, nickname)
        self.activity.info("Session {id} set nickname: {nickname}", id=session.id, nickname=nickname)
        changed = previous is not None and previous != nickname
        text = f"Nickname {'changed' if changed else 'set'} to {nickname}"
        session.reply(NicknameResponse(success=True, message=text))
        self.presence.online(session)
        if session.joined is not None:
            self.presence.joined(session, session.joined)

    def get_user_info(self, session: Session, message: GetUserInfo) -> None:
        """wire 0x0F: online means that some session has exactly that nickname."""
        online = bool(self.sessions.named(message.nickname))
        session.reply(UserInfo(nickname=message.nickname, is_registered=False, user_id=None, online=online))

    def list_users(self, session: Session, message: ListUsers) -> None:
        """wire 0x16: one entry per nickname, newest session first, no empty names (decisions 5.2)."""
        if message.include_offline:
            raise Refused(ErrorCode.PERMISSION_DENIED, "Admin permission required for include_offline")
        limit = min(message.limit or _DEFAULT_USERS, _MOST_USERS)
        names: dict[str, None] = {}
        for other in self.sessions.newest_first():
            if other.nickname is not None:
                names[other.nickname] = None
                if len(names) == limit:
                    break
        session.reply(UserList(users=tuple(_online(name) for name in names)))

    def _problem(self, nickname: str) -> str | None:
        longest = self.longest_nickname
        if not SHORTEST_NICKNAME <= len(nickname) <= longest or not _ALPHABET.fullmatch(nickname):
            return f"Invalid nickname. Must be {SHORTEST_NICKNAME}-{longest} characters, alphanumeric plus - and _"
        if nickname.lower() in self.reserved:
            return "This nickname is reserved"
        return None


def _online(nickname: str) -> UserListEntry:
    return UserListEntry(nickname=nickname, is_registered=False, user_id=None, online=True)
