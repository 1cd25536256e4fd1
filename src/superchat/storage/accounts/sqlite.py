"""Accounts on SQLite."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred

from superchat.model import Account, NewAccount, NewAct, NewSSHKey, SSHKey
from superchat.storage.accounts import reads, writes
from superchat.storage.direct.writes import Append
from superchat.storage.engine import SQLiteEngine


class SQLiteAccounts(SQLiteEngine):
    """``IAccounts`` on an SQLite file."""

    _append: Append  # the part of the engine that is about messages has it

    def create_account(
        self, new: NewAccount, key: NewSSHKey | None = None, act: NewAct | None = None
    ) -> Deferred[Account]:
        return self._write(partial(writes.create_account, new, key, act))

    def account(self, account_id: int) -> Deferred[Account | None]:
        return self._read(partial(reads.account, account_id))

    def account_named(self, name: str) -> Deferred[Account | None]:
        return self._read(partial(reads.account_named, name))

    def accounts(self, limit: int, after: str = "") -> Deferred[list[Account]]:
        return self._read(partial(reads.accounts, limit, after))

    def rename_account(self, account_id: int, nickname: str) -> Deferred[Account]:
        return self._write(partial(writes.rename_account, account_id, nickname))

    def set_password(
        self, account_id: int, password_hash: str, act: NewAct | None = None, *, named: str | None = None
    ) -> Deferred[Account]:
        return self._write(partial(writes.set_password, account_id, password_hash, act, named))

    def set_flags(self, account_id: int, user_flags: int, act: NewAct | None = None) -> Deferred[Account]:
        return self._write(partial(writes.set_flags, account_id, user_flags, act))

    def set_encryption_key(self, account_id: int, key: bytes | None) -> Deferred[Account]:
        return self._write(partial(writes.set_encryption_key, account_id, key))

    def allow_unencrypted(self, account_id: int, allowed: bool) -> Deferred[Account]:
        return self._write(partial(writes.allow_unencrypted, account_id, allowed))

    def seen(self, account_id: int, now_ms: int) -> Deferred[Account]:
        return self._write(partial(writes.seen, account_id, now_ms))

    def delete_account(self, account_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[Account]:
        return self._write(partial(writes.delete_account, self._append, account_id, deleted_at, act))

    def add_ssh_key(self, account_id: int, new: NewSSHKey, added_at: int) -> Deferred[SSHKey]:
        return self._write(partial(writes.add_ssh_key, account_id, new, added_at))

    def ssh_keys(self, account_id: int) -> Deferred[list[SSHKey]]:
        return self._read(partial(reads.ssh_keys, account_id))

    def ssh_key(self, fingerprint: str) -> Deferred[SSHKey | None]:
        return self._read(partial(reads.ssh_key, fingerprint))

    def use_ssh_key(self, key_id: int, now_ms: int) -> Deferred[None]:
        return self._write(partial(writes.use_ssh_key, key_id, now_ms))

    def rename_ssh_key(self, account_id: int, key_id: int, label: str) -> Deferred[None]:
        return self._write(partial(writes.rename_ssh_key, account_id, key_id, label))

    def delete_ssh_key(self, account_id: int, key_id: int) -> Deferred[None]:
        return self._write(partial(writes.delete_ssh_key, account_id, key_id))
