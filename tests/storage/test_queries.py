"""No statement's cost grows with what was ever posted."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.ids import Snowflakes
from superchat.model import Backlog, Message, NewChannel, NewMessage, View
from superchat.storage import queries, reads, writes
from superchat.storage.connections import connect
from superchat.storage.migrations import prepare, shipped
from superchat.storage.reads import Cursor

NOON_MS = 1_750_000_000_000
PAGES = (
    queries.ROOTS_BEFORE,
    queries.ROOTS_AFTER,
    queries.REPLIES_BEFORE,
    queries.REPLIES_AFTER,
    queries.ROOTS_SEEN_BEFORE,
    queries.ROOTS_SEEN_AFTER,
    queries.REPLIES_SEEN_BEFORE,
    queries.REPLIES_SEEN_AFTER,
)
COUNTS = (queries.COUNT_IN_CHANNEL, queries.COUNT_IN_THREAD)
COUNTS_SEEN = (queries.COUNT_SEEN_IN_CHANNEL, queries.COUNT_SEEN_IN_THREAD)
SUBTREES = (
    queries.SUBTREE_BEFORE,
    queries.SUBTREE_AFTER,
    queries.SUBTREE_SEEN_BEFORE,
    queries.SUBTREE_SEEN_AFTER,
)
TROLL = View(None, 2, frozenset({1}), frozenset({"troll"}))
"""A stranger, from whom an account's and an anonymous author's messages are withheld."""


def statements() -> Iterator[str]:
    """All there are."""
    for name, value in vars(queries).items():
        if name.isupper() and not name.startswith("_"):
            yield from value.values() if isinstance(value, dict) else [value]


class QueryTests(SynchronousTestCase):
    """What SQLite does for each statement, on the schema as it is shipped."""

    def setUp(self) -> None:
        path = Path(self.mktemp())
        prepare(path, 0, shipped())
        self.connection = connect(path)
        self.addCleanup(self.connection.close)
        self.ids = Snowflakes()
        self.channel = writes.create_channel(NewChannel("general", "", "", 1, 0), NOON_MS, self.connection)

    def append(self, count: int, parent: Message | None = None) -> list[Message]:
        new = NewMessage(self.channel.id, None if parent is None else parent.id, "anna", 1, b"x" * 100, NOON_MS)
        self.connection.execute("BEGIN")
        appended = writes.append_messages(self.ids, [new] * count, self.connection)
        self.connection.execute("COMMIT")
        return [message for message in appended if isinstance(message, Message)]

    def delete(self, messages: list[Message]) -> None:
        self.connection.execute("BEGIN")
        for message in messages:
            writes.delete_message(message.id, b"", NOON_MS, "", None, self.connection)
        self.connection.execute("COMMIT")

    def plan(self, statement: str) -> list[str]:
        names = re.findall(r":(\w+)", statement)
        wanted = dict.fromkeys(names, "[1]") if names else ["[1]"] * statement.count("?")
        return [step for *_, step in self.connection.execute(f"EXPLAIN QUERY PLAN {statement}", wanted)]

    def instructions(self, action: Callable[[sqlite3.Connection], object]) -> int:
        """How many steps of SQLite's virtual machine ``action`` takes: its cost without a clock."""
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        self.connection.set_progress_handler(count, 1)
        action(self.connection)
        self.connection.set_progress_handler(None, 0)
        return steps

    def assert_about_as_cheap(self, cost: int, before: int) -> None:
        """What is at the end of an index, or not, makes a few instructions' difference."""
        self.assertLessEqual(cost, before * 1.1)

    def test_no_statement_scans_messages(self) -> None:
        """Every statement finds messages by an index (reference P3, P6)."""
        for statement in statements():
            for step in self.plan(statement):
                self.assertNotRegex(step, r"SCAN (message|reply|m)\b", statement)

    def main_steps(self, statement: str) -> list[str]:
        """What is done with messages themselves, apart from looking up their authors and what is gone or withheld."""
        return [step for step in self.plan(statement) if re.search(r"message\b|TEMP B-TREE", step)]

    def test_pages_are_read_in_index_order(self) -> None:
        """A page is not sorted: its index is read from the cursor on, as far as its limit, whoever reads."""
        for statement in PAGES:
            (step,) = self.main_steps(statement)
            self.assertRegex(step, r"SEARCH message USING INDEX message_(root|reply) \(.*id[<>]\?\)")

    def test_counts_read_their_index_only(self) -> None:
        """Counting touches no message, only index entries newer than the time (reference P6)."""
        for statement in COUNTS:
            for step in self.main_steps(statement):
                self.assertRegex(step, r"USING COVERING INDEX message_(channel|thread)_age .*created_at>")

    def test_counts_seen_read_their_index(self) -> None:
        """With authors withheld, only messages newer than the time are looked at."""
        for statement in COUNTS_SEEN:
            for step in self.main_steps(statement):
                self.assertRegex(step, r"USING INDEX message_(channel|thread)_age .*created_at>")

    def test_withheld_are_found_by_their_threads(self) -> None:
        """Replies that are withheld are looked for among the living of the page's threads only."""
        for statement in (queries.WITHHELD_IN_THREADS, queries.WITHHELD_AND_ABOVE):
            plan = "\n".join(self.plan(statement))
            self.assertIn("INDEX message_thread_age (root_id=? AND channel_id=? AND deleted_at=?)", plan)

    def test_subtree_sorts_ids_only(self) -> None:
        """Below a reply the tree is walked in an index, and only the page's messages are read whole."""
        for statement in SUBTREES:
            plan = self.plan(statement)
            self.assertEqual(sum("USING COVERING INDEX message_parent" in step for step in plan), 2)
            self.assertTrue(plan[0].startswith("SEARCH message USING INTEGER PRIMARY KEY"))

    def test_keys_are_checked_by_index(self) -> None:
        """Removing a thread, as retention will, looks up what points to it by index (decisions 4.11)."""
        small, large = self.append(1)[0], self.append(1)[0]
        self.append(5, small)
        self.append(5, large)

        def remove(root: Message, connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM message WHERE root_id = ?", (root.id,))

        before = self.instructions(partial(remove, small))
        self.append(2000)
        self.assert_about_as_cheap(self.instructions(partial(remove, large)), before)

    def test_reads_cost_the_same_whatever_came_before(self) -> None:
        """Pages, counts and single messages cost the same after a long history, deleted messages included."""
        root = self.append(60)[0]
        reply = self.append(60, root)[0]
        self.append(60, reply)
        nothing, all_of_it = Cursor(50, None, None), View()
        actions: list[Callable[[sqlite3.Connection], object]] = [
            partial(reads.root_page, self.channel.id, nothing, all_of_it),
            partial(reads.root_page, self.channel.id, Cursor(50, None, 0), all_of_it),
            partial(reads.thread_page, root.id, nothing, all_of_it),
            partial(reads.thread_page, root.id, Cursor(50, None, 0), all_of_it),
            partial(reads.thread_page, reply.id, nothing, all_of_it),
            partial(reads.counts_since, [Backlog(self.channel.id, NOON_MS)], all_of_it),
            partial(reads.counts_since, [Backlog(self.channel.id, NOON_MS, root.id)], all_of_it),
            partial(reads.counts_since, [Backlog(self.channel.id, NOON_MS)], TROLL),
            partial(reads.message, reply.id, all_of_it),
            partial(reads.seen_ancestor, reply.id, TROLL),
            partial(reads.channels_of, [reply.id]),
            reads.last_message_id,
        ]
        before = [self.instructions(action) for action in actions]
        self.append(1000)
        self.delete(self.append(1000))
        self.delete(self.append(1000, root))
        self.append(1000, self.append(1)[0])
        self.append(60, root)
        after = [self.instructions(action) for action in actions]
        for cost_after, cost_before in zip(after, before, strict=True):
            self.assert_about_as_cheap(cost_after, cost_before)

    def test_appending_costs_the_same_whatever_came_before(self) -> None:
        """A post costs the same in a channel with a long history."""
        root = self.append(20)[0]

        def post(connection: sqlite3.Connection) -> None:
            new = NewMessage(self.channel.id, root.id, "anna", 1, b"text", NOON_MS)
            writes.append_messages(self.ids, [new], connection)

        before = self.instructions(post)
        self.append(1000)
        self.append(1000, root)
        self.assert_about_as_cheap(self.instructions(post), before)

    def test_together_costs_less_than_alone(self) -> None:
        """Messages that are committed together share their statements."""
        executed: list[str] = []
        self.connection.set_trace_callback(executed.append)
        self.append(256 + 32 + 16 + 4 + 1, self.append(1)[0])
        self.connection.set_trace_callback(None)
        # Each time BEGIN, look up, count and COMMIT; a first insert, then five.
        self.assertEqual(len([text for text in executed if not text.startswith("--")]), 3 + 1 + 4 + 5)
