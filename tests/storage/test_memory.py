"""The storage in memory keeps the contract."""

from __future__ import annotations

from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from tests.storage import contract


class MemoryStorageTests(contract.StorageContract):
    """``MemoryStorage``."""

    _engine: MemoryStorage | None = None

    def make_storage(self) -> IStorage:
        """There is only one of each test, since nothing else could find its data."""
        if self._engine is None:
            self._engine = MemoryStorage()
        return self._engine

    def make_empty_storage(self) -> IStorage:
        return MemoryStorage()

    def stored_versions(self, message_id: int) -> list[tuple[str, bytes, str]]:
        assert self._engine is not None
        versions = [self._engine._originals[message_id]]
        return [("deleted", original.content, deleted_by) for original, deleted_by in versions]
