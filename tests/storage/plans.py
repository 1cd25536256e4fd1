"""What SQLite means to do for a statement, on the schema as it is shipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.connections import connect
from superchat.storage.migrations import prepare, shipped


def statements(queries: ModuleType) -> Iterator[str]:
    """All the statements of a module."""
    return (value for name, value in vars(queries).items() if name.isupper() and not name.startswith("_"))


class PlanTestCase(SynchronousTestCase):
    """Asks an empty database for its plans."""

    def setUp(self) -> None:
        path = Path(self.mktemp())
        prepare(path, 0, shipped())
        self.connection = connect(path)
        self.addCleanup(self.connection.close)

    def parameters(self, statement: str) -> Any:
        """What a statement is given; its plan does not depend on that."""
        return [1] * statement.count("?")

    def plan(self, statement: str) -> list[str]:
        """The steps."""
        explained = self.connection.execute(f"EXPLAIN QUERY PLAN {statement}", self.parameters(statement))
        return [step for *_, step in explained]
