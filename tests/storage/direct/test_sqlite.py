"""The storage on SQLite keeps the contract about direct conversations."""

from __future__ import annotations

from tests.storage.direct import contract
from tests.storage.engines import SQLiteTestCase


class SQLiteDirectTests(SQLiteTestCase, contract.DirectContract):
    """``SQLiteStorage``."""
