"""What accounts ask of the database costs the same however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.accounts import queries
from superchat.storage.connections import connect
from superchat.storage.migrations import prepare, shipped


def statements() -> Iterator[str]:
    """All there are."""
    return (value for name, value in vars(queries).items() if name.isupper() and not name.startswith("_"))


class QueryTests(SynchronousTestCase):
    """What SQLite does for each statement, on the schema as it is shipped."""

    def setUp(self) -> None:
        path = Path(self.mktemp())
        prepare(path, 0, shipped())
        self.connection = connect(path)
        self.addCleanup(self.connection.close)

    def plan(self, statement: str) -> list[str]:
        wanted = [1] * statement.count("?")
        return [step for *_, step in self.connection.execute(f"EXPLAIN QUERY PLAN {statement}", wanted)]

    def test_nothing_is_scanned(self) -> None:
        """Every account, name and key is found by an index."""
        for statement in statements():
            for step in self.plan(statement):
                self.assertNotRegex(step, r"SCAN ", statement)

    def test_nothing_is_sorted(self) -> None:
        """Lists are read in their order, as far as their limit."""
        for statement in (queries.ACCOUNTS, queries.SSH_KEYS):
            self.assertEqual([step for step in self.plan(statement) if "TEMP B-TREE" in step], [], statement)
