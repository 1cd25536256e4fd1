"""Bans and the audit log in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import attrs
from twisted.internet.defer import Deferred

from superchat.model import Account, Act, Ban, NewAct, NewBan, name_key
from superchat.storage.engine import MemoryEngine
from superchat.storage.errors import UnknownAccount
from superchat.storage.integers import nearest
from superchat.storage.moderation.values import storable_act, storable_ban


class MemoryModeration(MemoryEngine):
    """``IModeration`` in a dictionary and a list."""

    _accounts: dict[int, Account]  # the other part of the engine's

    def __init__(self) -> None:
        super().__init__()
        self._acts: list[Act] = []
        self._bans: dict[int, Ban] = {}
        self._last_ban_id = 0

    def add_ban(self, new: NewBan, act: NewAct) -> Deferred[Ban]:
        return self._answer(lambda: self._add_ban(new, act))

    def remove_user_bans(self, account_id: int | None, nickname: str | None, act: NewAct) -> Deferred[list[Ban]]:
        def remove() -> list[Ban]:
            accounts = {account_id, self._account_named(nickname)} - {None}
            return self._lift(
                lambda ban: ban.account_id in accounts or (nickname is not None and _is_of(ban, nickname)), act
            )

        return self._answer(remove)

    def remove_ip_bans(self, ip_cidr: str, act: NewAct) -> Deferred[list[Ban]]:
        return self._answer(lambda: self._lift(lambda ban: ban.ip_cidr == ip_cidr, act))

    def bans(self, now_ms: int, include_expired: bool, limit: int | None = None) -> Deferred[list[Ban]]:
        def read() -> list[Ban]:
            wanted = (
                ban
                for ban in reversed(self._bans.values())
                if include_expired or ban.banned_until is None or ban.banned_until > now_ms
            )
            return [*islice(wanted, None if limit is None else max(nearest(limit), 0))]

        return self._answer(read)

    def record(self, act: NewAct) -> Deferred[Act]:
        return self._answer(lambda: self._record(act))

    def acts(self, limit: int, before_id: int | None = None) -> Deferred[list[Act]]:
        def read() -> list[Act]:
            older = (act for act in reversed(self._acts) if before_id is None or act.id < before_id)
            return [*islice(older, max(nearest(limit), 0))]

        return self._answer(read)

    def _record(self, act: NewAct) -> Act:
        recorded = Act(**attrs.asdict(storable_act(act)), id=len(self._acts) + 1)
        self._acts.append(recorded)
        return recorded

    def _attach_bans(self, nickname: str, account_id: int) -> None:
        """Make the bans of a nickname that was nobody's bans of the account that has taken it."""
        for ban in self._bans.values():
            if ban.account_id is None and _is_of(ban, nickname):
                self._bans[ban.id] = attrs.evolve(ban, account_id=account_id)

    def _add_ban(self, new: NewBan, act: NewAct) -> Ban:
        account_id = new.account_id
        if account_id is None:
            account_id = self._account_named(new.nickname)
        elif account_id not in self._accounts:
            raise UnknownAccount(f"there is no account {account_id}")
        self._last_ban_id += 1
        ban = Ban(**attrs.asdict(storable_ban(new, account_id)), id=self._last_ban_id)
        self._bans[ban.id] = ban
        self._record(attrs.evolve(act, target_id=ban.id))
        return ban

    def _lift(self, matches: Callable[[Ban], bool], act: NewAct) -> list[Ban]:
        lifted = [ban for ban in reversed(self._bans.values()) if matches(ban)]
        for ban in lifted:
            del self._bans[ban.id]
        if lifted:
            self._record(act)
        return lifted

    def _account_named(self, name: str | None) -> int | None:
        """The account to which a name belongs: its nickname, or the one that its password is salted with."""
        if name is None:
            return None
        wanted = name_key(name)
        for account in self._accounts.values():
            names = {account.nickname, account.password_name or account.nickname}
            if wanted in map(name_key, names):
                return account.id
        return None


def _is_of(ban: Ban, nickname: str) -> bool:
    return ban.nickname is not None and name_key(ban.nickname) == name_key(nickname)
