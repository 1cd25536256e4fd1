"""The storage on SQLite keeps the contract about accounts."""

from __future__ import annotations

from tests.storage.accounts import contract
from tests.storage.engines import SQLiteTestCase


class SQLiteAccountsTests(SQLiteTestCase, contract.AccountsContract):
    """``SQLiteStorage``."""
