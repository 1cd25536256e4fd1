"""Removal on SQLite, in slices."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Final, TypeVar

from twisted.internet.defer import Deferred

from superchat.model import NewAct
from superchat.storage import vacuum
from superchat.storage.engine import SQLiteEngine
from superchat.storage.interface import Expired, Swept
from superchat.storage.removal import writes
from superchat.storage.removal.writes import Paces, Stretch
from superchat.storage.requests import Operation

T = TypeVar("T")

SHRINK_PAGES: Final = 1024
"""By how much the file shrinks at a time, for cutting off much of it takes long."""
COPY_SLICES: Final = 4
"""After how many slices the log is copied into the file, which is some thousand pages by then."""


class SQLiteRemoval(SQLiteEngine):
    """``delete_channel``, ``expire`` and ``sweep`` of ``IStorage`` on an SQLite file.

    Slices share no transaction with others, so nobody's confirmation waits for one that was asked for later. The
    paces belong to the writer's thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self._paces = Paces()
        self._slices = 0  # since the log was copied
        self._freed_pages = 0  # since the file shrank
        self._log_holds_back = False

    def delete_channel(self, channel_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[list[int]]:
        return self._write(partial(writes.delete_channel, channel_id, deleted_at, act))

    def expire(self, channel_id: int, before_ms: int, after_id: int = 0) -> Deferred[Expired]:
        return self._slice(partial(self._expire, Stretch(channel_id, before_ms, after_id)))

    def sweep(self) -> Deferred[Swept]:
        return self._slice(self._sweep)

    def _slice(self, operation: Operation[T]) -> Deferred[T]:
        """Have a slice carried out; now and then the log is copied before, by itself, for both take long enough."""
        if self._slices >= COPY_SLICES:
            self._slices = 0
            self._alone(vacuum.copy_log).addErrback(lambda failure: None)  # the slice says what is wrong
        self._slices += 1
        return self._alone(operation)

    def _expire(self, stretch: Stretch, connection: sqlite3.Connection) -> Expired:
        connection.execute("BEGIN IMMEDIATE")
        expired = writes.expire(stretch, self._paces, connection)
        vacuum.commit_only(connection)
        self._log_holds_back |= bool(expired.roots)
        return expired

    def _sweep(self, connection: sqlite3.Connection) -> Swept:
        """One of these: remove rows, free pages of the file, have the file shrink by them, cut off the log."""
        connection.execute("BEGIN IMMEDIATE")
        removed = writes.sweep(self._paces, connection)
        vacuum.commit_only(connection)
        if removed.more:
            self._log_holds_back = True
            return Swept(removed.messages, 0, True)
        if self._freed_pages < SHRINK_PAGES and (pages := self._free_pages(connection)):
            return Swept(0, pages * vacuum.page_bytes(connection), True)
        if self._freed_pages:
            vacuum.copy_log(connection)
            self._freed_pages = 0
            return Swept(0, 0, True)
        if self._log_holds_back:
            self._log_holds_back = not vacuum.empty_log(connection)
        return Swept(0, 0, False)

    def _free_pages(self, connection: sqlite3.Connection) -> int:
        pace = self._paces.freeing
        pages = pace.time(partial(vacuum.give_back, pace.size, connection))
        if connection.in_transaction:
            vacuum.commit_only(connection)
        self._log_holds_back |= bool(pages)
        self._freed_pages += pages
        return pages
