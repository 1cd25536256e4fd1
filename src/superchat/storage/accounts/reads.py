"""What the reading methods about accounts ask of an SQLite connection."""

from __future__ import annotations

import sqlite3
from typing import Any

import attrs

from superchat.model import Account, SSHKey, name_key
from superchat.storage.accounts import queries
from superchat.storage.integers import key, nearest


def account(account_id: int, connection: sqlite3.Connection) -> Account | None:
    """See ``IAccounts.account``."""
    return _account_of(connection.execute(queries.ACCOUNT, (key(account_id),)).fetchone())


def account_named(name: str, connection: sqlite3.Connection) -> Account | None:
    """See ``IAccounts.account_named``."""
    try:
        row = connection.execute(queries.ACCOUNT_NAMED, (name_key(name),)).fetchone()
    except UnicodeEncodeError:
        # Clients may send bytes that are no UTF-8, which no statement takes; nobody is called that.
        return None
    return _account_of(row)


def accounts(limit: int, after: str, connection: sqlite3.Connection) -> list[Account]:
    """See ``IAccounts.accounts``."""
    rows = connection.execute(queries.ACCOUNTS, (name_key(after), max(nearest(limit), 0)))
    return [found for row in rows if (found := _account_of(row)) is not None]


def ssh_keys(account_id: int, connection: sqlite3.Connection) -> list[SSHKey]:
    """See ``IAccounts.ssh_keys``."""
    return [SSHKey(*row) for row in connection.execute(queries.SSH_KEYS, (key(account_id),))]


def ssh_key(fingerprint: str, connection: sqlite3.Connection) -> SSHKey | None:
    """See ``IAccounts.ssh_key``."""
    row = connection.execute(queries.SSH_KEY, (fingerprint,)).fetchone()
    return None if row is None else SSHKey(*row)


def _account_of(row: tuple[Any, ...] | None) -> Account | None:
    if row is None:
        return None
    account = Account(*row)
    return attrs.evolve(account, allow_unencrypted=bool(account.allow_unencrypted))
