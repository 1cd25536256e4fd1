"""The storage in memory keeps the contract."""

from __future__ import annotations

from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from tests.storage import contract, view_contract
from tests.storage.engines import MemoryTestCase


class MemoryMessagesTestCase(MemoryTestCase, contract.MessagesTestCase):
    """Plays with messages in memory."""

    def make_empty_storage(self) -> IStorage:
        return MemoryStorage()

    def stored_versions(self, message_id: int) -> list[tuple[str, bytes, str]]:
        assert self._engine is not None
        return [(kind, original.content, who) for kind, original, who in self._engine._versions[message_id]]


class MemoryStorageTests(MemoryMessagesTestCase, contract.StorageContract):
    """``MemoryStorage``."""


class MemoryViewTests(MemoryMessagesTestCase, view_contract.ViewContract):
    """``MemoryStorage``, through readers' eyes."""
