"""Whatever is done to them, the storage on SQLite answers as the one in memory does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.model import Account, Backlog, Channel, Message, NewAccount, NewChannel, NewMessage, View
from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.reactor import SteppedReactor

NOON_MS = 1_750_000_000_000
DRIFT_MS = st.integers(-3, 3)

# Who acts: two accounts, and two anonymous sessions of which one has an account's name.
PEOPLE = st.integers(0, 3)
NAMES = ("anna", "bob", "Anna", "carl")

# A step names a message by its place among those that were there before its round.
TARGETS = st.integers(0, 50)
STEPS = st.one_of(
    st.tuples(st.just("root"), st.just(0), PEOPLE, DRIFT_MS),
    st.tuples(st.just("reply"), TARGETS, PEOPLE, DRIFT_MS),
    st.tuples(st.just("delete"), TARGETS, PEOPLE, DRIFT_MS),
    st.tuples(st.just("edit"), TARGETS, PEOPLE, DRIFT_MS),
)
ROUNDS = st.lists(st.lists(STEPS, min_size=1, max_size=10), min_size=1, max_size=5)
EDGES = st.none() | st.integers(-1, 60)
PAGES = st.tuples(st.integers(0, 60), st.integers(0, 6), EDGES, EDGES)

# Who reads, and the accounts and names whose messages are withheld from them.
EYES = st.tuples(
    st.none() | PEOPLE, st.sets(st.integers(0, 1)), st.sets(st.sampled_from(["anna", "carl"])), st.booleans()
)
Step = tuple[str, int, int, int]


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

    @settings(max_examples=40, derandomize=True, database=None, deadline=None)
    @given(ROUNDS, st.lists(PAGES, max_size=10), st.lists(EYES, min_size=1, max_size=3), st.booleans())
    def test_same_answers(
        self,
        rounds: list[list[Step]],
        pages: list[tuple[int, int, int | None, int | None]],
        eyes: list[tuple[int | None, set[int], set[str], bool]],
        departed: bool,
    ) -> None:
        """Posts, replies, edits and deletions in any order give the same messages, pages and counts in both, through
        any reader's eyes (decisions 4.3, 4.12, 7.2)."""
        self.begin()
        posted: list[Message] = []
        for steps in rounds:
            self.play(posted, steps)
        if departed:
            self.compare(lambda storage: storage.delete_account(self.accounts[1].id, NOON_MS))
        for view in (View(), *(self.view(*each) for each in eyes)):
            for message in posted:
                self.compare_message(message.id, view)
            for page in pages:
                self.compare_page(posted, view, *page)

    def begin(self) -> None:
        """Let an example have a channel and accounts of its own, since the databases go on."""
        self.examples += 1
        new = NewChannel(f"channel {self.examples}", "", "", 1, 0)
        self.place: Channel = self.compare(lambda storage: storage.create_channel(new, NOON_MS))
        self.accounts: list[Account] = []
        for name in NAMES[:2]:
            account = NewAccount(f"{name}{self.examples}", "hash", 0, NOON_MS)
            self.accounts.append(self.compare(lambda storage, new=account: storage.create_account(new)))

    def compare(self, ask: Any) -> Any:
        """Ask both the same, and return what both answer."""
        expected = self.outcome(ask(self.memory))
        self.assertEqual(self.outcome(ask(self.sqlite)), expected)
        return expected

    def view(self, reader: int | None, accounts: set[int], names: set[str], with_session: bool) -> View:
        """The eyes of one of the people, or of somebody else."""
        account = self.accounts[reader].id if reader is not None and reader < len(self.accounts) else None
        session = reader if with_session else None
        return View(account, session, frozenset(self.accounts[each].id for each in accounts), frozenset(names))

    def play(self, posted: list[Message], steps: list[Step]) -> None:
        """Take all ``steps`` at once, so that SQLite commits many of them together."""
        before = [*posted]
        expected = [self.step(self.memory, before, *step) for step in steps]
        answered = [self.step(self.sqlite, before, *step) for step in steps]
        for (kind, *_), wanted, got in zip(steps, expected, answered, strict=True):
            outcome = self.outcome(wanted)
            self.assertEqual(self.outcome(got), outcome)
            if kind in ("root", "reply") and isinstance(outcome, Message):
                posted.append(outcome)

    def step(
        self, storage: IStorage, before: list[Message], kind: str, target: int, who: int, drift_ms: int
    ) -> Deferred[Message]:
        now_ms = NOON_MS + drift_ms
        target_id = before[target % len(before)].id if before else 0
        if kind == "delete":
            return storage.delete_message(target_id, b"[deleted]", now_ms, "~bob")
        if kind == "edit":
            return storage.edit_message(target_id, b"other text", now_ms, "~bob")
        parent_id = target_id if kind == "reply" else None
        account = self.accounts[who] if who < len(self.accounts) else None
        name = NAMES[who] if account is None else account.nickname
        author_id = None if account is None else account.id
        return storage.append_message(NewMessage(self.place.id, parent_id, name, who, b"text", now_ms, author_id))

    def compare_message(self, message_id: int, view: View) -> None:
        """Read a message, what is below it, and what is above."""
        self.compare(lambda storage: storage.message(message_id, view))
        self.compare(lambda storage: storage.thread_page(message_id, 200, None, None, view))
        self.compare(lambda storage: storage.seen_ancestor(message_id, view))

    def compare_page(
        self,
        posted: list[Message],
        view: View,
        whose: int,
        limit: int,
        before: int | None,
        after: int | None,
    ) -> None:
        """Read pages from edges at, between and beyond the messages, and count from there."""
        ids = [message.id for message in posted] or [0]
        before_id, after_id = (None if edge is None else ids[edge % len(ids)] + edge % 2 for edge in (before, after))
        message_id, place = ids[whose % len(ids)], self.place.id
        self.compare(lambda storage: storage.root_page(place, limit, before_id, after_id, view))
        self.compare(lambda storage: storage.thread_page(message_id, limit, before_id, after_id, view))
        since_ms = NOON_MS + limit - 3
        backlogs = [Backlog(place, since_ms), Backlog(place, since_ms, message_id)]
        self.compare(lambda storage: storage.counts_since(backlogs, view))
