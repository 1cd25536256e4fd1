"""The storage on SQLite keeps the contract about bans and the audit log."""

from __future__ import annotations

from tests.storage.engines import SQLiteTestCase
from tests.storage.moderation import contract


class SQLiteModerationTests(SQLiteTestCase, contract.ModerationContract):
    """``SQLiteStorage``."""
