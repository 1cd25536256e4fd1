"""Tests for `superchat.chat.unread`: how much is unread, and how far somebody has read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from superchat.chat.unread import MOST_TARGETS
from superchat.config import SeedChannel
from superchat.model import Backlog, View
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    DeleteMessage,
    GetUnreadCounts,
    UnreadCount,
    UnreadCounts,
    UnreadTarget,
    UpdateReadState,
)
from tests.chat.people import PeopleTestCase, account_of
from tests.chat.talk import Client

TECH, GENERAL, SUB = 1, 2, 3


class UnreadTestCase(PeopleTestCase):
    """A reader, and somebody who writes."""

    channels = (SeedChannel("tech"), SeedChannel("general"), SeedChannel("sub", parent="general"))

    def setUp(self) -> None:
        super().setUp()
        self.anna = self.person("anna")
        self.author = self.connect("author")

    def counts(self, client: Client, *targets: UnreadTarget, since: int | None = None) -> list[int]:
        """The counts that answer GET_UNREAD_COUNTS."""
        asked = targets or (UnreadTarget(channel_id=GENERAL),)
        answer = client.one(UnreadCounts, GetUnreadCounts(since_timestamp=since, targets=asked))
        told = [(one.channel_id, one.subchannel_id, one.thread_id) for one in answer.counts]
        self.assertEqual(told, [(one.channel_id, one.subchannel_id, one.thread_id) for one in asked])
        return [one.unread_count for one in answer.counts]

    def has_read(self, client: Client, timestamp: int, **where: Any) -> None:
        """UPDATE_READ_STATE, which is never answered."""
        message = UpdateReadState(**{"channel_id": GENERAL, "timestamp": timestamp, **where})
        self.assertEqual(client.ask(message), [])


class CountTests(UnreadTestCase):
    """GET_UNREAD_COUNTS."""

    def test_since(self) -> None:
        """Messages newer than a time in milliseconds are counted, replies too (decisions 4.12)."""
        root = self.post(self.author)
        first = self.now_ms()
        self.post(self.author, parent_id=root)
        self.assertEqual([self.counts(self.anna, since=since) for since in (0, first, first + 1)], [[2], [1], [0]])
        self.assertEqual(self.counts(self.author, since=0), [0])

    def test_own_and_deleted(self) -> None:
        """One's own messages and deleted ones are not unread (decisions 4.12)."""
        mine, gone = self.post(self.anna), self.post(self.author)
        self.post(self.author)
        self.author.send(DeleteMessage(message_id=gone))
        self.assertEqual(self.counts(self.anna, since=0), [1])
        self.assertEqual(self.counts(self.session(account_of(self.anna)), since=0), [1])
        self.assertEqual(self.counts(self.connect(), since=0), [2])
        self.assertNotEqual(mine, gone)

    def test_anonymous_without_a_time(self) -> None:
        """The anonymous have no read position: all counts are 0 (reference 2.1)."""
        self.post(self.author)
        targets = (UnreadTarget(channel_id=GENERAL), UnreadTarget(channel_id=99))
        self.assertEqual(self.counts(self.connect("guest"), *targets), [0, 0])
        self.assertEqual(self.counts(self.connect(), *targets), [0, 0])

    def test_stored_position(self) -> None:
        """Without a time an account's stored position counts, or the beginning; a given time wins (reference 2.1)."""
        self.post(self.author)
        self.has_read(self.anna, self.now_ms())
        self.post(self.author), self.post(self.author, channel_id=TECH)
        targets = (UnreadTarget(channel_id=GENERAL), UnreadTarget(channel_id=TECH))
        self.assertEqual(self.counts(self.anna, *targets), [1, 1])
        self.assertEqual(self.counts(self.anna, *targets, since=0), [2, 1])
        self.assertEqual(self.counts(self.session(account_of(self.anna)), *targets), [1, 1])

    def test_threads(self) -> None:
        """A thread is counted with its root, from its channel's position, whichever channel is named (2.1)."""
        root = self.post(self.author)
        self.has_read(self.anna, self.now_ms())
        reply = self.post(self.author, parent_id=root)
        self.post(self.author)
        targets = [UnreadTarget(channel_id=place, thread_id=root) for place in (GENERAL, TECH, 99)]
        self.assertEqual(self.counts(self.anna, *targets), [1, 1, 1])
        self.assertEqual(self.counts(self.anna, *targets, since=0), [2, 2, 2])
        others = [UnreadTarget(channel_id=GENERAL, thread_id=each) for each in (reply, 7, 2**64 - 1)]
        self.assertEqual(self.counts(self.anna, *others, since=0), [0, 0, 0])

    def test_unknown(self) -> None:
        """What does not exist counts 0 (reference 2.1)."""
        self.post(self.author)
        targets = [
            UnreadTarget(channel_id=99),
            UnreadTarget(channel_id=0),
            UnreadTarget(channel_id=GENERAL, subchannel_id=TECH),
            UnreadTarget(channel_id=2**64 - 1),
            UnreadTarget(channel_id=GENERAL),
        ]
        self.assertEqual(self.counts(self.anna, *targets, since=0), [0, 0, 0, 0, 1])

    def test_subchannels(self) -> None:
        """A subchannel is the same place by both addressings, and no part of its parent (decisions 4.2)."""
        root = self.post(self.author, channel_id=SUB)
        targets = (
            UnreadTarget(channel_id=SUB),
            UnreadTarget(channel_id=GENERAL, subchannel_id=SUB),
            UnreadTarget(channel_id=GENERAL),
            UnreadTarget(channel_id=GENERAL, subchannel_id=SUB, thread_id=root),
        )
        self.assertEqual(self.counts(self.anna, *targets, since=0), [1, 1, 0, 1])
        self.has_read(self.anna, self.now_ms(), subchannel_id=SUB)
        self.assertEqual(self.counts(self.anna, *targets), [0, 0, 0, 0])

    def test_direct(self) -> None:
        """Direct conversations are counted for their participants, for others they do not exist (3.2, 4.12)."""
        bob, mod = self.person("bob"), self.moderator()
        talk = self.conversation(self.anna, bob)
        message = self.post(bob, channel_id=talk)
        targets = (
            UnreadTarget(channel_id=talk),
            UnreadTarget(channel_id=talk, thread_id=message),
            UnreadTarget(channel_id=GENERAL, thread_id=message),
        )
        self.assertEqual(self.counts(self.anna, *targets, since=0), [1, 1, 1])
        for stranger in (mod, self.author, self.connect()):
            self.assertEqual(self.counts(stranger, *targets, since=0), [0, 0, 0])

    def test_withheld(self) -> None:
        """Shadowbanned authors' messages are not unread, except for themselves and moderators (decisions 7.2)."""
        troll, mod = self.person("troll"), self.moderator()
        root = self.post(self.author)
        self.post(troll, parent_id=root), self.post(troll)
        self.shadowban(account_id=account_of(troll).id)
        targets = (UnreadTarget(channel_id=GENERAL), UnreadTarget(channel_id=GENERAL, thread_id=root))
        self.assertEqual(self.counts(self.anna, *targets, since=0), [1, 1])
        self.assertEqual(self.counts(mod, *targets, since=0), [3, 2])
        self.assertEqual(self.counts(troll, *targets, since=0), [1, 1])

    def test_many(self) -> None:
        """500 targets are answered, more are refused with 6000, also for whoever would get only zeros (4.12)."""
        self.post(self.author)
        target = UnreadTarget(channel_id=GENERAL)
        self.assertEqual(self.counts(self.anna, *[target] * MOST_TARGETS, since=0), [1] * MOST_TARGETS)
        self.assertEqual(self.counts(self.anna, *[], since=0), [1])
        for client in (self.anna, self.connect()):
            self.assertEqual(
                client.refusal(GetUnreadCounts(targets=(target,) * (MOST_TARGETS + 1))),
                (ErrorCode.INVALID_INPUT, "Too many targets (max 500)"),
            )
        self.assertEqual(self.anna.one(UnreadCounts, GetUnreadCounts(since_timestamp=0, targets=())).counts, ())


class CountingStorage(MemoryStorage):
    """Notes what is asked of it."""

    asked: Sequence[Backlog] = ()
    times = 0

    def counts_since(self, backlogs: Sequence[Backlog], view: View = View()) -> Deferred[list[int]]:  # noqa: B008
        self.asked = backlogs
        self.times += 1
        return super().counts_since(backlogs, view)


class CostTests(PeopleTestCase):
    """What GET_UNREAD_COUNTS asks of the storage."""

    storage: CountingStorage

    def make_storage(self) -> MemoryStorage:
        return CountingStorage()

    def test_once_for_all(self) -> None:
        """All targets are one question, in which nothing is there twice (W11)."""
        root = self.post(self.connect("author"))
        targets = (UnreadTarget(channel_id=2), UnreadTarget(channel_id=2, thread_id=root)) * 250
        answer = self.connect("guest").one(UnreadCounts, GetUnreadCounts(since_timestamp=0, targets=targets))
        self.assertEqual(answer.counts[0], UnreadCount(channel_id=2, unread_count=1))
        self.assertEqual((self.storage.times, list(self.storage.asked)), (1, [Backlog(2, 0), Backlog(2, 0, root)]))


class UpdateTests(UnreadTestCase):
    """UPDATE_READ_STATE."""

    def test_anonymous(self) -> None:
        """The anonymous are ignored without a word, whatever they name (reference 2.1)."""
        for channel_id in (GENERAL, 99):
            self.has_read(self.connect("guest"), 5, channel_id=channel_id)

    def test_any_value(self) -> None:
        """Any time is taken, earlier ones and such as no clock shows (reference 2.1)."""
        self.post(self.author)
        for timestamp, expected in ((self.now_ms(), 0), (1, 1), (2**63 - 1, 0), (-(2**63), 1)):
            self.has_read(self.anna, timestamp)
            self.assertEqual(self.counts(self.anna), [expected])

    def test_unknown(self) -> None:
        """A channel that does not exist is ERROR 4001, a subchannel 4004, somebody's conversation 4001 (3.2, W35)."""
        talk = self.conversation(self.person("bob"), self.person("carl"))
        for where, refusal in (
            ({"channel_id": 99}, (ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist")),
            ({"channel_id": talk}, (ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist")),
            (
                {"channel_id": GENERAL, "subchannel_id": TECH},
                (ErrorCode.SUBCHANNEL_NOT_FOUND, "Subchannel does not exist"),
            ),
        ):
            message: dict[str, Any] = {"timestamp": 5, **where}
            self.assertEqual(self.anna.refusal(UpdateReadState(**message)), refusal)

    def test_each_account(self) -> None:
        """One account's position is not another's."""
        bob = self.person("bob")
        self.post(self.author)
        self.has_read(self.anna, self.now_ms())
        self.assertEqual((self.counts(self.anna), self.counts(bob)), ([0], [1]))

    def test_channel_that_goes(self) -> None:
        """A channel that is deleted meanwhile is unknown, and an account that is deleted is nobody (4.13)."""
        self.now(self.storage.delete_channel(TECH, self.now_ms()))
        self.assertEqual(
            self.anna.refusal(UpdateReadState(channel_id=TECH, timestamp=5)),
            (ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist"),
        )
        self.now(self.storage.delete_account(account_of(self.anna).id, self.now_ms()))
        self.has_read(self.anna, 5)
