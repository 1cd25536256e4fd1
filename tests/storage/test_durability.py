"""What was acknowledged is there after the process was killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import superchat
import tests
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.reactor import SteppedReactor

ROUNDS = (1, 333, 60)
"""How many confirmations each process lives to see."""


class DurabilityTests(SynchronousTestCase):
    """``SQLiteStorage`` and kill -9."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def confirmed_before_the_kill(self, confirmations: int) -> list[tuple[str, int]]:
        """Run a process on the database, kill it, and return all that was confirmed to it, in order."""
        roots = [str(Path(package.__path__[0]).parent) for package in (superchat, tests)]
        command = [sys.executable, "-m", "tests.storage.appender", str(self.path)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(confirmations)]
            process.kill()
            lines += process.stdout.readlines()
        pairs = [line.split() for line in lines if line.endswith(b"\n")]
        return [(what.decode(), int(message_id)) for what, message_id in pairs]

    def reopen(self) -> None:
        """Start on what the killed process left, as the next one will, and stop."""
        reactor = SteppedReactor()
        storage = SQLiteStorage(self.path, reactor)
        self.successResultOf(storage.open())
        reactor.run_until_fired(storage.close())

    def test_kill_loses_nothing_that_was_acknowledged(self) -> None:
        """kill -9 at any moment loses no confirmed message or deletion (decisions 4.6; reference W20)."""
        posted: list[int] = []
        deleted: set[int] = set()
        for confirmations in ROUNDS:
            confirmed = self.confirmed_before_the_kill(confirmations)
            self.assertGreaterEqual(len(confirmed), confirmations)
            posted += [message_id for what, message_id in confirmed if what == "posted"]
            deleted |= {message_id for what, message_id in confirmed if what == "deleted"}
            self.assertEqual(posted, sorted(set(posted)))
            self.reopen()
            with closing(sqlite3.connect(self.path)) as connection:
                self.assert_all_there(connection, posted, deleted)
                self.assert_consistent(connection)

    def assert_all_there(self, connection: sqlite3.Connection, posted: list[int], deleted: set[int]) -> None:
        stored = dict(connection.execute("SELECT id, deleted_at IS NOT NULL FROM message"))
        self.assertEqual(set(posted) - stored.keys(), set())
        self.assertEqual({message_id for message_id in deleted if not stored[message_id]}, set())

    def assert_consistent(self, connection: sqlite3.Connection) -> None:
        """Nothing is half done: no broken page, key, count or version."""
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
        rows = connection.execute("SELECT id, parent_id, deleted_at, reply_count FROM message").fetchall()
        parents = {message_id: parent_id for message_id, parent_id, *_ in rows}
        living: Counter[int] = Counter()
        for _, ancestor, deleted_at, _ in rows:
            while deleted_at is None and ancestor is not None:
                living[ancestor] += 1
                ancestor = parents[ancestor]
        self.assertEqual({row[0]: row[3] for row in rows if row[3]}, dict(living))
        versions = {message_id for (message_id,) in connection.execute("SELECT message_id FROM message_version")}
        self.assertEqual(versions, {row[0] for row in rows if row[2] is not None})
