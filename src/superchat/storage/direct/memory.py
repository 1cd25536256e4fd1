"""Direct conversations in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs
from twisted.internet.defer import Deferred

from superchat.model import Account, Channel, Invite, NewInvite, Participant
from superchat.storage.direct.values import MOST_INVITES, Party, direct_channel, farewell, party
from superchat.storage.engine import MemoryEngine
from superchat.storage.errors import InvitePending, TooManyInvites, UnknownAccount, UnknownInvite


class MemoryDirect(MemoryEngine):
    """``IDirect`` in dictionaries."""

    _accounts: dict[int, Account]  # other parts of the engine have these
    _channels: dict[int, Channel]

    def __init__(self) -> None:
        super().__init__()
        self._participants: dict[int, list[Participant]] = {}
        self._invites: dict[int, Invite] = {}
        self._last_invite_id = 0

    def open_direct(
        self, participants: Sequence[Participant], created_at: int, invite_id: int | None = None
    ) -> Deferred[Channel]:
        return self._answer(lambda: self._open_direct(participants, created_at, invite_id))

    def participants(self) -> Deferred[list[tuple[int, Participant]]]:
        return self._answer(lambda: [*self._all_participants()])

    def leave_direct(self, channel_id: int, participant: Participant, left_at: int) -> Deferred[bool]:
        def leave() -> bool:
            if self._take_out(channel_id, lambda each: party(each) == party(participant)):
                self._append(farewell(channel_id, participant, left_at))
            return channel_id in self._participants

        return self._answer(leave)

    def create_invite(self, new: NewInvite, most: int = MOST_INVITES) -> Deferred[Invite]:
        return self._answer(lambda: self._create_invite(new, most))

    def insist(self, invite_id: int, encrypted: bool) -> Deferred[Invite]:
        def write() -> Invite:
            self._invites[invite_id] = attrs.evolve(self._existing_invite(invite_id), encrypted=encrypted)
            return self._invites[invite_id]

        return self._answer(write)

    def invite(self, invite_id: int) -> Deferred[Invite | None]:
        return self._answer(lambda: self._invites.get(invite_id))

    def invites(self, participant: Participant) -> Deferred[list[Invite]]:
        return self._answer(lambda: self._invites_of(participant))

    def invite_between(self, initiator: Participant, target: Participant) -> Deferred[Invite | None]:
        return self._answer(lambda: self._invite_between(initiator, target))

    def remove_invite(self, invite_id: int) -> Deferred[Invite]:
        def remove() -> Invite:
            self._existing_invite(invite_id)
            return self._invites.pop(invite_id)

        return self._answer(remove)

    def remove_invites(self, participant: Participant) -> Deferred[list[Invite]]:
        return self._answer(lambda: self._forget_invites(self._invites_of(participant)))

    def expire_invites(self, before_ms: int) -> Deferred[list[Invite]]:
        def expire() -> list[Invite]:
            expired = [invite for invite in self._invites.values() if invite.created_at < before_ms]
            return self._forget_invites(sorted(expired, key=lambda invite: (invite.created_at, invite.id)))

        return self._answer(expire)

    def forget_sessions(self, left_at: int) -> Deferred[None]:
        return self._answer(lambda: self._forget_sessions(left_at))

    def _end_participations(self, account: Account, ended_at: int) -> None:
        """Let an account that is being deleted leave all its conversations, and forget its invites."""
        gone = Participant(account.id, None, account.nickname)
        for channel_id in [*self._participants]:
            if self._take_out(channel_id, lambda each: each.account_id == account.id):
                self._append(farewell(channel_id, gone, ended_at))
        self._forget_invites(self._invites_of(gone))

    def _all_participants(self) -> Iterable[tuple[int, Participant]]:
        for channel_id, participants in sorted(self._participants.items()):
            for participant in participants:
                yield channel_id, participant

    def _open_direct(self, participants: Sequence[Participant], created_at: int, invite_id: int | None) -> Channel:
        if invite_id is not None:
            self._existing_invite(invite_id)
        self._check_participants(participants)
        channel = direct_channel(self._next_channel_id(), participants, created_at)
        self._channels[channel.id] = channel
        self._participants[channel.id] = [*participants]
        parties = {party(each) for each in participants}
        self._forget_invites(
            invite
            for invite in [*self._invites.values()]
            if invite.id == invite_id or {party(invite.initiator), party(invite.target)} <= parties
        )
        return channel

    def _take_out(self, channel_id: int, leaves: Callable[[Participant], bool]) -> bool:
        """Whether some left and some stayed; without anybody left, the channel is gone."""
        before = self._participants.get(channel_id, [])
        remaining = [each for each in before if not leaves(each)]
        if before and not remaining:
            del self._participants[channel_id]
            self._remove_channel(channel_id)
        elif before:
            self._participants[channel_id] = remaining
        return 0 < len(remaining) < len(before)

    def _forget_sessions(self, left_at: int) -> None:
        gone = [(channel_id, each) for channel_id, each in self._all_participants() if each.account_id is None]
        for channel_id, _ in gone:
            self._take_out(channel_id, lambda each: each.account_id is None)
        for channel_id, participant in gone:
            if channel_id in self._participants:
                self._append(farewell(channel_id, participant, left_at))
        self._forget_invites(
            invite
            for invite in [*self._invites.values()]
            if None in (invite.initiator.account_id, invite.target.account_id)
        )

    def _create_invite(self, new: NewInvite, most: int) -> Invite:
        self._check_participants((new.initiator, new.target))
        if self._invite_between(new.initiator, new.target) is not None:
            raise InvitePending("the initiator waits for this target already")
        initiators = [party(invite.initiator) for invite in self._invites.values()]
        targets = [party(invite.target) for invite in self._invites.values()]
        pending = max(initiators.count(party(new.initiator)), targets.count(party(new.target)))
        if pending >= most:
            raise TooManyInvites(f"{pending} invites are pending already")
        self._last_invite_id += 1
        invite = Invite(id=self._last_invite_id, **attrs.asdict(new, recurse=False))
        self._invites[invite.id] = invite
        return invite

    def _existing_invite(self, invite_id: int) -> Invite:
        if invite_id not in self._invites:
            raise UnknownInvite(f"there is no invite {invite_id}")
        return self._invites[invite_id]

    def _invite_between(self, initiator: Participant, target: Participant) -> Invite | None:
        wanted: tuple[Party, Party] = party(initiator), party(target)
        for invite in self._invites.values():
            if (party(invite.initiator), party(invite.target)) == wanted:
                return invite
        return None

    def _invites_of(self, participant: Participant) -> list[Invite]:
        wanted = party(participant)
        return [
            invite for invite in self._invites.values() if wanted in (party(invite.initiator), party(invite.target))
        ]

    def _forget_invites(self, invites: Iterable[Invite]) -> list[Invite]:
        return [self._invites.pop(invite.id) for invite in invites]

    def _check_participants(self, participants: Iterable[Participant]) -> None:
        for each in participants:
            if each.account_id is not None and each.account_id not in self._accounts:
                raise UnknownAccount(f"there is no account {each.account_id}")
