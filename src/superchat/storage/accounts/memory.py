"""Accounts in memory."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from superchat.model import Account, NewAccount, NewAct, NewSSHKey, SSHKey, name_key
from superchat.storage.engine import MemoryEngine
from superchat.storage.errors import KeyTaken, LastKey, NameTaken, Renamed, UnknownAccount, UnknownKey
from superchat.storage.integers import nearest


class MemoryAccounts(MemoryEngine):
    """``IAccounts`` in dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[int, Account] = {}
        self._former: dict[int, str] = {}  # last nicknames of deleted accounts by id
        self._ssh_keys: dict[int, SSHKey] = {}
        self._last_key_id = 0

    def create_account(
        self, new: NewAccount, key: NewSSHKey | None = None, act: NewAct | None = None
    ) -> Deferred[Account]:
        return self._answer(lambda: self._create_account(new, key, act))

    def account(self, account_id: int) -> Deferred[Account | None]:
        return self._answer(lambda: self._accounts.get(account_id))

    def account_named(self, name: str) -> Deferred[Account | None]:
        return self._answer(lambda: self._owner(name))

    def accounts(self, limit: int, after: str = "") -> Deferred[list[Account]]:
        def read() -> list[Account]:
            by_name = sorted(self._accounts.values(), key=lambda account: name_key(account.nickname))
            following = [account for account in by_name if name_key(account.nickname) > name_key(after)]
            return following[: max(limit, 0)]

        return self._answer(read)

    def rename_account(self, account_id: int, nickname: str) -> Deferred[Account]:
        def rename() -> Account:
            self._existing(account_id)
            self._must_be_free(nickname, account_id)
            self._attach_bans(nickname, account_id)
            return self._change(account_id, nickname=nickname)

        return self._answer(rename)

    def set_password(
        self, account_id: int, password_hash: str, act: NewAct | None = None, *, named: str | None = None
    ) -> Deferred[Account]:
        def change() -> Account:
            account = self._existing(account_id)
            if named not in (None, account.nickname):
                raise Renamed(f"account {account_id} is not {named!r} any more")
            if not password_hash and not self._keys_of(account_id):
                raise LastKey(f"account {account_id} has no SSH key to log in with")
            self._record_if(act)
            password_name = account.nickname if password_hash else None
            return self._change(account_id, password_hash=password_hash, password_name=password_name)

        return self._answer(change)

    def set_flags(self, account_id: int, user_flags: int, act: NewAct | None = None) -> Deferred[Account]:
        def change() -> Account:
            changed = self._change(account_id, user_flags=user_flags)
            self._record_if(act)
            return changed

        return self._answer(change)

    def set_encryption_key(self, account_id: int, key: bytes | None) -> Deferred[Account]:
        return self._answer(lambda: self._change(account_id, encryption_public_key=key))

    def allow_unencrypted(self, account_id: int, allowed: bool) -> Deferred[Account]:
        return self._answer(lambda: self._change(account_id, allow_unencrypted=allowed))

    def seen(self, account_id: int, now_ms: int) -> Deferred[Account]:
        return self._answer(lambda: self._change(account_id, last_seen=nearest(now_ms)))

    def delete_account(self, account_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[Account]:
        def delete() -> Account:
            account = self._existing(account_id)
            for key in self._keys_of(account_id):
                del self._ssh_keys[key.id]
            self._end_participations(account, deleted_at)
            self._forget_positions(account_id)
            del self._accounts[account_id]
            self._former[account_id] = account.nickname
            self._record_if(act)
            return account

        return self._answer(delete)

    def add_ssh_key(self, account_id: int, new: NewSSHKey, added_at: int) -> Deferred[SSHKey]:
        def add() -> SSHKey:
            self._existing(account_id)
            self._must_be_new(new)
            return self._add_key(account_id, new, nearest(added_at))

        return self._answer(add)

    def ssh_keys(self, account_id: int) -> Deferred[list[SSHKey]]:
        return self._answer(lambda: self._keys_of(account_id))

    def ssh_key(self, fingerprint: str) -> Deferred[SSHKey | None]:
        return self._answer(lambda: self._key_with(fingerprint))

    def use_ssh_key(self, key_id: int, now_ms: int) -> Deferred[None]:
        def use() -> None:
            key = self._ssh_keys.get(key_id)
            if key is not None:
                self._ssh_keys[key_id] = attrs.evolve(key, last_used_at=nearest(now_ms))

        return self._answer(use)

    def rename_ssh_key(self, account_id: int, key_id: int, label: str) -> Deferred[None]:
        def rename() -> None:
            self._ssh_keys[key_id] = attrs.evolve(self._key_of(account_id, key_id), label=label)

        return self._answer(rename)

    def delete_ssh_key(self, account_id: int, key_id: int) -> Deferred[None]:
        def delete() -> None:
            self._key_of(account_id, key_id)
            if not self._existing(account_id).password_hash and len(self._keys_of(account_id)) == 1:
                raise LastKey(f"account {account_id} has no password to log in with")
            del self._ssh_keys[key_id]

        return self._answer(delete)

    def _create_account(self, new: NewAccount, key: NewSSHKey | None, act: NewAct | None) -> Account:
        self._must_be_free(new.nickname, None)
        if key is not None:
            self._must_be_new(key)
        account_id = len(self._accounts) + len(self._former) + 1
        born = nearest(new.created_at)
        password_name = new.nickname if new.password_hash else None
        account = Account(
            account_id, new.nickname, new.user_flags, new.password_hash, password_name, born, born, None, False
        )
        self._accounts[account_id] = account
        if key is not None:
            self._add_key(account_id, key, born)
        self._attach_bans(new.nickname, account_id)
        self._record_if(act and attrs.evolve(act, target_id=account_id))
        return account

    def _existing(self, account_id: int) -> Account:
        if account_id not in self._accounts:
            raise UnknownAccount(f"there is no account {account_id}")
        return self._accounts[account_id]

    def _change(self, account_id: int, **values: object) -> Account:
        changed = attrs.evolve(self._existing(account_id), **values)  # type: ignore[arg-type]
        self._accounts[account_id] = changed
        return changed

    def _owner(self, name: str) -> Account | None:
        wanted = name_key(name)
        for account in self._accounts.values():
            if wanted in (name_key(account.nickname), name_key(account.password_name or account.nickname)):
                return account
        return None

    def _must_be_free(self, nickname: str, account_id: int | None) -> None:
        """Raise NameTaken when a name belongs to another account than this one."""
        owner = self._owner(nickname)
        if owner is not None and owner.id != account_id:
            raise NameTaken(f"the name {nickname!r} belongs to account {owner.id}")

    def _key_with(self, fingerprint: str) -> SSHKey | None:
        return next((key for key in self._ssh_keys.values() if key.fingerprint == fingerprint), None)

    def _must_be_new(self, new: NewSSHKey) -> None:
        if self._key_with(new.fingerprint) is not None:
            raise KeyTaken(f"the key {new.fingerprint} is somebody's already")

    def _add_key(self, account_id: int, new: NewSSHKey, added_at: int) -> SSHKey:
        self._last_key_id += 1
        values = attrs.asdict(new)
        key = SSHKey(id=self._last_key_id, account_id=account_id, added_at=added_at, last_used_at=None, **values)
        self._ssh_keys[key.id] = key
        return key

    def _keys_of(self, account_id: int) -> list[SSHKey]:
        keys = [key for key in self._ssh_keys.values() if key.account_id == account_id]
        return sorted(keys, key=lambda key: (key.added_at, key.id), reverse=True)

    def _key_of(self, account_id: int, key_id: int) -> SSHKey:
        key = self._ssh_keys.get(key_id)
        if key is None or key.account_id != account_id:
            raise UnknownKey(f"account {account_id} has no SSH key {key_id}")
        return key

    def _record_if(self, act: NewAct | None) -> None:
        if act is not None:
            self._record(act)
