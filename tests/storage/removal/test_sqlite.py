"""The storage on SQLite keeps the contract about what is deleted or expires, and gives the space back."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from superchat.model import Message
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.engines import SQLiteTestCase
from tests.storage.removal import contract
from tests.storage.removal.contract import LATER_MS


class SQLiteRemovalTests(SQLiteTestCase, contract.RemovalContract):
    """``SQLiteStorage``: the contract, and what only a file can promise."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.assert_consistent)

    def query(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()

    def assert_consistent(self) -> None:
        """No broken page, no row that points to nothing."""
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])
        self.assertEqual(self.query("PRAGMA foreign_key_check"), [])

    def file_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*"))

    def test_versions_go_too(self) -> None:
        """What deleted messages said goes with them (decisions 4.7, 4.11)."""
        root, other = self.post(), self.post(channel_id=self.other.id)
        self.delete(root, other, self.post(created_at=LATER_MS))
        self.assertEqual(self.query("SELECT count(*) FROM message_version"), [(3,)])
        self.expire()
        self.sweep()
        self.assertEqual(self.query("SELECT count(*) FROM message_version"), [(2,)])
        self.delete_channel(self.other)
        self.sweep()
        self.assertEqual(self.query("SELECT count(*) FROM message_version"), [(1,)])

    def test_nothing_is_left(self) -> None:
        """The marks of what was on its way out go with the last of it."""
        self.post_many(200, self.post())
        self.expire()
        self.assertEqual(len(self.query("SELECT root_id FROM expired_thread")), 1)
        self.delete_channel(self.general)
        self.sweep()
        self.assertEqual(self.query("SELECT root_id FROM expired_thread"), [])
        self.assertEqual(self.query("SELECT name FROM channel"), [("other",)])

    def test_many_readers(self) -> None:
        """Read positions of a deleted channel go in slices as well."""
        accounts = [(number, f"user{number}", "", 0, 0, 0) for number in range(1, 301)]
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executemany(
                "INSERT INTO account (id, nickname, password_hash, user_flags, created_at, last_seen) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                accounts,
            )
            connection.execute(f"INSERT INTO read_state SELECT id, {self.general.id}, 0, 0 FROM account")
            connection.commit()
        self.delete_channel(self.general)
        self.assertGreater(self.sweep(), 2)
        self.assertEqual(self.query("SELECT count(*) FROM read_state"), [(0,)])
        self.assertEqual(self.channel_ids(), [self.other.id])

    def test_space_comes_back(self) -> None:
        """Once everything is swept, the file and its log are as small as if nothing had ever been posted."""
        empty = self.path.stat().st_size
        for _ in range(20):
            self.post_many(100, content=b"x" * 500)
        full = self.file_bytes()
        self.assertGreater(full, 10 * empty)
        self.expire()
        swept = []
        while (slice_ := self.result(self.storage.sweep())).more:
            swept.append(slice_)
        self.assertLess(self.file_bytes(), empty + 100_000)
        self.assertGreater(sum(slice_.freed_bytes for slice_ in swept), full // 4)
        self.assertEqual(self.query("PRAGMA freelist_count"), [(0,)])

    def test_space_among_what_stays(self) -> None:
        """Space comes back although young messages stand at the end of the file."""
        for _ in range(20):
            self.post_many(100, content=b"x" * 500)
        young = self.post_many(100, content=b"y" * 500, created_at=LATER_MS)
        self.reopen()
        full = self.path.stat().st_size
        self.expire()
        self.sweep()
        self.assertLess(self.path.stat().st_size, full // 4)
        self.assertEqual(self.exist(*young), [True] * 100)

    def test_crash(self) -> None:
        """What a crash leaves between any two slices is whole, and the next start goes on from there."""
        roots = self.post_many(100)
        last = self.post_many(150, roots[0])[-1]
        self.post_many(50, channel_id=self.other.id)
        self.delete_channel(self.other)
        after_id: int | None = 0
        crashes = 0
        while True:
            if after_id is not None:
                after_id = self.result(self.storage.expire(self.general.id, LATER_MS, after_id)).next_id
            elif not self.result(self.storage.sweep()).more:
                break
            crashes += 1
            self.assert_goes_on(self.crashed(f"{self.path}.crash{crashes}"), last)
        self.assertGreater(crashes, 6)

    def crashed(self, path: str) -> Path:
        """The files as they would be after a crash now."""
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", f"{path}{suffix}")
        return Path(path)

    def assert_goes_on(self, path: Path, last: Message) -> None:
        with closing(sqlite3.connect(path)) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
        before, self.storage = self.storage, SQLiteStorage(path, self.reactor)
        self.result(self.storage.open())
        self.assertEqual(self.channel_ids(), [self.general.id])
        self.assertGreater(self.post(created_at=LATER_MS).id, last.id)
        self.expire()
        self.sweep()
        self.assertEqual(self.rows(), (1, 1))
        self.result(self.storage.close())
        self.storage = before

    def test_reader_in_the_way(self) -> None:
        """While somebody reads, the file keeps its size and nobody waits; the next sweep makes up for it."""
        self.post_many(300, content=b"x" * 500)
        with closing(sqlite3.connect(self.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM message").fetchall()
            self.expire()
            self.sweep()
            in_the_way = self.file_bytes()
            reader.execute("ROLLBACK")
        self.sweep()
        self.assertLess(self.file_bytes(), in_the_way // 2)
