"""Invites to direct conversations: asking for consent, giving it, refusing it."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import attrs
from twisted.logger import Logger

from superchat.chat.conversations import Conversations, encrypted, pair
from superchat.chat.membership import identity, speaks_for
from superchat.chat.parties import Parties, Party
from superchat.chat.session import Session
from superchat.chat.sessions import Sessions
from superchat.errors import Refused
from superchat.model import Account, Invite, NewInvite, Participant
from superchat.storage.errors import StorageError, TooManyInvites, UnknownAccount, UnknownInvite
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import AllowUnencrypted, DeclineDM, DMDeclined, DMPending, DMRequest, KeyRequired

LIFETIME_MS: Final = 7 * 24 * 3600 * 1000
"""How long an invite waits for its target (decisions 6.1)."""

MOST_LEFT_ALONE: Final = 100
"""Who was left alone in so many conversations is asked before there are more: else they could be piled up without
end by opening and leaving again."""

_IMPOSSIBLE, _REQUIRED, _OPTIONAL = 0, 1, 2
_ENCRYPTION_REQUIRED: Final = "This DM requires encryption. Set up an encryption key to accept it"


@attrs.frozen
class Invites:
    """ALLOW_UNENCRYPTED and DECLINE_DM, and what START_DM and PROVIDE_PUBLIC_KEY do about consent.

    Whatever happens between two people happens in their turn, so that of an acceptance and another, or a refusal,
    one counts.
    """

    storage: IStorage
    sessions: Sessions
    parties: Parties
    conversations: Conversations
    _log = Logger()

    async def ask(self, session: Session, initiator: Party, target: Party, *, insists: bool) -> None:
        """Open the conversation that *initiator* wants if nobody has to be asked, else wait for *target*'s consent.

        One who *insists* wants it encrypted or not at all. An invite that waits already is kept, with what the
        initiator says about that now (decisions 6.1). Call it in the turn of the two.
        """
        invite = await self._waiting(initiator.participant, target.participant)
        if self._agreed(initiator, target, insists=insists):
            await self._open(initiator, target, invite, session)
            return
        if invite is not None and invite.encrypted != insists:
            invite = await self._changed(invite, insists=insists)
        if initiator.gone or target.gone:
            return
        if invite is None:
            invite = await self._create(session, initiator, target, insists=insists)
        else:
            session.reply(_pending(invite))
        await self._agreed_meanwhile(session, initiator, target, invite, insists=insists)

    async def allow(self, session: Session, message: AllowUnencrypted) -> None:
        """wire 0x1B: nothing is downgraded (decisions 6.2); encrypted all the same when both have keys by now."""
        asked = await self._addressed(session, message.dm_channel_id)
        if asked is None:
            raise _unknown_invite()
        async with self.conversations.turns.of(pair(asked.initiator, asked.target)):
            invite = await self._addressed(session, asked.id)
            initiator = await self.parties.current(asked.initiator)
            target = await self.parties.current(asked.target)
            if invite is None or initiator is None or target is None:
                raise _unknown_invite()
            if invite.encrypted and not encrypted(initiator, target):
                session.refuse(ErrorCode.PERMISSION_DENIED, _ENCRYPTION_REQUIRED)
                session.reply(KeyRequired(reason=_ENCRYPTION_REQUIRED, dm_channel_id=invite.id))
                return
            if message.permanent and target.account is not None:
                await self._allow_for_good(target.account)
            if not await self._open(target, initiator, invite, session):
                raise _unknown_invite()

    async def decline(self, session: Session, message: DeclineDM) -> None:
        """wire 0x1E: silence to who declines, also about an unknown invite (reference 6.4)."""
        invite = await self._addressed(session, message.dm_channel_id)
        if invite is None:
            return
        target = invite.target
        # In the turn of the two, so that an initiator who asks again is not told to wait after this.
        async with self.conversations.turns.of(pair(invite.initiator, target)):
            with suppress(UnknownInvite):
                await self.storage.remove_invite(invite.id)
                declined = DMDeclined(dm_channel_id=invite.id, user_id=target.account_id, nickname=target.nickname)
                self.parties.tell(invite.initiator, declined)

    async def key_provided(self, session: Session, whose: Participant) -> None:
        """Open what waited for a key of *whose* only, made by it or for it; it hears first (reference 6.2)."""
        for waiting in await self.storage.invites(whose):
            async with self.conversations.turns.of(pair(waiting.initiator, waiting.target)):
                invite = await self._living(waiting.id)
                if invite is None:
                    continue
                made = identity(invite.initiator) == identity(whose)
                one = await self.parties.current(whose)
                other = await self.parties.current(invite.target if made else invite.initiator)
                if one is None or other is None or not encrypted(one, other):
                    continue
                if not made or self._agreed(one, other, insists=True):
                    await self._open(one, other, invite, session)

    async def logged_in(self, session: Session) -> None:
        """Tell *session* who waits for its account (decisions 6.1)."""
        account_id = session.account_id
        for invite in await self.storage.invites(self.parties.of(session).participant):
            if invite.target.account_id != account_id or self._expired(invite):
                continue
            initiator = await self.parties.current(invite.initiator)
            if session.account_id != account_id:
                return
            if initiator is not None:
                session.reply(_request(invite, initiator))

    async def session_ended(self, gone: Participant) -> None:
        """Forget what one without an account asked for, or was asked."""
        await self.storage.remove_invites(gone)

    async def expire(self) -> None:
        """Forget what waited for too long (decisions 6.1)."""
        await self.storage.expire_invites(self.conversations.now_ms() - LIFETIME_MS)

    async def _allow_for_good(self, account: Account) -> None:
        try:
            changed: Account = await self.storage.allow_unencrypted(account.id, True)
        except UnknownAccount:
            raise _unknown_invite() from None
        self.sessions.refresh(changed)

    async def _agreed_meanwhile(
        self, session: Session, initiator: Party, target: Party, invite: Invite | None, *, insists: bool
    ) -> None:
        """What the target allowed, or the key it provided, while the invite was on its way did not see the invite.

        The initiator has its answer, that it must wait; when nothing better comes of it, that stays true.
        """
        try:
            now = await self.parties.current(target.participant)
            if now is not None and self._agreed(initiator, now, insists=insists):
                await self._open(initiator, now, invite, session)
        except Refused:
            pass
        except StorageError as error:
            self._log.error("database error after an invite: {error}", error=error)

    def _agreed(self, initiator: Party, target: Party, *, insists: bool) -> bool:
        """Whether *target* need not be asked: both have keys (reference 6.1), or it allows everybody to talk to it
        without encryption (decisions 6.2)."""
        allowed = not insists and target.account is not None and target.account.allow_unencrypted
        if not allowed and not encrypted(initiator, target):
            return False
        return self.conversations.membership.left_alone(target.participant) < MOST_LEFT_ALONE

    async def _open(self, first: Party, second: Party, invite: Invite | None, asking: Session) -> bool:
        """Open a conversation under the names that its invite told to both; False when that is gone already."""
        if invite is not None:
            first, second = _as_invited(first, invite), _as_invited(second, invite)
        try:
            await self.conversations.open(first, second, None if invite is None else invite.id, asking)
        except UnknownInvite:
            return False
        except UnknownAccount:
            raise Refused(ErrorCode.NOT_FOUND, "User not found") from None
        return True

    async def _create(self, session: Session, initiator: Party, target: Party, *, insists: bool) -> Invite:
        new = NewInvite(initiator.participant, target.participant, insists, self.conversations.now_ms())
        try:
            invite: Invite = await self.storage.create_invite(new)
        except TooManyInvites:
            raise Refused(ErrorCode.RATE_LIMIT_EXCEEDED, "Too many pending DM invites") from None
        except UnknownAccount:
            raise Refused(ErrorCode.NOT_FOUND, "User not found") from None
        session.reply(_pending(invite))
        self.parties.tell(target.participant, _request(invite, initiator))
        return invite

    async def _changed(self, invite: Invite, *, insists: bool) -> Invite | None:
        """The invite as it is when its initiator has a different mind; None when it is gone meanwhile."""
        try:
            changed: Invite = await self.storage.insist(invite.id, insists)
        except UnknownInvite:
            return None
        return changed

    async def _waiting(self, initiator: Participant, target: Participant) -> Invite | None:
        """The invite of one to the other; one that has expired is gone by then."""
        invite: Invite | None = await self.storage.invite_between(initiator, target)
        if invite is None or not self._expired(invite):
            return invite
        with suppress(UnknownInvite):
            await self.storage.remove_invite(invite.id)
        return None

    async def _addressed(self, session: Session, invite_id: int) -> Invite | None:
        """An invite to *session*. Raises `Refused` 3000 when it is to somebody else (reference 6.3)."""
        invite = await self._living(invite_id)
        if invite is not None and not speaks_for(session, invite.target):
            raise Refused(ErrorCode.PERMISSION_DENIED, "Not authorized for this invite")
        return invite

    async def _living(self, invite_id: int) -> Invite | None:
        invite: Invite | None = await self.storage.invite(invite_id)
        return None if invite is None or self._expired(invite) else invite

    def _expired(self, invite: Invite) -> bool:
        return invite.created_at < self.conversations.now_ms() - LIFETIME_MS


def _unknown_invite() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, "DM invite not found")


def _as_invited(party: Party, invite: Invite) -> Party:
    """Clients know that an invite is settled by the nickname alone, byte for byte (reference 11.1)."""
    initiated = identity(party.participant) == identity(invite.initiator)
    return attrs.evolve(party, participant=invite.initiator if initiated else invite.target)


def _pending(invite: Invite) -> DMPending:
    target = invite.target
    return DMPending(
        dm_channel_id=invite.id,
        waiting_for_user_id=target.account_id,
        waiting_for_nickname=target.nickname,
        reason=f"Waiting for {target.nickname} to accept",
    )


def _request(invite: Invite, initiator: Party) -> DMRequest:
    status = _REQUIRED if invite.encrypted else _IMPOSSIBLE if initiator.public_key is None else _OPTIONAL
    return DMRequest(
        dm_channel_id=invite.id,
        from_user_id=invite.initiator.account_id,
        from_nickname=invite.initiator.nickname,
        encryption_status=status,
    )
