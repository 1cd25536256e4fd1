"""The storage in memory keeps the contract about what is deleted or expires."""

from __future__ import annotations

from tests.storage.engines import MemoryTestCase
from tests.storage.removal import contract


class MemoryRemovalTests(MemoryTestCase, contract.RemovalContract):
    """``MemoryStorage``."""
