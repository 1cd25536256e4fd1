"""The storage on SQLite keeps the contract, on a real file with real threads."""

from __future__ import annotations

import errno
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from superchat.model import Backlog, NewChannel, View
from superchat.storage import migrations
from superchat.storage.errors import SchemaTooNew, StorageError, Unavailable, UnknownMessage, UnknownParent
from superchat.storage.interface import IStorage
from superchat.storage.migrations import Migration
from superchat.storage.sqlite import SQLiteStorage
from tests.storage import contract, view_contract
from tests.storage.contract import new_channel
from tests.storage.engines import NOON_MS, SQLiteTestCase
from tests.storage.reactor import SteppedReactor


class SQLiteMessagesTestCase(SQLiteTestCase, contract.MessagesTestCase):
    """Plays with messages on SQLite."""

    def make_empty_storage(self) -> IStorage:
        return SQLiteStorage(self.path.with_name("empty.db"), self.reactor)

    def stored_versions(self, message_id: int) -> list[tuple[str, bytes, str]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(
                "SELECT version_type, content, changed_by FROM message_version WHERE message_id = ?",
                (message_id,),
            ).fetchall()


class SQLiteViewTests(SQLiteMessagesTestCase, view_contract.ViewContract):
    """``SQLiteStorage``, through readers' eyes."""

    def test_nothing_of_an_expired_thread(self) -> None:
        """A thread on its way out is gone at once, by every way there is, long before its rows are (decisions 4.11)."""
        kept, root = self.post(), self.post()
        reply = self.post(root)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("INSERT INTO expired_thread (root_id) VALUES (?)", (root.id,))
        for view in (View(), View(None, 1, frozenset({99}), frozenset({"nobody"}))):
            self.assert_shown(self.page(view), (kept, 0))
            self.assert_shown(self.page(view, after=0), (kept, 0))
            self.assertEqual(self.below(root, view), [])
            self.assertEqual(self.counts(view, Backlog(1, 0), Backlog(1, 0, root.id)), [1, 0])
            self.assertIsNone(self.result(self.storage.message(reply.id, view)))
            self.assertIsNone(self.result(self.storage.seen_ancestor(reply.id, view)))
        self.assertEqual(self.result(self.storage.channels_of([root.id, reply.id])), {})
        self.assert_refused(self.storage.append_message(self.new(root)), UnknownParent)
        self.assert_refused(self.storage.delete_message(reply.id, b"", NOON_MS, ""), UnknownMessage)


class SQLiteStorageTests(SQLiteMessagesTestCase, contract.StorageContract):
    """``SQLiteStorage``: the contract, and what only a file can promise."""

    def test_private(self) -> None:
        """No other user of the machine can read the database, its log included."""
        self.post()
        files = [*self.path.parent.glob(f"{self.path.name}*")]
        self.assertEqual(len(files), 3)
        self.assertEqual({stat.S_IMODE(file.stat().st_mode) for file in files}, {0o600})

    def test_closed_tidily(self) -> None:
        """After a clean stop the database is one file that can be copied."""
        self.post()
        self.result(self.storage.close())
        self.assertEqual([*self.path.parent.glob(f"{self.path.name}*")], [self.path])

    def test_opened_again(self) -> None:
        """The same object can be opened again after it was closed."""
        posted = self.post()
        self.result(self.storage.close())
        self.result(self.storage.close())
        self.successResultOf(self.storage.open())
        self.assertEqual(self.read(posted), posted)
        self.assertGreater(self.post().id, posted.id)

    def test_group_commit(self) -> None:
        """Messages that arrive while a commit runs share the next one."""
        before = self.storage.statistics()
        waiting = [self.storage.append_message(self.new()) for _ in range(200)]
        self.assertEqual(self.storage.statistics().pending, 200)
        for deferred in waiting:
            self.result(deferred)
        after = self.storage.statistics()
        self.assertEqual(after.operations - before.operations, 200)
        self.assertLess(after.commits - before.commits, 200)
        self.assertGreater(after.largest_batch, 1)

    def test_many_at_once_keep_their_order(self) -> None:
        """Messages keep their order whatever the sizes of the statements that store them (decisions 4.6)."""
        root = self.post()
        for count in (1, 15, 16, 17, 127, 128, 129, 300):
            contents = [b"%d of %d" % (n, count) for n in range(count)]
            waiting = [self.storage.append_message(self.new(root, content)) for content in contents]
            ids = [self.result(deferred).id for deferred in waiting]
            page = self.result(self.storage.thread_page(root.id, count, None, None))
            self.assertEqual([message.id for message in page], ids)
            self.assertEqual([message.content for message in page], contents)

    def test_bounded(self) -> None:
        """Writes and reads beyond `max_pending` are refused at once."""
        storage = SQLiteStorage(Path(self.mktemp()), self.reactor, max_pending=2)
        self.successResultOf(storage.open())
        writing = [storage.create_channel(new_channel(name), NOON_MS) for name in ("a", "b", "c")]
        reading = [storage.channels() for _ in range(3)]
        self.failureResultOf(writing.pop(), Unavailable)
        self.failureResultOf(reading.pop(), Unavailable)
        self.finish(gatherResults([*writing, *reading]))
        self.result(storage.close())

    def test_readers_do_not_wait_for_the_writer(self) -> None:
        """Reads are answered while a commit is under way (and see what was before it)."""
        posted = self.post()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = self.storage.append_message(self.new())
            self.assertEqual(self.roots(), [posted.id])
            self.assertNoResult(waiting)
            other.execute("ROLLBACK")
        self.assertEqual(self.roots_after_posting(waiting), 2)

    def roots_after_posting(self, waiting: Deferred[Any]) -> int:
        self.result(waiting)
        return len(self.roots())

    def test_values_that_no_column_holds(self) -> None:
        """A time or key beyond 64 bits fails its own message only, and posting goes on."""
        waiting = [self.storage.append_message(self.new(author_session=key)) for key in (1, 2**63, 2)]
        self.finish(waiting[1])
        self.failureResultOf(waiting[1], OverflowError)
        self.assertLess(self.result(waiting[0]).id, self.result(waiting[2]).id)

    def test_channel_that_the_schema_refuses(self) -> None:
        """A channel without a description is a mistake of the program, and says so."""
        broken = NewChannel("x", "x", None, 0, 0)  # type: ignore[arg-type]
        refusal = self.assert_refused(self.storage.create_channel(broken, NOON_MS), StorageError)
        self.assertIn("NOT NULL", str(refusal))


class OpeningTests(SynchronousTestCase):
    """What ``SQLiteStorage.open`` says when it cannot."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())

    def assert_refused(self, storage: SQLiteStorage, error: type[StorageError]) -> str:
        refusal = self.failureResultOf(storage.open(), error).value
        self.assertIn(str(self.path), str(refusal))
        self.failureResultOf(storage.channels(), Unavailable)
        self.successResultOf(storage.close())
        return str(refusal)

    def test_too_new(self) -> None:
        """A later release's database is refused, and the storage stays closed."""
        later = (*migrations.shipped(), Migration(99, "later", "CREATE TABLE later (x);"))
        storage = SQLiteStorage(self.path, self.reactor, migrations=later)
        self.successResultOf(storage.open())
        closed = storage.close()
        self.reactor.run_until_fired(closed)
        self.assert_refused(SQLiteStorage(self.path, self.reactor), SchemaTooNew)

    def test_not_a_database(self) -> None:
        """A file that is no database is refused by name."""
        self.path.write_bytes(b"no database " * 1000)
        self.assert_refused(SQLiteStorage(self.path, self.reactor), StorageError)

    def test_folder_that_cannot_be_synced(self) -> None:
        """A log whose name may be lost with the power is an error at start; the next one works (decisions 4.6)."""

        def fail(path: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

        storage = SQLiteStorage(self.path, self.reactor)
        with patch("superchat.storage.sqlite.sync", fail):
            self.assertIn("Input/output error", self.assert_refused(storage, StorageError))
        self.successResultOf(storage.open())
        self.reactor.run_until_fired(storage.close())

    def test_broken_schema(self) -> None:
        """A database whose tables are gone is an error at start, not at the first message."""
        nothing = (Migration(1, "nothing", ""),)
        self.assert_refused(SQLiteStorage(self.path, self.reactor, migrations=nothing), StorageError)
