"""A copy of a database in use, and what takes the place of a lost one."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import superchat
import tests
from superchat.model import Act, NewAct
from superchat.storage import restore as restore_module
from superchat.storage.backup import STEP_PAGES, back_up, examine
from superchat.storage.errors import SchemaTooNew, StorageError
from superchat.storage.migrations import prepare, shipped
from superchat.storage.restore import restore
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.engines import NOON_MS
from tests.storage.reactor import SteppedReactor

EVENING = datetime(2025, 6, 15, 20, 5, 9)  # noqa: DTZ001  # names show the time of the machine
ACT = NewAct("operator uid 0", None, "local", "restore", "database", None, "superchat.db", "", NOON_MS)
PADDING = 8_000_000
"""So that a copy takes more than one step."""


@contextmanager
def load(database: Path) -> Iterator[list[int]]:
    """Another process that posts, replies and deletes; the list has the ids that were confirmed to it so far."""
    roots = [str(Path(package.__path__[0]).parent) for package in (superchat, tests)]
    confirmed: list[int] = []

    def read(stream: Any) -> None:
        for line in stream:
            what, _, message_id = line.partition(b" ")
            if what == b"posted" and line.endswith(b"\n"):
                confirmed.append(int(message_id))

    with subprocess.Popen(
        [sys.executable, "-m", "tests.storage.appender", str(database)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots)},
        stdout=subprocess.PIPE,
    ) as process:
        reader = Thread(target=read, args=(process.stdout,))
        reader.start()
        try:
            while len(confirmed) < 100 and process.poll() is None:
                reader.join(0.01)
            yield confirmed
        finally:
            process.kill()
            reader.join()


class BackupTestCase(SynchronousTestCase):
    """A folder with a database."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.database = self.folder / "superchat.db"
        self.target = self.folder / "copy.db"
        prepare(self.database, 0.0, shipped())

    def execute(self, path: Path, *statement: Any) -> list[Any]:
        """Ask a database file."""
        with closing(sqlite3.connect(path)) as connection:
            answer = connection.execute(*statement).fetchall()
            connection.commit()
            return answer

    def note(self, path: Path, text: str) -> None:
        """Leave something to recognise a database by."""
        self.execute(path, "CREATE TABLE IF NOT EXISTS remark (text)")
        self.execute(path, "INSERT INTO remark VALUES (?)", (text,))

    def remarks(self, path: Path) -> list[str]:
        """What was left in a database."""
        return [text for (text,) in self.execute(path, "SELECT text FROM remark")]

    def message_ids(self, path: Path) -> set[int]:
        """The messages in a database."""
        return {message_id for (message_id,) in self.execute(path, "SELECT id FROM message")}

    def refused(self, *arguments: Any, **options: Any) -> str:
        """Why there is no backup."""
        return str(self.assertRaises(StorageError, back_up, *arguments, **options))

    def names(self) -> set[str]:
        """What is in the folder."""
        return {path.name for path in self.folder.iterdir()}


class BackUpTests(BackupTestCase):
    """``back_up``."""

    def test_under_load(self) -> None:
        """While others post, all that was acknowledged before the backup began is in it, and it is whole."""
        self.execute(self.database, "CREATE TABLE padding AS SELECT zeroblob(?) AS bytes", (PADDING,))
        steps: list[int] = []
        with load(self.database) as confirmed:
            before = set(confirmed)
            copy = back_up(self.database, self.target, progress=lambda done, total: steps.append(done))
            after = len(confirmed)
        self.assertGreaterEqual(len(before), 100)
        self.assertGreater(after, len(before))  # the others were not held up
        self.assertEqual(before - self.message_ids(self.target), set())
        self.assertEqual(self.execute(self.target, "PRAGMA integrity_check"), [("ok",)])
        self.assertEqual(copy.messages, len(self.message_ids(self.target)))
        self.assertGreater(len(steps), 1)

    def test_never_begins_anew(self) -> None:
        """However much is written meanwhile, a backup takes as many steps as the database had MiB when it began."""
        self.execute(self.database, "CREATE TABLE padding AS SELECT zeroblob(?) AS bytes", (PADDING,))
        self.note(self.database, "before")
        ((pages,),) = self.execute(self.database, "PRAGMA page_count")
        steps: list[tuple[int, int]] = []

        def write(done: int, total: int) -> None:
            steps.append((done, total))
            self.note(self.database, "meanwhile")

        back_up(self.database, self.target, progress=write)
        self.assertEqual(len(steps), -(-pages // STEP_PAGES))
        self.assertEqual(steps, sorted(steps))
        self.assertEqual(steps[-1][0], steps[-1][1])
        self.assertEqual(self.remarks(self.target), ["before"])
        self.assertEqual(len(self.remarks(self.database)), 1 + len(steps))

    def test_log_included(self) -> None:
        """What is committed and only in the write-ahead log is in the copy (reference W29)."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("CREATE TABLE remark (text)")
            connection.execute("INSERT INTO remark VALUES ('in the log')")
            connection.commit()
            back_up(self.database, self.target)
        self.assertEqual(self.remarks(self.target), ["in the log"])

    def test_one_private_file(self) -> None:
        """The copy is one file that nobody else can read, and nothing is left beside it."""
        back_up(self.database, self.target)
        self.assertEqual(self.names(), {"superchat.db", "copy.db"})
        self.assertEqual(stat.S_IMODE(self.target.stat().st_mode), 0o600)

    def test_serves(self) -> None:
        """A server can open the copy as it is."""
        back_up(self.database, self.target)
        reactor = SteppedReactor()
        storage = SQLiteStorage(self.target, reactor)
        self.successResultOf(storage.open())
        reactor.run_until_fired(storage.close())

    def test_nothing_overwritten(self) -> None:
        """A file that exists stays as it is, unless it is said to be replaced."""
        self.target.write_text("precious")
        self.assertEqual(self.refused(self.database, self.target), f"{self.target} exists already")
        self.assertEqual(self.target.read_text(), "precious")
        back_up(self.database, self.target, replace=True)
        self.assertEqual(examine(self.target).messages, 0)

    def test_appears_meanwhile(self) -> None:
        """A file that somebody makes while the backup is written is not overwritten either, and no draft stays."""
        text = self.refused(self.database, self.target, progress=lambda *_: self.target.write_text("precious"))
        self.assertIn("File exists", text)
        self.assertEqual(self.target.read_text(), "precious")
        self.assertEqual(self.names(), {"superchat.db", "copy.db"})

    def test_interrupted(self) -> None:
        """An interrupted backup leaves neither a file of that name nor a draft."""

        def interrupt(done: int, total: int) -> None:
            raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, back_up, self.database, self.target, progress=interrupt)
        self.assertEqual({name for name in self.names() if not name.startswith("superchat.db")}, set())

    def test_onto_itself(self) -> None:
        """Not even by force does a backup take the place of the database or of what belongs to it."""
        for name in ("superchat.db", "superchat.db-wal", "superchat.db-shm", "superchat.db.lock"):
            text = self.refused(self.database, self.folder / "." / name, replace=True)
            self.assertIn("belongs to the database itself", text)

    def test_mistakes(self) -> None:
        """Each impossible wish gets a sentence that names the path."""
        missing = self.folder / "missing"
        self.assertEqual(self.refused(self.database, missing / "copy.db"), f"there is no folder {missing}")
        self.assertEqual(self.refused(self.database, self.folder), f"{self.folder} is a folder")
        self.assertEqual(self.refused(missing, self.target), f"there is no database {missing}")
        self.assertNotIn("missing", self.names())

    def test_foreign(self) -> None:
        """What is no database of ours is not copied."""
        other = self.folder / "other.db"
        self.execute(other, "CREATE TABLE t (a)")
        self.assertIn("none that this server made", self.refused(other, self.target))
        other.write_text("no database at all, but long enough to be read as one" * 100)
        self.assertIn("file is not a database", self.refused(other, self.target))
        self.assertNotIn("copy.db", self.names())

    def test_damaged(self) -> None:
        """A damaged database does not pass for a good backup."""
        self.damage(self.database)
        self.assertIn("damaged", self.refused(self.database, self.target))
        self.assertNotIn("copy.db", self.names())

    def damage(self, path: Path) -> None:
        """Overwrite a page in the middle of the tree that holds the messages."""
        self.execute(path, "INSERT INTO channel SELECT 1, 'a', 'a', 'a', '', 0, 0, NULL, 0, NULL, 0, NULL")
        for number in range(1, 2000):
            self.execute(
                path,
                "INSERT INTO message (id, channel_id, root_id, author_nickname, author_session, created_at, content)"
                " VALUES (?, 1, ?, 'a', 1, 1, zeroblob(100))",
                (number, number),
            )
        ((root,),) = self.execute(path, "SELECT rootpage FROM sqlite_master WHERE name = 'message_root'")
        ((page_bytes,),) = self.execute(path, "PRAGMA page_size")
        with path.open("r+b") as file:
            file.seek((root - 1) * page_bytes)
            file.write(b"\xff" * page_bytes)


class RestoreTests(BackupTestCase):
    """``restore``."""

    def setUp(self) -> None:
        super().setUp()
        self.note(self.database, "then")
        back_up(self.database, self.target)
        self.note(self.database, "now")

    def restored(self, act: NewAct | None = None) -> Path:
        """Restore the backup; where the database before is kept."""
        kept = restore(self.target, self.database, EVENING, act=act).kept
        assert kept is not None
        return kept

    def acts(self) -> list[Act]:
        """The audit log of the database."""
        reactor = SteppedReactor()
        storage = SQLiteStorage(self.database, reactor)
        self.successResultOf(storage.open())
        found: Deferred[list[Act]] = storage.acts(10)
        reactor.run_until_fired(found)
        reactor.run_until_fired(storage.close())
        return self.successResultOf(found)

    def test_round_trip(self) -> None:
        """The database is as it was when it was backed up, and the one before is kept under a name with the time."""
        kept = self.restored()
        self.assertEqual(kept.name, "superchat.db.replaced-20250615-200509")
        self.assertEqual(self.remarks(self.database), ["then"])
        self.assertEqual(self.remarks(kept), ["then", "now"])
        self.assertEqual(self.names(), {"superchat.db", "copy.db", kept.name})
        self.assertEqual(stat.S_IMODE(self.database.stat().st_mode), 0o600)

    def test_twice(self) -> None:
        """Two in one second keep both databases."""
        first, second = self.restored(), self.restored()
        self.assertEqual(second.name, f"{first.name}-2")
        self.assertEqual(self.remarks(first), ["then", "now"])

    def test_recorded(self) -> None:
        """The audit log of the restored database says that it was restored, and by whom (decisions 7.3)."""
        self.restored(ACT)
        (act,) = self.acts()
        self.assertEqual((act.actor, act.action), ("operator uid 0", "restore"))

    def test_unfinished_log(self) -> None:
        """A write-ahead log that a killed server left is kept with the old database, and never meets the new one."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("INSERT INTO remark VALUES ('in the log')")
            connection.commit()
            log = (self.folder / "superchat.db-wal").read_bytes()
            whole = self.database.read_bytes()
        self.database.write_bytes(whole)
        (self.folder / "superchat.db-wal").write_bytes(log)
        kept = self.restored()
        self.assertEqual(self.remarks(kept), ["then", "now", "in the log"])
        self.assertEqual(self.remarks(self.database), ["then"])

    def test_last_step_fails(self) -> None:
        """When the new database cannot have its name, the old one is there, with what was in its log."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("INSERT INTO remark VALUES ('in the log')")
            connection.commit()
            log = (self.folder / "superchat.db-wal").read_bytes()
            whole = self.database.read_bytes()
        self.database.write_bytes(whole)
        (self.folder / "superchat.db-wal").write_bytes(log)

        def fail(*arguments: object, **options: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        self.patch(restore_module, "publish", fail)
        error = self.assertRaises(StorageError, restore, self.target, self.database, EVENING)
        self.assertIn("Input/output error", str(error))
        self.assertEqual(self.names(), {"superchat.db", "copy.db"})
        self.assertEqual(self.remarks(self.database), ["then", "now", "in the log"])

    def test_first_step_fails(self) -> None:
        """When the old database cannot be set aside as a whole, it is as it was: a log that is gone is put back."""
        self.database.write_bytes(b"garbage" * 1000)
        log = self.folder / "superchat.db-wal"
        log.write_bytes(b"log of garbage")
        synced: list[Path] = []

        def fail_second(path: Path) -> None:
            synced.append(path)
            if len(synced) == 2:
                raise OSError(errno.EIO, "Input/output error")

        self.patch(restore_module, "sync", fail_second)
        self.assertRaises(StorageError, restore, self.target, self.database, EVENING)
        self.assertEqual(self.names(), {"superchat.db", "superchat.db-wal", "copy.db"})
        self.assertEqual((self.database.read_bytes(), log.read_bytes()), (b"garbage" * 1000, b"log of garbage"))

    def test_draft_that_stays(self) -> None:
        """What has its name is restored, whatever becomes of the draft's remains."""

        def fail(path: Path, missing_ok: bool = False) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with patch.object(Path, "unlink", fail):
            back_up(self.database, self.folder / "second.db")
        self.assertEqual(self.remarks(self.folder / "second.db"), ["then", "now"])

    def test_damaged_database(self) -> None:
        """A database that cannot be read any more is kept with its log, as they were."""
        self.database.write_bytes(b"garbage" * 1000)
        (self.folder / "superchat.db-wal").write_bytes(b"log of garbage")
        kept = self.restored()
        self.assertEqual(kept.read_bytes(), b"garbage" * 1000)
        self.assertEqual((self.folder / f"{kept.name}-wal").read_bytes(), b"log of garbage")
        self.assertEqual(self.names(), {"superchat.db", "copy.db", kept.name, f"{kept.name}-wal"})
        self.assertEqual(self.remarks(self.database), ["then"])

    def test_no_database(self) -> None:
        """On a new machine there is nothing to keep."""
        self.database.unlink()
        self.assertIsNone(restore(self.target, self.database, EVENING).kept)
        self.assertEqual(self.remarks(self.database), ["then"])

    def test_backup_with_log(self) -> None:
        """A backup that is a plain copy of all files of a stopped or killed server is taken with its log."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("INSERT INTO remark VALUES ('in the log')")
            connection.commit()
            for suffix in ("", "-wal"):
                copied = (self.folder / f"superchat.db{suffix}").read_bytes()
                (self.folder / f"plain.db{suffix}").write_bytes(copied)
        restore(self.folder / "plain.db", self.database, EVENING)
        self.assertEqual(self.remarks(self.database), ["then", "now", "in the log"])

    def test_older(self) -> None:
        """A backup of an older release is taken as it is, for the server to migrate it."""
        old = self.folder / "old.db"
        prepare(old, 0.0, shipped()[:1])
        restored = restore(old, self.database, EVENING, act=ACT)
        self.assertEqual(restored.copy.schema_version, 1)
        self.assertEqual([act.action for act in self.acts()], [])

    def test_refused(self) -> None:
        """What is damaged, foreign, missing, or from a later release is refused, and nothing has changed."""
        before = self.database.read_bytes(), self.names() | {"later.db", "other.db", "damaged.db"}
        later, other, damaged = (self.folder / name for name in ("later.db", "other.db", "damaged.db"))
        back_up(self.database, later)
        self.execute(later, "INSERT INTO schema_migrations VALUES (999, 'later', 0)")
        self.execute(later, "PRAGMA journal_mode = DELETE")
        self.execute(other, "CREATE TABLE t (a)")
        damaged.write_bytes(self.target.read_bytes()[:20000])
        for backup, kind, text in (
            (later, SchemaTooNew, "has schema version 999"),
            (other, StorageError, "none that this server made"),
            (damaged, StorageError, "damaged.db"),
            (self.folder / "missing.db", StorageError, "there is no file"),
            (self.database, StorageError, "is the database itself"),
        ):
            error = self.assertRaises(kind, restore, backup, self.database, EVENING, act=ACT)
            self.assertIn(text, str(error))
        self.assertEqual((self.database.read_bytes(), self.names()), before)

    def test_owner(self) -> None:
        """What the superuser restores belongs to whom the database belonged, so that the server can open it."""
        if os.geteuid():
            raise SkipTest("needs root")
        os.chown(self.database, 12345, 54321)
        self.restored()
        self.assertEqual((self.database.stat().st_uid, self.database.stat().st_gid), (12345, 54321))

    def test_through_a_link(self) -> None:
        """A database that is a symbolic link stays one; the file that it points to is replaced."""
        alias = self.folder / "alias.db"
        alias.symlink_to(self.database)
        restore(self.target, alias, EVENING)
        self.assertTrue(alias.is_symlink())
        self.assertEqual(self.remarks(self.database), ["then"])
