"""What every contract suite needs of an engine, and the engines there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.errors import StorageError
from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.reactor import SteppedReactor

T = TypeVar("T")

NOON_MS = 1_750_000_000_000
FAR_IDS = (2**63, 2**64 - 1, -(2**70))
"""Ids beyond what a database holds; the wire's ids have 64 bits."""


class EngineTestCase(SynchronousTestCase):
    """Plays with an engine that is open."""

    storage: IStorage

    def make_storage(self) -> IStorage:
        """An engine that has not been opened; the second one made in a test finds the first one's data."""
        raise NotImplementedError

    def finish(self, deferred: Deferred[Any]) -> None:
        """Let time pass until ``deferred`` has fired."""

    def result(self, deferred: Deferred[T]) -> T:
        self.finish(deferred)
        return self.successResultOf(deferred)

    def assert_refused(self, deferred: Deferred[Any], error: type[StorageError]) -> StorageError:
        self.finish(deferred)
        refusal: StorageError = self.failureResultOf(deferred, error).value
        self.assertIs(type(refusal), error)
        return refusal

    def setUp(self) -> None:
        self.storage = self.make_storage()
        self.result(self.storage.open())
        self.addCleanup(lambda: self.result(self.storage.close()))

    def reopen(self) -> None:
        """As a restart does."""
        self.result(self.storage.close())
        self.storage = self.make_storage()
        self.result(self.storage.open())


class SQLiteTestCase(EngineTestCase):
    """``SQLiteStorage``, on a real file with real threads."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())
        super().setUp()

    def make_storage(self) -> IStorage:
        return SQLiteStorage(self.path, self.reactor)

    def finish(self, deferred: Deferred[Any]) -> None:
        self.reactor.run_until_fired(deferred)


class MemoryTestCase(EngineTestCase):
    """``MemoryStorage``."""

    _engine: MemoryStorage | None = None

    def make_storage(self) -> IStorage:
        """There is only one of each test, since nothing else could find its data."""
        if self._engine is None:
            self._engine = MemoryStorage()
        return self._engine
