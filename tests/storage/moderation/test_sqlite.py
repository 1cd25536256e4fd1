"""The storage on SQLite keeps the contract about bans and the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from superchat.storage.interface import IStorage
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.moderation import contract
from tests.storage.reactor import SteppedReactor


class SQLiteModerationTests(contract.ModerationContract):
    """``SQLiteStorage``."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())
        super().setUp()

    def make_storage(self) -> IStorage:
        return SQLiteStorage(self.path, self.reactor)

    def finish(self, deferred: Deferred[Any]) -> None:
        self.reactor.run_until_fired(deferred)
