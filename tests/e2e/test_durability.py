"""What was acknowledged survives ``kill -9`` at any moment (decisions 4.6).

``SC_KILL_ROUNDS`` sets how often the server is killed under load, ``SC_KILL_SEED`` what chance does.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from superchat.client import ChatClient, ConnectionClosed, connect
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.e2e import peers
from tests.e2e.phrases import GENERAL, TECH, page, posting
from tests.e2e.server import UNLIMITED, RunningServer, interrupted_start, new_place

reactor: Any = the_reactor

ROUNDS = int(os.environ.get("SC_KILL_ROUNDS", "50"))
SEED = int(os.environ.get("SC_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
ROUNDS_PER_DATABASE = 5
LARGEST_PAGE = 200
LONGEST_LOAD_SECONDS = 0.3
PLACES = (GENERAL, TECH)


@attrs.frozen
class Row:
    """A message as it is stored."""

    id: int
    channel_id: int
    parent_id: int | None
    root_id: int
    author_nickname: str
    deleted_at: int | None
    reply_count: int
    content: bytes

    @property
    def is_visible(self) -> bool:
        """Whether lists show it: alive, or the tombstone of one with replies (decisions 4.7)."""
        return self.deleted_at is None or self.reply_count > 0


@attrs.define
class Ledger:
    """What clients were told by a server, and what they told it."""

    posted: dict[int, tuple[str, wire.PostMessage]] = attrs.field(factory=dict)
    """Acknowledged messages by id: who said what."""
    deleted: set[int] = attrs.field(factory=set)
    deleting: set[int] = attrs.field(factory=set)
    """Deletions asked for, acknowledged or not."""
    heard: set[int] = attrs.field(factory=set)
    """Messages that subscribers were sent."""
    said: set[bytes] = attrs.field(factory=set)


class Author:
    """A client that posts, replies and deletes as fast as it is answered."""

    def __init__(self, nickname: str, ledger: Ledger, rng: random.Random) -> None:
        self._nickname = nickname
        self._ledger = ledger
        self._rng = rng
        self._mine: list[int] = []
        self._client: ChatClient

    async def run(self, port: int) -> None:
        """Work until the server is gone."""
        try:
            self._client = await connect(reactor, "127.0.0.1", port, on_event=self._hear)
            await self._client.request(wire.SetNickname(nickname=self._nickname))
            await self._client.request(wire.SubscribeChannel(channel_id=self._rng.choice(PLACES)))
            lines = self._rng.randint(1, 8)
            await gatherResults([Deferred.fromCoroutine(self._work(line)) for line in range(lines)], consumeErrors=True)
        except (ConnectionClosed, ConnectError):
            pass  # the kill may come before the client

    def _hear(self, message: Message) -> None:
        if isinstance(message, wire.NewMessage):
            self._ledger.heard.add(message.message_id)

    async def _work(self, line: int) -> None:
        number = 0
        try:
            while True:
                number += 1
                if self._mine and self._rng.random() < 0.2:
                    await self._delete(self._mine.pop(self._rng.randrange(len(self._mine))))
                else:
                    await self._post(f"{self._nickname} {line}-{number} ".encode())
        except ConnectionClosed:
            pass

    async def _post(self, text: bytes) -> None:
        content = text + b"x" * self._rng.choice((0, 10, 100, 3000))
        channel_id, parent_id = self._rng.choice(PLACES), None
        if self._ledger.posted and self._rng.random() < 0.6:
            parent_id = self._rng.choice(list(self._ledger.posted)[-20:])
            channel_id = self._ledger.posted[parent_id][1].channel_id
        message = posting(channel_id, content, parent_id)
        self._ledger.said.add(content)
        answer = await self._client.request(message)
        self._ledger.posted[answer.message_id] = (self._nickname, message)
        self._mine.append(answer.message_id)

    async def _delete(self, message_id: int) -> None:
        self._ledger.deleting.add(message_id)
        await self._client.request(wire.DeleteMessage(message_id=message_id))
        self._ledger.deleted.add(message_id)


class KillNine(TestCase):
    """Rounds of load, ``kill -9`` and a look at what is left."""

    timeout = 900.0

    async def test_acknowledged_survives(self) -> None:
        """Acknowledged messages and deletions are there after kill -9 at any moment, and counts and order are right."""
        acknowledged = 0
        for number in range(ROUNDS):
            if number % ROUNDS_PER_DATABASE == 0:
                server, ledger = RunningServer(self, UNLIMITED), Ledger()
            try:
                await self.load(server, ledger, random.Random(SEED + number))
                acknowledged += len(ledger.posted)
                server = server.restarted()
                self.check(server, ledger)
            except Exception as error:
                raise self.failureException(f"round {number} of seed {SEED}: {str(error)[:600]}") from error
        self.assertGreater(acknowledged, ROUNDS)

    async def load(self, server: RunningServer, ledger: Ledger, rng: random.Random) -> None:
        """Let some authors work, and kill the server meanwhile."""
        authors = [Author(f"author{number}-{rng.randrange(10**6)}", ledger, rng) for number in range(rng.randint(2, 6))]
        working = gatherResults([Deferred.fromCoroutine(author.run(server.port)) for author in authors])
        await deferLater(reactor, rng.uniform(0.02, LONGEST_LOAD_SECONDS))
        server.kill()
        await working

    def check(self, server: RunningServer, ledger: Ledger) -> None:
        """Compare what is stored, and what a client is shown, with what was acknowledged."""
        rows = stored(server.place.database)
        self.check_stored(rows, ledger)
        self.check_reply_counts(rows)
        client = peers.connect(self, server)
        for channel_id in PLACES:
            self.check_shown(client, rows, channel_id)
        client.close()

    def check_stored(self, rows: dict[int, Row], ledger: Ledger) -> None:
        for message_id, (nickname, message) in ledger.posted.items():
            row = rows[message_id]
            self.assertEqual(
                (row.channel_id, row.parent_id, row.author_nickname), (message.channel_id, message.parent_id, nickname)
            )
            allowed = set()
            if message_id not in ledger.deleted:
                allowed.add((True, message.content))
            if message_id in ledger.deleting:
                allowed.add((False, f"[deleted by ~{nickname}]".encode()))
            self.assertIn((row.deleted_at is None, row.content), allowed)
        self.assertEqual(ledger.heard - rows.keys(), set(), "told to others and lost")
        living = [row.content for row in rows.values() if row.deleted_at is None]
        self.assertEqual(len(living), len(set(living)), "something is stored twice")
        self.assertEqual(set(living) - ledger.said, set(), "nobody said this")

    def check_reply_counts(self, rows: dict[int, Row]) -> None:
        counts = dict.fromkeys(rows, 0)
        for row in rows.values():
            if row.deleted_at is None:
                for ancestor in ancestors(row, rows):
                    counts[ancestor] += 1
        self.assertEqual({row.id: row.reply_count for row in rows.values()}, counts)

    def check_shown(self, client: peers.Peer, rows: dict[int, Row], channel_id: int) -> None:
        """Walk through the whole channel, and each thread in it, as a client does."""
        shown: list[wire.MessageEntry] = []
        after_id = 0
        while found := client.ask(page(channel_id, LARGEST_PAGE, after_id=after_id), wire.MessageList).messages:
            shown += found
            after_id = found[-1].message_id
        roots = [row for row in rows.values() if row.channel_id == channel_id and row.parent_id is None]
        expected = [(row.id, row.content, row.reply_count) for row in roots if row.is_visible]
        self.assertEqual([(each.message_id, each.content, each.reply_count) for each in shown], sorted(expected))
        children: dict[int, list[Row]] = {}
        for row in rows.values():
            if row.parent_id is not None:
                children.setdefault(row.parent_id, []).append(row)
        threads = [each for each in shown if each.reply_count]
        client.send(*(page(channel_id, LARGEST_PAGE, parent_id=root.message_id) for root in threads))
        for root in threads:
            replies = [each.message_id for each in client.expect(wire.MessageList).messages]
            wanted = list(subtree(root.message_id, children))
            if len(wanted) <= LARGEST_PAGE:
                self.assertEqual(replies, wanted)


class FirstStart(SynchronousTestCase):
    """The very first start, cut short."""

    def test_killed_while_the_database_is_made(self) -> None:
        """A first start cut short anywhere does not cost a channel of the configuration (decisions 4.13)."""
        rng = random.Random(SEED)
        for made, longest_delay in (("superchat.db.new", 0.0), ("superchat.db", 0.0), ("superchat.db", 0.1)):
            place = new_place(self, UNLIMITED)
            delay = rng.uniform(0, longest_delay)
            interrupted_start(self, place, place.data_directory / made, signal.SIGKILL, delay)
            client = peers.connect(self, RunningServer(self, place=place))
            channels = client.ask(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList).channels
            names = [channel.name for channel in channels]
            expected = ["chat", "general", "tech", "random", "feedback"]
            self.assertEqual(names, expected, f"killed {delay:.3f} s after {made} was there; seed {SEED}")


def stored(database: Path) -> dict[int, Row]:
    """Everything in a database by ascending id, which is found to be whole."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        columns = ", ".join(field.name for field in attrs.fields(Row))
        return {row[0]: Row(*row) for row in connection.execute(f"SELECT {columns} FROM message ORDER BY id")}


def ancestors(row: Row, rows: Mapping[int, Row]) -> Iterator[int]:
    """The messages that ``row`` is a direct or indirect reply to."""
    while row.parent_id is not None:
        yield row.parent_id
        row = rows[row.parent_id]


def subtree(parent_id: int, children: Mapping[int, list[Row]]) -> Iterator[int]:
    """What is shown below a message: depth first, siblings by time."""
    for row in children.get(parent_id, ()):
        if row.is_visible:
            yield row.id
        yield from subtree(row.id, children)
