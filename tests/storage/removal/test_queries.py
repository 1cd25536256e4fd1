"""What a slice costs depends on its size, not on what was ever posted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from superchat.ids import Snowflakes
from superchat.model import Channel, Message, NewChannel, NewMessage
from superchat.storage import writes as message_writes
from superchat.storage.removal import queries, writes
from superchat.storage.removal.pace import Pace
from superchat.storage.removal.writes import Paces, Stretch
from tests.storage.plans import PlanTestCase, statements

NOON_MS = 1_750_000_000_000
LATER_MS = NOON_MS + 1000
UNINDEXED = (
    r"SCAN (message|root|reply|living|read_state|participant|channel(?! USING INDEX channel_deleted))\b(?! VIRTUAL)"
)


def paces(size: int) -> Paces:
    """Slices of this size."""
    return Paces(*[Pace(size, size, size) for _ in range(3)])


class QueryTests(PlanTestCase):
    """What SQLite does for each statement, on the schema as it is shipped."""

    def setUp(self) -> None:
        super().setUp()
        self.ids = Snowflakes()
        self.channels = [self.channel(name) for name in ("general", "other")]

    def channel(self, name: str) -> Channel:
        return message_writes.create_channel(NewChannel(name, "", "", 1, 24), NOON_MS, self.connection)

    def append(self, count: int, parent: Message | None = None, created_at: int = NOON_MS) -> list[Message]:
        parent_id = None if parent is None else parent.id
        new = NewMessage(self.channels[0].id, parent_id, "anna", 1, b"x" * 100, created_at)
        self.connection.execute("BEGIN")
        appended = message_writes.append_messages(self.ids, [new] * count, self.connection)
        self.connection.execute("COMMIT")
        return [message for message in appended if isinstance(message, Message)]

    def parameters(self, statement: str) -> Any:
        count = max((number for number in range(1, 7) if f"?{number}" in statement), default=statement.count("?"))
        return [json.dumps([1])] * count

    def instructions(self, action: Callable[[], object]) -> int:
        """How many steps of SQLite's virtual machine ``action`` takes: its cost without a clock."""
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        self.connection.set_progress_handler(count, 1)
        action()
        self.connection.set_progress_handler(None, 0)
        return steps

    def undone(self, action: Callable[[sqlite3.Connection], object]) -> Callable[[], object]:
        """Do something, and undo it."""

        def act() -> None:
            self.connection.execute("BEGIN")
            action(self.connection)
            self.connection.execute("ROLLBACK")

        return act

    def test_nothing_is_scanned(self) -> None:
        """Every statement finds its rows by an index."""
        for statement in statements(queries):
            for step in self.plan(statement):
                self.assertNotRegex(step, UNINDEXED, statement)

    def test_roots_are_read_in_order(self) -> None:
        """Roots, visible or not, come from two indexes that are merged; nothing is sorted."""
        for statement in (queries.ROOTS, queries.DUE, queries.LAST_ROOT, queries.REMOVE_YOUNGEST):
            plan = self.plan(statement)
            self.assertIn("MERGE (UNION ALL)", plan)
            self.assertEqual([step for step in plan if "ORDER BY" in step], [])

    def test_slices_cost_the_same_whatever_came_before(self) -> None:
        """Looking for threads that are due, and removing some, costs the same in a long history."""
        old = self.append(50)
        replied = self.append(1)[0]
        self.append(300, replied)
        stretch = Stretch(self.channels[0].id, LATER_MS, 0)

        def expire(connection: sqlite3.Connection) -> None:
            writes.expire(stretch, paces(20), connection)

        def expire_long(connection: sqlite3.Connection) -> None:
            connection.execute(queries.EXPIRE_THREAD, (replied.id,))
            writes.sweep(paces(20), connection)

        def clear(connection: sqlite3.Connection) -> None:
            writes.delete_channel(self.channels[0].id, NOON_MS, None, connection)
            writes.sweep(paces(20), connection)

        actions = [self.undone(each) for each in (expire, expire_long, clear)]
        before = [self.instructions(action) for action in actions]
        self.append(2000, replied)
        self.append(2000, old[-1])
        self.append(2000)
        self.append(2000, created_at=LATER_MS)
        for cost_after, cost_before in zip(map(self.instructions, actions), before, strict=True):
            self.assertLessEqual(cost_after, cost_before * 1.1)

    def test_few_statements(self) -> None:
        """A slice is a handful of statements, each of which may have to wait for the interpreter's lock."""
        self.append(200)
        self.append(100, self.append(1)[0])
        executed: list[str] = []
        stretch = Stretch(self.channels[0].id, LATER_MS, 0)
        self.connection.execute("BEGIN")
        self.connection.set_trace_callback(executed.append)
        expired = writes.expire(stretch, paces(1000), self.connection)
        self.connection.set_trace_callback(None)
        self.connection.execute("COMMIT")
        self.assertEqual(expired.messages, 301)
        # SQLite traces a statement again for each row that goes with one that it removes.
        self.assertEqual(len({*executed}), 5)
