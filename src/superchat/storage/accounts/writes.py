"""What the writing methods about accounts do to an SQLite connection; the transaction is the caller's.

Each looks first whether it has to refuse, and writes only then: others share the transaction.
"""

from __future__ import annotations

import sqlite3

import attrs

from superchat.model import Account, NewAccount, NewAct, NewSSHKey, SSHKey, name_key
from superchat.storage.accounts import queries, reads
from superchat.storage.direct import writes as direct
from superchat.storage.errors import KeyTaken, LastKey, NameTaken, Renamed, UnknownAccount, UnknownKey
from superchat.storage.integers import key, nearest
from superchat.storage.moderation import writes as moderation


def create_account(
    new: NewAccount, ssh_key: NewSSHKey | None, act: NewAct | None, connection: sqlite3.Connection
) -> Account:
    """See ``IAccounts.create_account``."""
    _must_be_free(new.nickname, None, connection)
    if ssh_key is not None:
        _must_be_new(ssh_key, connection)
    born = nearest(new.created_at)
    password_name = new.nickname if new.password_hash else None
    row = (new.nickname, new.user_flags, new.password_hash, password_name, born, born)
    account_id = connection.execute(queries.INSERT_ACCOUNT, row).lastrowid
    assert account_id is not None
    connection.execute(queries.INSERT_NAME, (name_key(new.nickname), account_id, True))
    if ssh_key is not None:
        _insert_key(account_id, ssh_key, born, connection)
    moderation.attach_bans(new.nickname, account_id, connection)
    _record(act and attrs.evolve(act, target_id=account_id), connection)
    return _existing(account_id, connection)


def rename_account(account_id: int, nickname: str, connection: sqlite3.Connection) -> Account:
    """See ``IAccounts.rename_account``."""
    account = _existing(account_id, connection)
    _must_be_free(nickname, account_id, connection)
    connection.execute(queries.RENAME, (nickname, account_id))
    _name(account_id, nickname, account.password_name, connection)
    moderation.attach_bans(nickname, account_id, connection)
    return _existing(account_id, connection)


def set_password(
    account_id: int, password_hash: str, act: NewAct | None, named: str | None, connection: sqlite3.Connection
) -> Account:
    """See ``IAccounts.set_password``."""
    account = _existing(account_id, connection)
    if named not in (None, account.nickname):
        raise Renamed(f"account {account_id} is not {named!r} any more")
    if not password_hash and not reads.ssh_keys(account_id, connection):
        raise LastKey(f"account {account_id} has no SSH key to log in with")
    password_name = account.nickname if password_hash else None
    connection.execute(queries.SET_PASSWORD, (password_hash, password_name, account_id))
    _name(account_id, account.nickname, password_name, connection)
    _record(act, connection)
    return _existing(account_id, connection)


def set_flags(account_id: int, user_flags: int, act: NewAct | None, connection: sqlite3.Connection) -> Account:
    """See ``IAccounts.set_flags``."""
    _existing(account_id, connection)
    connection.execute(queries.SET_FLAGS, (user_flags, account_id))
    _record(act, connection)
    return _existing(account_id, connection)


def set_encryption_key(account_id: int, public_key: bytes | None, connection: sqlite3.Connection) -> Account:
    """See ``IAccounts.set_encryption_key``."""
    return _update(queries.SET_ENCRYPTION_KEY, public_key, account_id, connection)


def allow_unencrypted(account_id: int, allowed: bool, connection: sqlite3.Connection) -> Account:
    """See ``IAccounts.allow_unencrypted``."""
    return _update(queries.ALLOW_UNENCRYPTED, allowed, account_id, connection)


def seen(account_id: int, now_ms: int, connection: sqlite3.Connection) -> Account:
    """See ``IAccounts.seen``."""
    return _update(queries.SEEN, nearest(now_ms), account_id, connection)


def delete_account(
    append: direct.Append, account_id: int, deleted_at: int, act: NewAct | None, connection: sqlite3.Connection
) -> Account:
    """See ``IAccounts.delete_account``."""
    account = _existing(account_id, connection)
    moment = nearest(deleted_at)
    direct.end_participations(append, account, moment, connection)
    for statement in (queries.REMOVE_READ_STATE, queries.REMOVE_KEYS, queries.REMOVE_NAMES):
        connection.execute(statement, (account_id,))
    connection.execute(queries.CLEAR_ACCOUNT, (moment, account_id))
    _record(act, connection)
    return account


def add_ssh_key(account_id: int, new: NewSSHKey, added_at: int, connection: sqlite3.Connection) -> SSHKey:
    """See ``IAccounts.add_ssh_key``."""
    _existing(account_id, connection)
    _must_be_new(new, connection)
    return _insert_key(account_id, new, nearest(added_at), connection)


def use_ssh_key(key_id: int, now_ms: int, connection: sqlite3.Connection) -> None:
    """See ``IAccounts.use_ssh_key``."""
    connection.execute(queries.USE_SSH_KEY, (nearest(now_ms), key(key_id)))


def rename_ssh_key(account_id: int, key_id: int, label: str, connection: sqlite3.Connection) -> None:
    """See ``IAccounts.rename_ssh_key``."""
    _must_have(account_id, key_id, connection)
    connection.execute(queries.RENAME_SSH_KEY, (label, key_id))


def delete_ssh_key(account_id: int, key_id: int, connection: sqlite3.Connection) -> None:
    """See ``IAccounts.delete_ssh_key``."""
    _must_have(account_id, key_id, connection)
    another = connection.execute(queries.ANOTHER_SSH_KEY, (account_id, key_id)).fetchone()
    if another is None and not _existing(account_id, connection).password_hash:
        raise LastKey(f"account {account_id} has no password to log in with")
    connection.execute(queries.REMOVE_SSH_KEY, (key_id,))


def _existing(account_id: int, connection: sqlite3.Connection) -> Account:
    account = reads.account(account_id, connection)
    if account is None:
        raise UnknownAccount(f"there is no account {account_id}")
    return account


def _update(statement: str, value: object, account_id: int, connection: sqlite3.Connection) -> Account:
    _existing(account_id, connection)
    connection.execute(statement, (value, account_id))
    return _existing(account_id, connection)


def _must_be_free(nickname: str, account_id: int | None, connection: sqlite3.Connection) -> None:
    """Raise NameTaken when a name belongs to another account than this one."""
    owner = connection.execute(queries.OWNER_OF_NAME, (name_key(nickname),)).fetchone()
    if owner is not None and owner[0] != account_id:
        raise NameTaken(f"the name {nickname!r} belongs to account {owner[0]}")


def _name(account_id: int, nickname: str, password_name: str | None, connection: sqlite3.Connection) -> None:
    """Let exactly these names belong to the account."""
    connection.execute(queries.REMOVE_NAMES, (account_id,))
    connection.execute(queries.INSERT_NAME, (name_key(nickname), account_id, True))
    if password_name is not None and name_key(password_name) != name_key(nickname):
        connection.execute(queries.INSERT_NAME, (name_key(password_name), account_id, False))


def _must_be_new(new: NewSSHKey, connection: sqlite3.Connection) -> None:
    if reads.ssh_key(new.fingerprint, connection) is not None:
        raise KeyTaken(f"the key {new.fingerprint} is somebody's already")


def _insert_key(account_id: int, new: NewSSHKey, added_at: int, connection: sqlite3.Connection) -> SSHKey:
    row = (account_id, new.fingerprint, new.public_key, new.key_type, new.label, added_at)
    key_id = connection.execute(queries.INSERT_SSH_KEY, row).lastrowid
    assert key_id is not None
    return SSHKey(key_id, *row, last_used_at=None)


def _must_have(account_id: int, key_id: int, connection: sqlite3.Connection) -> None:
    if connection.execute(queries.SSH_KEY_OF, (key(key_id), key(account_id))).fetchone() is None:
        raise UnknownKey(f"account {account_id} has no SSH key {key_id}")


def _record(act: NewAct | None, connection: sqlite3.Connection) -> None:
    if act is not None:
        moderation.record(act, connection)
