"""Storage on one SQLite file: a writer that commits in groups, and readers that never wait for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, fail, succeed
from zope.interface import implementer

from superchat.clocks import NowMs, wall_ms
from superchat.ids import Snowflakes
from superchat.model import EVERYTHING, Backlog, Channel, Message, NewAct, NewChannel, NewMessage, View
from superchat.storage import measuring, reads, writes
from superchat.storage.accounts.sqlite import SQLiteAccounts
from superchat.storage.connections import connect, connect_to_write, sync
from superchat.storage.direct.sqlite import SQLiteDirect
from superchat.storage.errors import StorageError, Unavailable
from superchat.storage.group_commit import GroupCommit
from superchat.storage.interface import IStorage, Size, Statistics
from superchat.storage.measuring import DatabaseFile
from superchat.storage.migrations import Migration, prepare, shipped
from superchat.storage.moderation.sqlite import SQLiteModeration
from superchat.storage.read_pool import ReadPool
from superchat.storage.reads import Cursor
from superchat.storage.removal.sqlite import SQLiteRemoval
from superchat.storage.requests import Operation, ThreadedReactor

T = TypeVar("T")


@implementer(IStorage)
class SQLiteStorage(SQLiteAccounts, SQLiteModeration, SQLiteDirect, SQLiteRemoval):
    """``IStorage`` in the file ``path``, made with mode 0600 when it is missing; its folder must be there.

    ``open`` starts threads, so it belongs after a daemon's fork. ``max_pending`` bounds the writes, and the
    reads, that may wait; more fail at once with ``Unavailable``. An object can be opened again once ``close``
    has fired.
    """

    def __init__(
        self,
        path: Path,
        reactor: ThreadedReactor,
        read_threads: int = 2,
        *,
        max_pending: int = 50_000,
        migrations: Sequence[Migration] | None = None,
        now_ms: NowMs = wall_ms,
    ) -> None:
        super().__init__()
        self._path = path
        self._reactor = reactor
        self._read_threads = read_threads
        self._max_pending = max_pending
        self._now_ms = now_ms
        self._migrations = shipped() if migrations is None else migrations
        self._ids = Snowflakes()
        self._append = partial(writes.append_messages, self._ids)
        self._file = DatabaseFile(path, 0, 0)
        self._is_open = False
        self._writer = self._new_writer()
        self._readers = self._new_readers()

    def open(self) -> Deferred[None]:
        return execute(self._open)

    def close(self) -> Deferred[None]:
        if not self._is_open:
            return succeed(None)
        self._is_open = False
        # The last connection to close empties the write-ahead log, which only the writer's may do.
        return self._readers.stop().addCallback(lambda _: self._writer.stop())

    def channels(self) -> Deferred[list[Channel]]:
        return self._read(reads.channels)

    def seed_channels(self, seeds: Sequence[NewChannel], created_at: int) -> Deferred[None]:
        return self._write(partial(writes.seed_channels, seeds, created_at))

    def create_channel(self, new: NewChannel, created_at: int) -> Deferred[Channel]:
        return self._write(partial(writes.create_channel, new, created_at))

    def append_message(self, new: NewMessage) -> Deferred[Message]:
        if not self._is_open:
            return fail(Unavailable("the storage is closed"))
        return self._writer.submit_to(self._append, new)

    def edit_message(
        self, message_id: int, content: bytes, edited_at: int, edited_by: str, act: NewAct | None = None
    ) -> Deferred[Message]:
        return self._write(partial(writes.edit_message, message_id, content, edited_at, edited_by, act))

    def delete_message(
        self, message_id: int, text: bytes, deleted_at: int, deleted_by: str, act: NewAct | None = None
    ) -> Deferred[Message]:
        return self._write(partial(writes.delete_message, message_id, text, deleted_at, deleted_by, act))

    def message(self, message_id: int, view: View = EVERYTHING) -> Deferred[Message | None]:
        return self._read(partial(reads.message, message_id, view))

    def root_page(
        self, channel_id: int, limit: int, before_id: int | None, after_id: int | None, view: View = EVERYTHING
    ) -> Deferred[list[Message]]:
        return self._read(partial(reads.root_page, channel_id, Cursor(limit, before_id, after_id), view))

    def thread_page(
        self, parent_id: int, limit: int, before_id: int | None, after_id: int | None, view: View = EVERYTHING
    ) -> Deferred[list[Message]]:
        return self._read(partial(reads.thread_page, parent_id, Cursor(limit, before_id, after_id), view))

    def seen_ancestor(self, message_id: int, view: View) -> Deferred[int | None]:
        return self._read(partial(reads.seen_ancestor, message_id, view))

    def channels_of(self, message_ids: Sequence[int]) -> Deferred[dict[int, int]]:
        return self._read(partial(reads.channels_of, message_ids))

    def counts_since(self, backlogs: Sequence[Backlog], view: View = EVERYTHING) -> Deferred[list[int]]:
        return self._read(partial(reads.counts_since, backlogs, view))

    def set_read(self, account_id: int, channel_id: int, last_read_at: int, now_ms: int) -> Deferred[None]:
        return self._write(partial(writes.set_read, account_id, channel_id, last_read_at, now_ms))

    def read_positions(self, account_id: int, channel_ids: Sequence[int]) -> Deferred[dict[int, int]]:
        return self._read(partial(reads.read_positions, account_id, channel_ids))

    def probe(self, now_ms: int) -> Deferred[None]:
        return self._write(partial(measuring.probe, self._file, now_ms))

    def rehearse(self, new: NewMessage) -> Deferred[Message]:
        return self._write(partial(writes.rehearse, self._ids, new))

    def measure(self) -> Deferred[Size]:
        return self._read(partial(measuring.measure, self._file))

    def statistics(self) -> Statistics:
        writer = self._writer
        return Statistics(
            writer.commits,
            writer.operations,
            writer.largest_batch,
            writer.pending,
            writer.commit_seconds.snapshot(),
            writer.commit_operations.snapshot(),
        )

    def _open(self) -> None:
        prepare(self._path, self._now_ms() / 1000, self._migrations)
        self._writer = self._new_writer()
        self._readers = self._new_readers()
        try:
            with closing(connect(self._path)) as connection:
                self._ids = Snowflakes(reads.last_message_id(connection))
                self._append = partial(writes.append_messages, self._ids)
                self._file = DatabaseFile.at(self._path)
                # The log is there now. When its name cannot be synced, SQLite begins to write it all the same.
                sync(self._path.resolve().parent)
                self._writer.start()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"cannot open the database {self._path}: {error}") from error
        self._readers.start()
        self._is_open = True

    def _new_writer(self) -> GroupCommit:
        return GroupCommit(self._reactor, partial(connect_to_write, self._path), max_pending=self._max_pending)

    def _new_readers(self) -> ReadPool:
        connect_reader = partial(connect, self._path, read_only=True)
        return ReadPool(self._reactor, connect_reader, threads=self._read_threads, max_pending=self._max_pending)

    def _write(self, operation: Operation[T]) -> Deferred[T]:
        if not self._is_open:
            return fail(Unavailable("the storage is closed"))
        return self._writer.submit(operation)

    def _alone(self, operation: Operation[T]) -> Deferred[T]:
        if not self._is_open:
            return fail(Unavailable("the storage is closed"))
        return self._writer.submit_alone(operation)

    def _read(self, operation: Operation[T]) -> Deferred[T]:
        if not self._is_open:
            return fail(Unavailable("the storage is closed"))
        return self._readers.submit(operation)
