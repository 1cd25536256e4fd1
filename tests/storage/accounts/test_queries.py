"""What accounts ask of the database costs the same however many there are."""

from __future__ import annotations

from superchat.storage.accounts import queries
from tests.storage.plans import PlanTestCase, statements


class QueryTests(PlanTestCase):
    """What SQLite does for each statement, on the schema as it is shipped."""

    def test_nothing_is_scanned(self) -> None:
        """Every account, name and key is found by an index."""
        for statement in statements(queries):
            for step in self.plan(statement):
                self.assertNotRegex(step, r"SCAN ", statement)

    def test_nothing_is_sorted(self) -> None:
        """Lists are read in their order, as far as their limit."""
        for statement in (queries.ACCOUNTS, queries.SSH_KEYS):
            self.assertEqual([step for step in self.plan(statement) if "TEMP B-TREE" in step], [], statement)
