"""The storage in memory keeps the contract."""

from __future__ import annotations

from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from tests.storage import contract, view_contract


class MemoryTestCase(contract.EngineTestCase):
    """Plays with ``MemoryStorage``."""

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
        return [(kind, original.content, who) for kind, original, who in self._engine._versions[message_id]]


class MemoryStorageTests(MemoryTestCase, contract.StorageContract):
    """``MemoryStorage``."""


class MemoryViewTests(MemoryTestCase, view_contract.ViewContract):
    """``MemoryStorage``, through readers' eyes."""
