"""What the reading methods about direct conversations ask of an SQLite connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from superchat.model import Invite, Participant
from superchat.storage.direct import queries
from superchat.storage.direct.values import party
from superchat.storage.integers import key


def participants(connection: sqlite3.Connection) -> list[tuple[int, Participant]]:
    """See ``IDirect.participants``."""
    return members(connection.execute(queries.ALL_PARTICIPANTS))


def members(rows: Iterable[Any]) -> list[tuple[int, Participant]]:
    """Participants by channel id, from their rows."""
    return [(channel_id, Participant(*values)) for channel_id, *values in rows]


def invite(invite_id: int, connection: sqlite3.Connection) -> Invite | None:
    """See ``IDirect.invite``."""
    found = _invites(connection.execute(queries.INVITE, (key(invite_id),)))
    return found[0] if found else None


def invites(participant: Participant, connection: sqlite3.Connection) -> list[Invite]:
    """See ``IDirect.invites``."""
    return _invites(connection.execute(queries.INVITES, (*party(participant), *party(participant))))


def invite_between(initiator: Participant, target: Participant, connection: sqlite3.Connection) -> Invite | None:
    """See ``IDirect.invite_between``."""
    found = _invites(connection.execute(queries.INVITE_BETWEEN, (*party(initiator), *party(target))))
    return found[0] if found else None


def invites_before(before_ms: int, connection: sqlite3.Connection) -> list[Invite]:
    """All invites made before a time, oldest first."""
    return _invites(connection.execute(queries.OLD_INVITES, (before_ms,)))


def _invites(rows: Iterable[Any]) -> list[Invite]:
    return [
        Invite(invite_id, Participant(*sides[:3]), Participant(*sides[3:]), bool(encrypted), created_at)
        for invite_id, *sides, encrypted, created_at in rows
    ]
