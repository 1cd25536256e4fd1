"""The storage in memory keeps the contract about what is deleted or expires."""

from __future__ import annotations

from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from tests.storage.removal import contract


class MemoryRemovalTests(contract.RemovalContract):
    """``MemoryStorage``."""

    _engine: MemoryStorage | None = None

    def make_storage(self) -> IStorage:
        """There is only one of each test, since nothing else could find its data."""
        if self._engine is None:
            self._engine = MemoryStorage()
        return self._engine
