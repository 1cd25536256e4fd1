"""What the reading methods about bans and the audit log ask of an SQLite connection."""

from __future__ import annotations

import sqlite3
from typing import Any

from superchat.ids import MAX_ID
from superchat.model import Act, Ban
from superchat.storage.integers import nearest
from superchat.storage.moderation import queries


def ban_of(row: tuple[Any, ...]) -> Ban:
    """The ban that a row of the database is."""
    ban_type, account_id, nickname, ip_cidr, reason, shadowban, *rest = row
    return Ban(ban_type, account_id, nickname, ip_cidr, reason, bool(shadowban), *rest)


def bans(now_ms: int, include_expired: bool, limit: int | None, connection: sqlite3.Connection) -> list[Ban]:
    """See ``IModeration.bans``."""
    most = MAX_ID if limit is None else max(nearest(limit), 0)
    if include_expired:
        rows = connection.execute(queries.ALL_BANS, (most,))
    else:
        rows = connection.execute(queries.BANS_IN_FORCE, (nearest(now_ms), most))
    return [ban_of(row) for row in rows]


def acts(limit: int, before_id: int | None, connection: sqlite3.Connection) -> list[Act]:
    """See ``IModeration.acts``."""
    before = MAX_ID if before_id is None else nearest(before_id)
    rows = connection.execute(queries.ACTS, (before, max(nearest(limit), 0)))
    return [Act(*row) for row in rows]
