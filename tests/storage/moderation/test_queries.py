"""What moderation asks of the database costs the same however many bans and acts there are."""

from __future__ import annotations

from typing import Any

from superchat.storage.moderation import queries
from tests.storage.plans import PlanTestCase, statements

LISTS = (queries.ALL_BANS, queries.BANS_IN_FORCE)
"""These return all there are, or most of it."""


class QueryTests(PlanTestCase):
    """What SQLite does for each statement, on the schema as it is shipped."""

    def parameters(self, statement: str) -> Any:
        return {"account_id": 1, "name_key": "bob"} if ":name_key" in statement else super().parameters(statement)

    def test_nothing_is_scanned(self) -> None:
        """Every ban, name and act is found by an index; only lists read all."""
        for statement in statements(queries):
            if statement not in LISTS:
                for step in self.plan(statement):
                    self.assertNotRegex(step, r"SCAN (ban|act|account|account_name)\b", statement)

    def test_lists_are_not_sorted(self) -> None:
        """Lists are read in their order, from the newest on."""
        for statement in (*LISTS, queries.ACTS):
            self.assertEqual([step for step in self.plan(statement) if "TEMP B-TREE" in step], [], statement)

    def test_users_are_found_by_index(self) -> None:
        """Lifting a ban reads those of the account and of the name alone."""
        plan = "\n".join(self.plan(queries.USER_BANS))
        for index in ("ban_account", "ban_name"):
            self.assertIn(index, plan)
