"""Who the two sides of a direct conversation are, and how each of them is reached."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import attrs

from superchat.chat.membership import speaks_for
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions
from superchat.errors import Refused
from superchat.model import Account, Participant
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import StartDM
from superchat.wire.records import Message

_BY_ACCOUNT, _BY_NICKNAME, _BY_SESSION = 0, 1, 2
_ANONYMOUS: Final = "~"


@attrs.frozen
class Party:
    """One side, as it is at this moment: an account, or a session without one."""

    participant: Participant  # under the nickname of today
    account: Account | None
    session: Session | None  # of a side without an account, its only one

    @property
    def public_key(self) -> bytes | None:
        """What others encrypt with, if there is anything: an account's stored key, or the session's own."""
        if self.account is not None:
            return self.account.encryption_public_key
        return None if self.session is None else self.session.public_key

    @property
    def gone(self) -> bool:
        """Whether it can take part in nothing any more."""
        return self.session is not None and self.session.closed


class Parties:
    """Finds sides, and remembers those without an account until their session ends."""

    def __init__(self, storage: IStorage, sessions: Sessions) -> None:
        self._storage = storage
        self._sessions = sessions
        self._guests: dict[int, Session] = {}

    def of(self, session: Session) -> Party:
        """The side that *session* speaks for: its account, or itself."""
        account = session.account
        if account is not None:
            return _registered(account)
        if not session.closed:
            self._guests[session.key] = session
        return _guest(session)

    async def wanted(self, session: Session, message: StartDM) -> Participant:
        """With whom *session* asks to talk. Raises `Refused`: 1000, 4000, or 6000 for itself (decisions 6.1)."""
        if message.target_type == _BY_ACCOUNT:
            found = await self._account(message.target_id or 0)
        elif message.target_type == _BY_NICKNAME:
            found = await self._called(session, message.target_nickname or "")
        elif message.target_type == _BY_SESSION:
            found = self._session(message.target_id or 0)
        else:
            raise Refused(ErrorCode.INVALID_FORMAT, "Invalid target type")
        if speaks_for(session, found.participant):
            raise Refused(ErrorCode.INVALID_INPUT, "Cannot start a DM with yourself")
        return found.participant

    async def current(self, participant: Participant) -> Party | None:
        """A side as it is now; None when it exists no more."""
        if participant.account_id is None:
            guest = self._guests.get(participant.session_key or 0)
            return None if guest is None else _guest(guest)
        account: Account | None = await self._storage.account(participant.account_id)
        return None if account is None else _registered(account)

    def sessions(self, participant: Participant) -> Collection[Session]:
        """All live sessions of a side."""
        if participant.account_id is not None:
            return self._sessions.of_account(participant.account_id)
        guest = self._guests.get(participant.session_key or 0)
        return () if guest is None else (guest,)

    def tell(self, participant: Participant, message: Message, first: Session | None = None) -> None:
        """Send *message* to all sessions of a side, to *first* before the others if it is one of them."""
        for session in sorted(self.sessions(participant), key=lambda session: session is not first):
            session.reply(message)

    def forget(self, session: Session) -> Participant | None:
        """Take note that *session* has ended; as whom it may have taken part in anything, without an account."""
        return None if self._guests.pop(session.key, None) is None else _guest(session).participant

    async def _account(self, account_id: int) -> Party:
        account: Account | None = await self._storage.account(account_id)
        if account is None:
            raise _unknown_user()
        return _registered(account)

    async def _called(self, session: Session, name: str) -> Party:
        """The account of that name goes first, ignoring case; but whoever is shown with a ``~`` has none."""
        bare = name.removeprefix(_ANONYMOUS)
        others = [other for other in self._sessions.named(bare) if other is not session]
        if bare != name:
            for other in others:
                if other.account is None:
                    return self.of(other)
        account: Account | None = await self._storage.account_named(bare)
        if account is not None:
            return _registered(account)
        living = [other for other in others if not other.closed]
        if living:
            return self.of(living[0])
        if session.nickname == bare:
            return self.of(session)
        raise _unknown_user()

    def _session(self, session_id: int) -> Party:
        session = self._sessions.find(session_id)
        if session is None:
            raise Refused(ErrorCode.NOT_FOUND, "Session not found")
        return self.of(session)


def _registered(account: Account) -> Party:
    return Party(Participant(account.id, None, account.nickname), account, None)


def _guest(session: Session) -> Party:
    return Party(Participant(None, session.key, session.nickname or ""), None, session)


def _unknown_user() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, "User not found")
