"""Moderation on SQLite."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred

from superchat.model import Act, Ban, NewAct, NewBan
from superchat.storage.engine import SQLiteEngine
from superchat.storage.moderation import reads, writes


class SQLiteModeration(SQLiteEngine):
    """``IModeration`` on an SQLite file."""

    def add_ban(self, new: NewBan, act: NewAct) -> Deferred[Ban]:
        return self._write(partial(writes.add_ban, new, act))

    def remove_user_bans(self, account_id: int | None, nickname: str | None, act: NewAct) -> Deferred[list[Ban]]:
        return self._write(partial(writes.remove_user_bans, account_id, nickname, act))

    def remove_ip_bans(self, ip_cidr: str, act: NewAct) -> Deferred[list[Ban]]:
        return self._write(partial(writes.remove_ip_bans, ip_cidr, act))

    def bans(self, now_ms: int, include_expired: bool, limit: int | None = None) -> Deferred[list[Ban]]:
        return self._read(partial(reads.bans, now_ms, include_expired, limit))

    def record(self, act: NewAct) -> Deferred[Act]:
        return self._write(partial(writes.record, act))

    def acts(self, limit: int, before_id: int | None = None) -> Deferred[list[Act]]:
        return self._read(partial(reads.acts, limit, before_id))
