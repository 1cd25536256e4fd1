"""The storage in memory keeps the contract about direct conversations."""

from __future__ import annotations

from tests.storage.direct import contract
from tests.storage.engines import MemoryTestCase


class MemoryDirectTests(MemoryTestCase, contract.DirectContract):
    """``MemoryStorage``."""
