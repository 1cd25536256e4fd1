"""The storage in memory keeps the contract about accounts."""

from __future__ import annotations

from tests.storage.accounts import contract
from tests.storage.engines import MemoryTestCase


class MemoryAccountsTests(MemoryTestCase, contract.AccountsContract):
    """``MemoryStorage``."""
