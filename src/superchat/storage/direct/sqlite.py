"""Direct conversations on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twisted.internet.defer import Deferred

from superchat.model import Channel, Invite, NewInvite, Participant
from superchat.storage.direct import reads, writes
from superchat.storage.direct.values import MOST_INVITES
from superchat.storage.engine import SQLiteEngine


class SQLiteDirect(SQLiteEngine):
    """``IDirect`` on an SQLite file."""

    _append: writes.Append  # the part of the engine that is about messages has it

    def open_direct(
        self, participants: Sequence[Participant], created_at: int, invite_id: int | None = None
    ) -> Deferred[Channel]:
        return self._write(partial(writes.open_direct, tuple(participants), created_at, invite_id))

    def participants(self) -> Deferred[list[tuple[int, Participant]]]:
        return self._read(reads.participants)

    def leave_direct(self, channel_id: int, participant: Participant, left_at: int) -> Deferred[bool]:
        return self._write(partial(writes.leave_direct, self._append, channel_id, participant, left_at))

    def create_invite(self, new: NewInvite, most: int = MOST_INVITES) -> Deferred[Invite]:
        return self._write(partial(writes.create_invite, new, most))

    def insist(self, invite_id: int, encrypted: bool) -> Deferred[Invite]:
        return self._write(partial(writes.insist, invite_id, encrypted))

    def invite(self, invite_id: int) -> Deferred[Invite | None]:
        return self._read(partial(reads.invite, invite_id))

    def invites(self, participant: Participant) -> Deferred[list[Invite]]:
        return self._read(partial(reads.invites, participant))

    def invite_between(self, initiator: Participant, target: Participant) -> Deferred[Invite | None]:
        return self._read(partial(reads.invite_between, initiator, target))

    def remove_invite(self, invite_id: int) -> Deferred[Invite]:
        return self._write(partial(writes.remove_invite, invite_id))

    def remove_invites(self, participant: Participant) -> Deferred[list[Invite]]:
        return self._write(partial(writes.remove_invites, participant))

    def expire_invites(self, before_ms: int) -> Deferred[list[Invite]]:
        return self._write(partial(writes.expire_invites, before_ms))

    def forget_sessions(self, left_at: int) -> Deferred[None]:
        return self._write(partial(writes.forget_sessions, self._append, left_at))
