"""What direct conversations ask of the database costs the same however many there are."""

from __future__ import annotations

import sqlite3

from superchat.storage.direct import queries
from tests.storage.plans import PlanTestCase, statements

AT_START = (
    queries.ALL_PARTICIPANTS,
    queries.SESSIONS,
    queries.REMOVE_SESSIONS,
    queries.REMOVE_INVITES_BY_SESSIONS,
    queries.REMOVE_INVITES_TO_SESSIONS,
)
"""These are asked once, when the server starts, and of all there is."""


class QueryTests(PlanTestCase):
    """What SQLite does for each statement, on the schema as it is shipped."""

    def test_nothing_is_scanned(self) -> None:
        """Every participant, invite and channel is found by an index."""
        for statement in statements(queries):
            if statement not in AT_START:
                for step in self.plan(statement):
                    self.assertNotRegex(step, r"SCAN (participant|invite|channel|account)\b", statement)

    def test_sides_have_an_index_each(self) -> None:
        """The invites of somebody are found from both of their sides."""
        plan = "\n".join(self.plan(queries.INVITES))
        for index in ("invite_initiator", "invite_target"):
            self.assertIn(index, plan)

    def test_one_of_each_pair(self) -> None:
        """The schema itself holds no two invites of one initiator to one target, accounts or sessions."""
        self.connection.execute(
            """INSERT INTO account (nickname, user_flags, password_hash, created_at, last_seen)
            VALUES ('anna', 0, '', 0, 0)"""
        )
        for parties in ((1, None, None, 7), (None, 7, 1, None), (None, 7, None, 8)):
            row = (*parties[:2], "", *parties[2:], "", 0, 0)
            self.connection.execute(queries.INSERT_INVITE, row)
            with self.assertRaisesRegex(sqlite3.IntegrityError, "UNIQUE"):
                self.connection.execute(queries.INSERT_INVITE, row)

    def test_a_party_is_an_account_or_a_session(self) -> None:
        """The schema itself holds nobody who is neither an account nor a session, or both."""
        for party in ((None, None), (1, 1)):
            row = (*party, "", None, 7, "", 0, 0)
            with self.assertRaisesRegex(sqlite3.IntegrityError, "CHECK"):
                self.connection.execute(queries.INSERT_INVITE, row)
