"""The storage on SQLite keeps the contract, on a real file with real threads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from superchat.storage.interface import IStorage
from superchat.storage.sqlite import SQLiteStorage
from tests.storage import contract
from tests.storage.reactor import SteppedReactor


class SQLiteStorageTests(contract.StorageContract):
    """``SQLiteStorage``."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())
        super().setUp()

    def make_storage(self) -> IStorage:
        return SQLiteStorage(self.path, self.reactor)

    def finish(self, deferred: Deferred[Any]) -> None:
        self.reactor.run_until_fired(deferred)

    def stored_versions(self, message_id: int) -> list[tuple[str, bytes, str]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(
                "SELECT version_type, content, changed_by FROM message_version WHERE message_id = ?",
                (message_id,),
            ).fetchall()
