"""Both engines take out the same messages, whatever happened before, and whatever the sizes of the slices."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from superchat.model import NewChannel, NewMessage
from superchat.storage.interface import IStorage
from superchat.storage.memory import MemoryStorage
from superchat.storage.removal.pace import Pace
from superchat.storage.removal.writes import Paces
from superchat.storage.sqlite import SQLiteStorage
from tests.storage.reactor import SteppedReactor

T = TypeVar("T")

NOON_MS = 1_750_000_000_000
STEP = st.tuples(
    st.sampled_from(["root", "reply", "reply", "reply", "delete", "expire", "sweep", "delete channel"]),
    st.integers(0, 1),
    st.integers(0, 30),
    st.integers(-5, 8),
)
"""What is done, in which channel, to which message or before which time, and what the clock says beside the time."""


def name_of(failure: Failure) -> str:
    """What kind of refusal it is."""
    return type(failure.value).__name__


class EquivalenceTests(SynchronousTestCase):
    """SQLite beside memory."""

    def start(self, size: int) -> None:
        self.reactor = SteppedReactor()
        self.path = Path(self.mktemp())
        sqlite = SQLiteStorage(self.path, self.reactor)
        sqlite._paces = Paces(*[Pace(size, size, size) for _ in range(3)])
        self.storages: list[IStorage] = [MemoryStorage(), sqlite]
        for storage in self.storages:
            self.successResultOf(storage.open())
            self.channels = [
                self.outcome(storage.create_channel(NewChannel(name, name, "", 1, 24), NOON_MS)).id
                for name in ("general", "other")
            ]
        self.posted: list[int] = []

    def outcome(self, deferred: Deferred[T]) -> T:
        self.reactor.run_until_fired(deferred)
        return self.successResultOf(deferred)

    def compared(self, *deferreds: Deferred[Any]) -> Any:
        """What both engines answer."""
        answers: list[Any] = []
        for deferred in deferreds:
            deferred.addErrback(name_of)
            answers.append(self.outcome(deferred))
        self.assertEqual(answers[0], answers[1])
        return answers[0]

    def step(self, kind: str, place: int, number: int, now_ms: int) -> None:
        channel_id = self.channels[place]
        message_id = self.posted[number % len(self.posted)] if self.posted else 0
        if kind in ("root", "reply"):
            new = NewMessage(channel_id, None if kind == "root" else message_id, "anna", 1, b"", now_ms)
            stored = self.compared(*[storage.append_message(new) for storage in self.storages])
            if not isinstance(stored, str):
                self.posted.append(stored.id)
        elif kind == "delete":
            self.compared(*[storage.delete_message(message_id, b"", now_ms, "") for storage in self.storages])
        elif kind == "delete channel" and number < 3:
            self.compared(*[storage.delete_channel(channel_id, now_ms) for storage in self.storages])
        elif kind == "expire":
            gone = [self.expired(storage, channel_id, now_ms - number) for storage in self.storages]
            self.assertEqual(gone[0], gone[1])
        elif kind == "sweep":
            self.outcome(self.storages[1].sweep())

    def expired(self, storage: IStorage, channel_id: int, before_ms: int) -> list[int]:
        roots: list[int] = []
        after_id: int | None = 0
        while after_id is not None:
            expired = self.outcome(storage.expire(channel_id, before_ms, after_id))
            roots += expired.roots
            after_id = expired.next_id
        return sorted(roots)

    def check(self) -> None:
        """The same messages are there, on the same pages, with the same counts."""
        for message_id in self.posted:
            self.compared(*[storage.message(message_id) for storage in self.storages])
        for channel_id in self.channels:
            self.compared(*[storage.root_page(channel_id, 99, None, None) for storage in self.storages])

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(steps=st.lists(STEP, min_size=10, max_size=60), size=st.integers(1, 5))
    def test_same(self, steps: list[tuple[str, int, int, int]], size: int) -> None:
        """Clocks drift, threads are deleted in part, slices are tiny: what is old is the same for both."""
        self.start(size)
        for passed, (kind, place, number, drift) in enumerate(steps):
            self.step(kind, place, number, NOON_MS + passed + drift)
            self.check()
        while self.outcome(self.storages[1].sweep()).more:
            pass
        self.check()
        sizes = [self.outcome(storage.measure()) for storage in self.storages]
        self.assertEqual((sizes[0].channels, sizes[0].messages), (sizes[1].channels, sizes[1].messages))
        for storage in self.storages:
            self.outcome(storage.close())
        with closing(sqlite3.connect(self.path)) as connection:
            self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
