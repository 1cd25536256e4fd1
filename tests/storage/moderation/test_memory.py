"""The storage in memory keeps the contract about bans and the audit log."""

from __future__ import annotations

from tests.storage.engines import MemoryTestCase
from tests.storage.moderation import contract


class MemoryModerationTests(MemoryTestCase, contract.ModerationContract):
    """``MemoryStorage``."""
