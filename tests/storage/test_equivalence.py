"""Whatever is done to them, the storage on SQLite answers as the one in memory does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.model import Channel, Message, NewChannel, NewMessage
from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.reactor import SteppedReactor

NOON_MS = 1_750_000_000_000
DRIFT_MS = st.integers(-3, 3)

# A step names a message by its place among those that were there before its round.
STEPS = st.one_of(
    st.tuples(st.just("root"), st.just(0), DRIFT_MS),
    st.tuples(st.just("reply"), st.integers(0, 50), DRIFT_MS),
    st.tuples(st.just("delete"), st.integers(0, 50), DRIFT_MS),
)
ROUNDS = st.lists(st.lists(STEPS, min_size=1, max_size=10), min_size=1, max_size=5)
EDGES = st.none() | st.integers(-1, 60)


class EquivalenceTests(SynchronousTestCase):
    """``SQLiteStorage`` against ``MemoryStorage``."""

    def setUp(self) -> None:
        self.reactor = SteppedReactor()
        self.memory = MemoryStorage()
        self.sqlite = SQLiteStorage(Path(self.mktemp()), self.reactor)
        for storage in (self.memory, self.sqlite):
            self.successResultOf(storage.open())
        self.addCleanup(lambda: self.outcome(self.sqlite.close()))
        self.examples = 0

    def outcome(self, deferred: Deferred[Any]) -> Any:
        """The result, or the type of the refusal."""
        answers: list[Any] = []
        deferred.addErrback(lambda failure: failure.type)
        deferred.addCallback(answers.append)
        self.reactor.run_until_fired(deferred)
        return answers[0]

    @settings(max_examples=30, derandomize=True, database=None, deadline=None)
    @given(ROUNDS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6), EDGES, EDGES), max_size=12))
    def test_same_answers(
        self, rounds: list[list[tuple[str, int, int]]], pages: list[tuple[int, int, int | None, int | None]]
    ) -> None:
        """Posts, replies and deletions in any order give the same messages, pages and counts in both."""
        self.examples += 1
        new = NewChannel(f"channel {self.examples}", "", "", 1, 0)
        place: Channel = self.compare(lambda storage: storage.create_channel(new, NOON_MS))
        posted: list[Message] = []
        for steps in rounds:
            self.play(place, posted, steps)
        for message in posted:
            self.compare(lambda storage, message=message: storage.message(message.id))
            self.compare(lambda storage, message=message: storage.thread_page(message.id, 200, None, None))
        for page in pages:
            self.compare_page(place, posted, *page)

    def compare(self, ask: Any) -> Any:
        """Ask both the same, and return what both answer."""
        expected = self.outcome(ask(self.memory))
        self.assertEqual(self.outcome(ask(self.sqlite)), expected)
        return expected

    def play(self, place: Channel, posted: list[Message], steps: list[tuple[str, int, int]]) -> None:
        """Take all ``steps`` at once, so that SQLite commits many of them together."""
        before = [*posted]
        expected = [self.step(self.memory, place, before, *step) for step in steps]
        answered = [self.step(self.sqlite, place, before, *step) for step in steps]
        for (kind, *_), wanted, got in zip(steps, expected, answered, strict=True):
            outcome = self.outcome(wanted)
            self.assertEqual(self.outcome(got), outcome)
            if kind != "delete" and isinstance(outcome, Message):
                posted.append(outcome)

    def step(
        self, storage: IStorage, place: Channel, before: list[Message], kind: str, target: int, drift_ms: int
    ) -> Deferred[Message]:
        now_ms = NOON_MS + drift_ms
        target_id = before[target % len(before)].id if before else 0
        if kind == "delete":
            return storage.delete_message(target_id, b"[deleted]", now_ms, "~bob")
        parent_id = target_id if kind == "reply" else None
        return storage.append_message(NewMessage(place.id, parent_id, "anna", 1, b"text", now_ms))

    def compare_page(
        self, place: Channel, posted: list[Message], whose: int, limit: int, before: int | None, after: int | None
    ) -> None:
        """Read pages from edges at, between and beyond the messages, and count from there."""
        ids = [message.id for message in posted] or [0]
        before_id, after_id = (None if edge is None else ids[edge % len(ids)] + edge % 2 for edge in (before, after))
        message_id = ids[whose % len(ids)]
        self.compare(lambda storage: storage.root_page(place.id, limit, before_id, after_id))
        self.compare(lambda storage: storage.thread_page(message_id, limit, before_id, after_id))
        since_ms = NOON_MS + limit - 3
        self.compare(lambda storage: storage.count_since(place.id, since_ms))
        self.compare(lambda storage: storage.count_since(place.id, since_ms, root_id=message_id))
