"""Databases are made whole or not at all, and upgraded with a way back."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from superchat.storage import connections, migrations
from superchat.storage.errors import SchemaTooNew, StorageError
from superchat.storage.migrations import Migration, prepare, shipped

NOW_SECONDS = 1_750_000_000.25

FIRST = Migration(1, "items", "CREATE TABLE item (number INTEGER PRIMARY KEY, name TEXT);")
SECOND = Migration(
    2,
    "prices",
    """
    -- Two statements; the first says "; " twice.
    INSERT INTO item (name) VALUES ('a; b;
    c');
    ALTER TABLE item ADD COLUMN price INTEGER
    """,
)
BROKEN = Migration(3, "broken", "INSERT INTO item (name) VALUES ('half');\nINSERT INTO nowhere VALUES (1);\n")
REBUILD = Migration(
    3,
    "rebuild",
    """
    CREATE TABLE part (item INTEGER NOT NULL REFERENCES item (number) ON DELETE CASCADE);
    INSERT INTO part SELECT number FROM item;
    CREATE TABLE item_new (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
    INSERT INTO item_new SELECT number, name FROM item;
    DROP TABLE item;
    ALTER TABLE item_new RENAME TO item;
    """,
)
ORPHANS = Migration(3, "orphans", "CREATE TABLE part (item REFERENCES item (number));\nINSERT INTO part VALUES (404);")


class PrepareTests(SynchronousTestCase):
    """``prepare``."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "chat.db"

    def prepare(self, *migrations: Migration) -> bool:
        return prepare(self.path, NOW_SECONDS, migrations)

    def assert_refused(self, *migrations: Migration, error: type[StorageError] = StorageError) -> str:
        refusal = self.assertRaises(error, self.prepare, *migrations)
        self.assertIs(type(refusal), error)
        self.assertIn(self.path.name, str(refusal))
        return str(refusal)

    @contextmanager
    def connected(self, path: Path | None = None) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path or self.path, isolation_level=None)) as connection:
            yield connection

    def rows(self, query: str, path: Path | None = None) -> list[tuple[object, ...]]:
        with self.connected(path) as connection:
            return connection.execute(query).fetchall()

    def files(self) -> list[str]:
        return sorted(entry.name for entry in self.path.parent.iterdir())

    def local_time_is(self, zone: str) -> None:
        self.addCleanup(time.tzset)
        environment = patch.dict(os.environ, TZ=zone)
        environment.start()
        self.addCleanup(environment.stop)
        time.tzset()

    def backups(self) -> list[Path]:
        return sorted(self.path.parent.glob("*.backup-*"))

    def mode(self, path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    # New databases

    def test_new(self) -> None:
        """A database that is missing is made, with all migrations, and said to be new (decisions 4.13)."""
        self.assertTrue(self.prepare(FIRST, SECOND))
        self.assertFalse(self.prepare(FIRST, SECOND))
        applied = [(1, "items", 1_750_000_000_250), (2, "prices", 1_750_000_000_250)]
        self.assertEqual(self.rows("SELECT * FROM schema_migrations"), applied)
        self.assertEqual(self.rows("SELECT name, price FROM item"), [("a; b;\n    c", None)])
        self.assertEqual(self.rows("PRAGMA journal_mode"), [("wal",)])
        self.assertEqual(self.files(), ["chat.db"])

    def test_private(self) -> None:
        """Nobody but the server's user reads what people wrote, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.prepare(FIRST)
        self.prepare(FIRST, SECOND)
        with self.connected() as connection:
            connection.execute("INSERT INTO item (name) VALUES ('x')")
            for path in self.path.parent.iterdir():
                self.assertEqual(self.mode(path), 0o600, path)
        self.assertEqual(len(self.backups()), 1)

    def test_crash_while_making(self) -> None:
        """What breaks off while a database is made leaves nothing at its place, and the next start works."""
        self.assert_refused(FIRST, SECOND, BROKEN)
        self.assertFalse(self.path.exists())
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(f"chat.db.new{suffix}").write_bytes(b"rubbish of a crash")
        self.assertTrue(self.prepare(FIRST))
        self.assertEqual(self.files(), ["chat.db"])

    def test_empty_file(self) -> None:
        """An empty file is no database yet."""
        self.path.touch()
        self.assertTrue(self.prepare(FIRST))
        self.assertFalse(self.prepare(FIRST))

    def test_link(self) -> None:
        """A link stays a link; the database is made, backed up and upgraded where it points to."""
        target = self.path.with_name("elsewhere")
        target.mkdir()
        self.path.symlink_to(target / "real.db")
        self.assertTrue(self.prepare(FIRST))
        self.assertFalse(self.prepare(FIRST, SECOND))
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(len([*target.glob("real.db*")]), 2)

    def test_log_of_a_lost_database(self) -> None:
        """A write-ahead log without its database is not poured into a new one, and not thrown away."""
        for suffix in ("-wal", "-journal"):
            orphan = self.path.with_name(f"chat.db{suffix}")
            orphan.write_bytes(b"messages")
            self.assertIn(orphan.name, self.assert_refused(FIRST))
            self.assertEqual(self.files(), [orphan.name])
            orphan.unlink()

    def test_no_folder(self) -> None:
        """A missing folder is named."""
        self.path = self.path.parent / "missing" / "chat.db"
        self.assertIn("No such file or directory", self.assert_refused(FIRST))

    def test_old_sqlite(self) -> None:
        """A library that is too old is named with what is needed, before anything is made."""
        self.patch(migrations, "OLDEST_SQLITE", (99, 0, 0))
        self.assertIn("99.0.0 or later", self.assert_refused(FIRST))
        self.assertEqual(self.files(), [])

    def test_no_write_ahead_log(self) -> None:
        """Where the write-ahead log does not work, the server does not pretend that it does."""
        with closing(sqlite3.connect(":memory:")) as connection:
            refused = self.assertRaises(StorageError, migrations._use_write_ahead_log, self.path, connection)
        self.assertIn("write-ahead log", str(refused))

    # What is not ours

    def test_not_a_database(self) -> None:
        """A file that is no database is refused by name, and left as it is."""
        self.path.write_bytes(b"these are not the bytes of a database" * 100)
        before = self.path.read_bytes()
        self.assertIn("not a database", self.assert_refused(FIRST))
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual(self.files(), ["chat.db"])

    def test_somebody_elses_database(self) -> None:
        """Another program's database is refused by name, and left as it is."""
        with self.connected() as connection:
            connection.execute("CREATE TABLE schema_migrations (version INTEGER)")
        self.assertIn("none that this server made", self.assert_refused(FIRST))
        self.assertEqual(self.rows("PRAGMA journal_mode"), [("delete",)])

    def test_folder(self) -> None:
        """A folder in the database's place is refused by name."""
        self.path.mkdir()
        (self.path / "file").touch()
        self.assert_refused(FIRST)

    def test_too_new(self) -> None:
        """A later release's database is refused with both versions and the file (and left as it is)."""
        self.prepare(FIRST, SECOND)
        before = self.path.read_bytes()
        text = self.assert_refused(FIRST, error=SchemaTooNew)
        self.assertIn("schema version 2", text)
        self.assertIn("versions up to 1", text)
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual(self.backups(), [])

    def test_backup_fails(self) -> None:
        """A backup that fails, or was cut short, leaves no half of itself behind to fill the disk."""
        self.prepare(FIRST)
        self.path.with_name("chat.db.backup-v1-20250101-000000.part").write_bytes(b"half of it")

        def fail(path: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with patch("superchat.storage.migrations.sync", fail):
            self.assertIn("No space left", self.assert_refused(FIRST, SECOND))
        self.assertEqual(self.files(), ["chat.db"])
        self.prepare(FIRST, SECOND)
        self.assertEqual(len(self.backups()), 1)

    def test_cannot_be_looked_at(self) -> None:
        """A database that cannot be looked at is not taken for a missing one, which a new one would replace."""
        self.prepare(FIRST)
        before = self.path.read_bytes()

        def fail(path: Path, **options: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with patch.object(Path, "stat", fail):
            self.assertIn("Input/output error", self.assert_refused(FIRST))
        self.assertEqual(self.path.read_bytes(), before)

    def test_locked(self) -> None:
        """A database that cannot be written is an error at start, not at the first message."""
        self.prepare(FIRST)
        self.patch(connections, "BUSY_TIMEOUT_SECONDS", 0.0)
        with self.connected() as other:
            other.execute("BEGIN IMMEDIATE")
            self.assertIn("locked", self.assert_refused(FIRST))

    # Upgrades

    def test_upgrade(self) -> None:
        """Pending migrations are applied in order; what was there stays."""
        self.prepare(FIRST)
        with self.connected() as connection:
            connection.execute("INSERT INTO item (name) VALUES ('old')")
        self.assertFalse(self.prepare(FIRST, SECOND))
        self.assertEqual(self.rows("SELECT name FROM item"), [("old",), ("a; b;\n    c",)])
        self.assertEqual(self.rows("SELECT max(version) FROM schema_migrations"), [(2,)])

    def test_backup_before_upgrade(self) -> None:
        """Before a migration the database is copied beside itself, its write-ahead log included (W29)."""
        self.local_time_is("CEST-2")
        self.prepare(FIRST)
        with self.connected() as connection:
            connection.execute("INSERT INTO item (name) VALUES ('only in the log')")
            self.assertTrue(self.path.with_name("chat.db-wal").stat().st_size)
            self.prepare(FIRST, SECOND)
        (backup,) = self.backups()
        self.assertEqual(backup.name, "chat.db.backup-v1-20250615-170640")
        self.assertEqual(self.rows("SELECT name FROM item", backup), [("only in the log",)])
        self.assertEqual(self.rows("SELECT max(version) FROM schema_migrations", backup), [(1,)])
        self.assertEqual(self.rows("PRAGMA integrity_check", backup), [("ok",)])

    def test_backup_can_be_put_back(self) -> None:
        """The release before can run from the backup."""
        self.prepare(FIRST)
        self.prepare(FIRST, SECOND)
        os.replace(self.backups()[0], self.path)
        self.assertFalse(self.prepare(FIRST))

    def test_no_backup_without_need(self) -> None:
        """A new database, and one that is up to date, are not backed up (as the reference did)."""
        self.prepare(FIRST)
        self.prepare(FIRST)
        self.assertEqual(self.files(), ["chat.db"])

    def test_broken_migration(self) -> None:
        """A migration that fails is undone as a whole, says which it was, and stops the start."""
        self.prepare(FIRST)
        text = self.assert_refused(FIRST, SECOND, BROKEN)
        self.assertIn("migration 3 (broken)", text)
        self.assertIn("no such table: nowhere", text)
        self.assertEqual(self.rows("SELECT max(version) FROM schema_migrations"), [(2,)])
        self.assertEqual(self.rows("SELECT count(*) FROM item"), [(1,)])
        self.assertFalse(self.prepare(FIRST, SECOND))

    def test_second_try_in_the_same_second(self) -> None:
        """A supervisor that starts the server again at once is not stopped by the backup that is there."""
        self.prepare(FIRST)
        for _ in range(2):
            self.assert_refused(FIRST, Migration(2, "broken", "nonsense;"))
        self.assertEqual(len(self.backups()), 1)

    def test_rebuilding_a_table_keeps_what_points_to_it(self) -> None:
        """A migration may drop and rename a table without losing its parts to a cascade (W21)."""
        self.prepare(FIRST, SECOND)
        self.prepare(FIRST, SECOND, REBUILD)
        self.assertEqual(self.rows("SELECT count(*) FROM part"), [(1,)])

    def test_migration_that_leaves_orphans(self) -> None:
        """A migration after which something would point to nothing is undone."""
        self.prepare(FIRST, SECOND)
        self.assertIn("point to nothing", self.assert_refused(FIRST, SECOND, ORPHANS))
        self.assertEqual(self.rows("SELECT name FROM sqlite_master WHERE name = 'part'"), [])


class ShippedTests(SynchronousTestCase):
    """``shipped``."""

    def test_numbered_without_gaps(self) -> None:
        """Migrations are numbered from 1 on without gaps, and each does something."""
        migrations: Sequence[Migration] = shipped()
        self.assertEqual([migration.version for migration in migrations], [*range(1, len(migrations) + 1)])
        self.assertTrue(all(migration.name and migration.sql.strip() for migration in migrations))

    def test_every_column_is_explained(self) -> None:
        """The schema says of every column what it holds, except where the name says it all."""
        plain = {"created_at", "number"}
        for migration in shipped():
            for line in migration.sql.splitlines():
                name, *definition = line.split() or [""]
                is_column = definition and definition[0] in ("INTEGER", "TEXT", "BLOB")
                if is_column and name not in plain | {"id", "content"}:
                    self.assertIn("--", line, line)
