"""What moderation asks of the database costs the same however many bans and acts there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.storage.connections import connect
from superchat.storage.migrations import prepare, shipped
from superchat.storage.moderation import queries

LISTS = (queries.ALL_BANS, queries.BANS_IN_FORCE)
"""These return all there are, or most of it."""


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
        wanted = {"account_id": 1, "name_key": "bob"} if ":name_key" in statement else [1] * statement.count("?")
        return [step for *_, step in self.connection.execute(f"EXPLAIN QUERY PLAN {statement}", wanted)]

    def test_nothing_is_scanned(self) -> None:
        """Every ban, name and act is found by an index; only lists read all."""
        for statement in statements():
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
