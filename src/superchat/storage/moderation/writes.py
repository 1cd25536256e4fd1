"""What the writing methods about bans and the audit log do to an SQLite connection; the transaction is the caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import attrs

from superchat.model import Act, Ban, NewAct, NewBan, name_key
from superchat.storage.errors import UnknownAccount
from superchat.storage.integers import key
from superchat.storage.moderation import queries
from superchat.storage.moderation.reads import ban_of
from superchat.storage.moderation.values import storable_act, storable_ban


def add_ban(new: NewBan, act: NewAct, connection: sqlite3.Connection) -> Ban:
    """See ``IModeration.add_ban``."""
    stored = storable_ban(new, _account_id(new, connection))
    row = (
        stored.ban_type,
        stored.account_id,
        stored.nickname,
        _key_of(stored.nickname),
        stored.ip_cidr,
        stored.reason,
        stored.shadowban,
        stored.banned_at,
        stored.banned_until,
        stored.banned_by,
    )
    ban_id = connection.execute(queries.INSERT_BAN, row).lastrowid
    assert ban_id is not None
    record(attrs.evolve(act, target_id=ban_id), connection)
    return Ban(**attrs.asdict(stored), id=ban_id)


def remove_user_bans(
    account_id: int | None, nickname: str | None, act: NewAct, connection: sqlite3.Connection
) -> list[Ban]:
    """See ``IModeration.remove_user_bans``."""
    wanted = {"account_id": key(account_id), "name_key": _key_of(nickname)}
    return _lift(connection.execute(queries.USER_BANS, wanted).fetchall(), act, connection)


def remove_ip_bans(ip_cidr: str, act: NewAct, connection: sqlite3.Connection) -> list[Ban]:
    """See ``IModeration.remove_ip_bans``."""
    return _lift(connection.execute(queries.IP_BANS, (ip_cidr,)).fetchall(), act, connection)


def attach_bans(nickname: str, account_id: int, connection: sqlite3.Connection) -> None:
    """Make the bans of a nickname that was nobody's bans of the account that has taken it."""
    connection.execute(queries.ATTACH_BANS, (account_id, name_key(nickname)))


def record(act: NewAct, connection: sqlite3.Connection) -> Act:
    """See ``IModeration.record``."""
    stored = storable_act(act)
    row_id = connection.execute(queries.INSERT_ACT, attrs.astuple(stored)).lastrowid
    assert row_id is not None
    return Act(**attrs.asdict(stored), id=row_id)


def _account_id(new: NewBan, connection: sqlite3.Connection) -> int | None:
    if new.account_id is not None:
        if connection.execute(queries.ACCOUNT_EXISTS, (key(new.account_id),)).fetchone() is None:
            raise UnknownAccount(f"there is no account {new.account_id}")
        return new.account_id
    found = connection.execute(queries.ACCOUNT_OF_NAME, (_key_of(new.nickname),)).fetchone()
    return None if found is None else int(found[0])


def _lift(rows: Iterable[tuple[Any, ...]], act: NewAct, connection: sqlite3.Connection) -> list[Ban]:
    bans = [ban_of(row) for row in rows]
    if bans:
        connection.executemany(queries.REMOVE_BAN, [(ban.id,) for ban in bans])
        record(act, connection)
    return bans


def _key_of(nickname: str | None) -> str | None:
    return None if nickname is None else name_key(nickname)
