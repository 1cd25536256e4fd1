"""What the writing methods about direct conversations do to an SQLite connection; the transaction is the caller's.

Whatever may refuse is asked before anything is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from typing import TypeAlias

import attrs

from superchat.model import Account, Channel, Invite, Message, NewInvite, NewMessage, Participant
from superchat.storage.direct import queries, reads
from superchat.storage.direct.values import direct_channel, farewell, party
from superchat.storage.errors import InvitePending, StorageError, TooManyInvites, UnknownAccount, UnknownInvite
from superchat.storage.integers import key, nearest

Append: TypeAlias = Callable[[Sequence[NewMessage], sqlite3.Connection], Sequence[Message | StorageError]]
"""``append_messages`` of the engine, which alone knows the next id."""


def open_direct(
    participants: Sequence[Participant], created_at: int, invite_id: int | None, connection: sqlite3.Connection
) -> Channel:
    """See ``IDirect.open_direct``."""
    if invite_id is not None:
        _existing(invite_id, connection)
    _check_accounts(participants, connection)
    draft = direct_channel(0, participants, nearest(created_at))
    values = (draft.display_name, draft.description, draft.channel_type, draft.retention_hours, draft.created_at)
    channel_id = connection.execute(queries.INSERT_CHANNEL, (draft.name, draft.name, *values)).lastrowid
    assert channel_id is not None
    for each in participants:
        row = (channel_id, *party(each), each.nickname, draft.created_at)
        connection.execute(queries.INSERT_PARTICIPANT, row)
    for initiator, target in permutations(participants, 2):
        connection.execute(queries.REMOVE_INVITES_BETWEEN, (*party(initiator), *party(target)))
    if invite_id is not None:
        connection.execute(queries.REMOVE_INVITE, (invite_id,))
    return attrs.evolve(draft, id=channel_id)


def leave_direct(
    append: Append, channel_id: int, participant: Participant, left_at: int, connection: sqlite3.Connection
) -> bool:
    """See ``IDirect.leave_direct``."""
    place = key(channel_id)
    left = connection.execute(queries.REMOVE_PARTICIPANT, (place, *party(participant))).rowcount
    if left:
        _note_or_close([(channel_id, participant)], append, nearest(left_at), connection)
    return connection.execute(queries.ANY_PARTICIPANT, (place,)).fetchone() is not None


def end_participations(append: Append, account: Account, ended_at: int, connection: sqlite3.Connection) -> None:
    """Let an account that is being deleted leave all its conversations, and forget its invites."""
    gone = Participant(account.id, None, account.nickname)
    channels = [channel_id for (channel_id,) in connection.execute(queries.PARTICIPATIONS, (account.id,))]
    connection.execute(queries.REMOVE_PARTICIPATIONS, (account.id,))
    _note_or_close([(channel_id, gone) for channel_id in channels], append, ended_at, connection)
    remove_invites(gone, connection)


def forget_sessions(append: Append, left_at: int, connection: sqlite3.Connection) -> None:
    """See ``IDirect.forget_sessions``."""
    gone = reads.members(connection.execute(queries.SESSIONS))
    connection.execute(queries.REMOVE_SESSIONS)
    connection.execute(queries.REMOVE_INVITES_BY_SESSIONS)
    connection.execute(queries.REMOVE_INVITES_TO_SESSIONS)
    _note_or_close(gone, append, nearest(left_at), connection)


def create_invite(new: NewInvite, most: int, connection: sqlite3.Connection) -> Invite:
    """See ``IDirect.create_invite``."""
    initiator, target = party(new.initiator), party(new.target)
    _check_accounts((new.initiator, new.target), connection)
    if reads.invite_between(new.initiator, new.target, connection) is not None:
        raise InvitePending("the initiator waits for this target already")
    for query, who in ((queries.COUNT_BY_INITIATOR, initiator), (queries.COUNT_BY_TARGET, target)):
        (pending,) = connection.execute(query, who).fetchone()
        if pending >= most:
            raise TooManyInvites(f"{pending} invites are pending already")
    row = (*initiator, new.initiator.nickname, *target, new.target.nickname, new.encrypted, nearest(new.created_at))
    invite_id = connection.execute(queries.INSERT_INVITE, row).lastrowid
    assert invite_id is not None
    return Invite(id=invite_id, **attrs.asdict(new, recurse=False))


def insist(invite_id: int, encrypted: bool, connection: sqlite3.Connection) -> Invite:
    """See ``IDirect.insist``."""
    known = _existing(invite_id, connection)
    connection.execute(queries.SET_ENCRYPTED, (encrypted, known.id))
    return attrs.evolve(known, encrypted=encrypted)


def remove_invite(invite_id: int, connection: sqlite3.Connection) -> Invite:
    """See ``IDirect.remove_invite``."""
    known = _existing(invite_id, connection)
    connection.execute(queries.REMOVE_INVITE, (known.id,))
    return known


def remove_invites(participant: Participant, connection: sqlite3.Connection) -> list[Invite]:
    """See ``IDirect.remove_invites``."""
    known = reads.invites(participant, connection)
    for invite in known:
        connection.execute(queries.REMOVE_INVITE, (invite.id,))
    return known


def expire_invites(before_ms: int, connection: sqlite3.Connection) -> list[Invite]:
    """See ``IDirect.expire_invites``."""
    expired = reads.invites_before(nearest(before_ms), connection)
    connection.execute(queries.REMOVE_OLD_INVITES, (nearest(before_ms),))
    return expired


def _existing(invite_id: int, connection: sqlite3.Connection) -> Invite:
    known = reads.invite(invite_id, connection)
    if known is None:
        raise UnknownInvite(f"there is no invite {invite_id}")
    return known


def _check_accounts(participants: Iterable[Participant], connection: sqlite3.Connection) -> None:
    for each in participants:
        if each.account_id is not None:
            found = connection.execute(queries.ACCOUNT_EXISTS, (key(each.account_id),)).fetchone()
            if found is None:
                raise UnknownAccount(f"there is no account {each.account_id}")


def _note_or_close(
    gone: Iterable[tuple[int, Participant]], append: Append, left_at: int, connection: sqlite3.Connection
) -> None:
    """Tell those who are left, by a message; where nobody is, delete the channel."""
    notes = []
    for channel_id, participant in gone:
        if connection.execute(queries.ANY_PARTICIPANT, (channel_id,)).fetchone() is None:
            connection.execute(queries.CLOSE_IF_EMPTY, (left_at, channel_id))
        else:
            notes.append(farewell(channel_id, participant, left_at))
    append(notes, connection)
