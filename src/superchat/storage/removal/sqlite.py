"""Removal on SQLite, in slices."""

from __future__ import annotations

import sqlite3
from functools import partial

from twisted.internet.defer import Deferred

from superchat.model import NewAct
from superchat.storage import vacuum
from superchat.storage.engine import SQLiteEngine
from superchat.storage.interface import Expired, Swept
from superchat.storage.removal import writes
from superchat.storage.removal.writes import Paces, Stretch


class SQLiteRemoval(SQLiteEngine):
    """``delete_channel``, ``expire`` and ``sweep`` of ``IStorage`` on an SQLite file.

    Slices share no transaction with others, so nobody's confirmation waits for one that was asked for later. The
    paces belong to the writer's thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self._paces = Paces()
        self._log_holds_back = False

    def delete_channel(self, channel_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[list[int]]:
        return self._write(partial(writes.delete_channel, channel_id, deleted_at, act))

    def expire(self, channel_id: int, before_ms: int, after_id: int = 0) -> Deferred[Expired]:
        return self._alone(partial(self._expire, Stretch(channel_id, before_ms, after_id)))

    def sweep(self) -> Deferred[Swept]:
        return self._alone(self._sweep)

    def _expire(self, stretch: Stretch, connection: sqlite3.Connection) -> Expired:
        connection.execute("BEGIN IMMEDIATE")
        expired = writes.expire(stretch, self._paces, connection)
        connection.execute("COMMIT")
        self._log_holds_back |= bool(expired.roots)
        return expired

    def _sweep(self, connection: sqlite3.Connection) -> Swept:
        connection.execute("BEGIN IMMEDIATE")
        removed = writes.sweep(self._paces, connection)
        connection.execute("COMMIT")
        if not removed.more:
            return self._give_back(connection)
        self._log_holds_back = True
        return Swept(removed.messages, 0, True)

    def _give_back(self, connection: sqlite3.Connection) -> Swept:
        pace = self._paces.freeing
        pages = pace.time(partial(vacuum.give_back, pace.size, connection))
        if connection.in_transaction:
            connection.execute("COMMIT")
        if pages:
            self._log_holds_back = True
            return Swept(0, pages * vacuum.page_bytes(connection), True)
        if self._log_holds_back:
            self._log_holds_back = not vacuum.empty_log(connection)
        return Swept(0, 0, False)
