"""What every storage engine promises about what is deleted or expires; each engine's tests inherit all of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

from superchat.model import Backlog, Channel, Message, NewAccount, NewChannel, NewMessage, Participant
from superchat.storage.errors import (
    Unavailable,
    UnknownChannel,
    UnknownMessage,
    UnknownParent,
)
from tests.storage.engines import NOON_MS, EngineTestCase
from tests.storage.moderation.contract import act

LATER_MS = NOON_MS + 1_000
FAR_IDS = (0, 404, 2**63, 2**64 - 1, -(2**70))
"""Ids that no channel has, most of them beyond what a database holds."""


class RemovalContract(EngineTestCase):
    """Inherit, together with an engine's test case."""

    def setUp(self) -> None:
        super().setUp()
        self.general, self.other = self.channel("general"), self.channel("other")

    def channel(self, name: str, parent: Channel | None = None) -> Channel:
        new = NewChannel(name, name, "", 1, 24, None if parent is None else parent.id)
        return self.result(self.storage.create_channel(new, NOON_MS))

    def new(self, parent: Message | None = None, **changes: Any) -> NewMessage:
        values = {
            "channel_id": self.general.id if parent is None else parent.channel_id,
            "parent_id": None if parent is None else parent.id,
            "author_nickname": "anna",
            "author_session": 7,
            "content": b"hello",
            "created_at": NOON_MS,
        }
        return NewMessage(**(values | changes))

    def post(self, parent: Message | None = None, **changes: Any) -> Message:
        return self.result(self.storage.append_message(self.new(parent, **changes)))

    def post_many(self, count: int, parent: Message | None = None, **changes: Any) -> list[Message]:
        new = self.new(parent, **changes)
        return self.result(gatherResults([self.storage.append_message(new) for _ in range(count)]))

    def delete(self, *messages: Message) -> None:
        for message in messages:
            self.result(self.storage.delete_message(message.id, b"[deleted]", NOON_MS, "~anna"))

    def delete_channel(self, channel: Channel) -> list[int]:
        return self.result(self.storage.delete_channel(channel.id, LATER_MS))

    def expire(self, before_ms: int = LATER_MS, channel: Channel | None = None) -> list[int]:
        """Take slices until there are no more; the roots of what expired, in their order."""
        place, after_id = channel or self.general, 0
        roots: list[int] = []
        while True:
            expired = self.result(self.storage.expire(place.id, before_ms, after_id))
            roots += expired.roots
            if expired.next_id is None:
                return roots
            self.assertGreater(expired.next_id, after_id)
            after_id = expired.next_id

    def sweep(self) -> int:
        """Take slices until there are no more; how many there were."""
        slices = 1
        while self.result(self.storage.sweep()).more:
            slices += 1
        return slices

    def exist(self, *messages: Message) -> list[bool]:
        return [self.result(self.storage.message(message.id)) is not None for message in messages]

    def roots(self, channel: Channel | None = None) -> list[int]:
        page = self.result(self.storage.root_page((channel or self.general).id, 100, None, None))
        return sorted(message.id for message in page)

    def thread(self, parent: Message) -> list[int]:
        return [message.id for message in self.result(self.storage.thread_page(parent.id, 500, None, None))]

    def count(self, channel: Channel | None = None, root: Message | None = None) -> int:
        backlog = Backlog((channel or self.general).id, 0, None if root is None else root.id)
        (count,) = self.result(self.storage.counts_since([backlog]))
        return count

    def channel_ids(self) -> list[int]:
        return [channel.id for channel in self.result(self.storage.channels())]

    def rows(self) -> tuple[int, int]:
        """How many channels and messages there are, seen or not."""
        size = self.result(self.storage.measure())
        return size.channels, size.messages

    def assert_gone(self, *messages: Message) -> None:
        """Nobody sees the messages, or can do anything with them."""
        for message in messages:
            self.assertEqual(self.exist(message), [False])
            self.assertEqual(self.thread(message), [])
            self.assertEqual(self.count(root=message), 0)
            self.assert_refused(self.storage.append_message(self.new(message)), UnknownParent)
            self.assert_refused(self.storage.delete_message(message.id, b"", NOON_MS, ""), UnknownMessage)
            self.assert_refused(self.storage.edit_message(message.id, b"new", NOON_MS, ""), UnknownMessage)

    # Deleting channels

    def test_deleted_at_once(self) -> None:
        """A deleted channel is gone with its subchannels and messages when that is confirmed (decisions 4.13)."""
        side, quiet = self.channel("side", self.general), self.channel("quiet", self.general)
        root, elsewhere = self.post(), self.post(channel_id=self.other.id)
        inside = self.post(channel_id=side.id)
        replies = self.post(root), self.post(inside)
        self.assertEqual(self.delete_channel(self.general), [self.general.id, side.id, quiet.id])
        self.assertEqual(self.channel_ids(), [self.other.id])
        self.assert_gone(root, inside, *replies)
        for place in (self.general, side, quiet):
            self.assertEqual((self.roots(place), self.count(place)), ([], 0))
            self.assert_refused(self.storage.append_message(self.new(channel_id=place.id)), UnknownChannel)
        self.assertEqual((self.roots(self.other), self.count(self.other)), ([elsewhere.id], 1))

    def test_subchannel_alone(self) -> None:
        """Deleting a subchannel leaves its parent and its siblings as they are (decisions 4.2)."""
        side, quiet = self.channel("side", self.general), self.channel("quiet", self.general)
        kept = self.post(), self.post(channel_id=quiet.id)
        gone = self.post(channel_id=side.id)
        self.assertEqual(self.delete_channel(side), [side.id])
        self.sweep()
        self.assertEqual(self.channel_ids(), [self.general.id, self.other.id, quiet.id])
        self.assertEqual(self.exist(*kept), [True, True])
        self.assert_gone(gone)

    def test_nothing_to_delete(self) -> None:
        """What is not there, or not any more, cannot be deleted, and nothing is recorded."""
        self.delete_channel(self.other)
        for channel_id in (*FAR_IDS, self.other.id):
            refused = self.storage.delete_channel(channel_id, LATER_MS, act("delete_channel"))
            self.assert_refused(refused, UnknownChannel)
        self.assertEqual(self.result(self.storage.acts(10)), [])
        self.assertEqual(self.channel_ids(), [self.general.id])

    def test_recorded(self) -> None:
        """The deletion of a channel is in the audit log (decisions 7.3)."""
        done = act("delete_channel", target_type="channel", target_id=self.general.id, target="general")
        self.result(self.storage.delete_channel(self.general.id, LATER_MS, done))
        (recorded,) = self.result(self.storage.acts(10))
        self.assertEqual((recorded.action, recorded.target_id), ("delete_channel", self.general.id))

    def test_name_is_free(self) -> None:
        """The names of deleted channels are free at once, the ids never again (decisions 4.1)."""
        side = self.channel("side", self.general)
        self.delete_channel(self.general)
        again = self.channel("General")
        self.assertGreater(again.id, side.id)
        self.sweep()
        self.delete_channel(again)
        self.sweep()
        self.reopen()
        self.assertGreater(self.channel("general").id, again.id)

    def test_no_subchannels_of_the_deleted(self) -> None:
        """A deleted channel gets no subchannels any more, rows left or not."""
        self.delete_channel(self.general)
        for _ in range(2):
            refused = self.storage.create_channel(NewChannel("late", "", "", 1, 24, self.general.id), NOON_MS)
            self.assert_refused(refused, UnknownChannel)
            self.sweep()

    def test_does_not_return(self) -> None:
        """Deleted channels, seeds too, do not return at a restart, whatever was removed before it (decisions 4.13)."""
        root = self.post()
        self.delete_channel(self.general)
        self.delete_channel(self.other)
        for _ in range(2):
            self.reopen()
            self.result(self.storage.seed_channels([NewChannel("general", "", "", 1, 24)], NOON_MS))
            self.assertEqual(self.channel_ids(), [])
            self.assert_gone(root)
            self.sweep()
        self.assertEqual(self.rows(), (0, 0))

    def test_posts_at_the_same_moment(self) -> None:
        """What is posted just before a deletion is confirmed, and just after it is refused; nothing else is lost."""
        before = self.storage.append_message(self.new())
        deleted = self.storage.delete_channel(self.general.id, LATER_MS)
        after = self.storage.append_message(self.new())
        elsewhere = self.storage.append_message(self.new(channel_id=self.other.id))
        posted = self.result(before)
        self.assertEqual(self.result(deleted), [self.general.id])
        self.assert_refused(after, UnknownChannel)
        self.assertEqual(self.exist(posted, self.result(elsewhere)), [False, True])

    def test_swept_channel(self) -> None:
        """Nothing is left of a deleted channel once it is swept: messages, tombstones, read state, participants."""
        account = self.result(self.storage.create_account(NewAccount("anna", "x", 0, NOON_MS)))
        side = self.channel("side", self.general)
        for place in (self.general, side):
            root, *_ = self.post_many(100, channel_id=place.id)
            reply, *_ = self.post_many(100, root)
            deep = self.post(reply)
            self.delete(self.post(deep), deep, self.post(channel_id=place.id), reply, root)
            self.result(self.storage.set_read(account.id, place.id, NOON_MS, NOON_MS))
        kept = self.post(channel_id=self.other.id)
        self.result(self.storage.set_read(account.id, self.other.id, NOON_MS, NOON_MS))
        self.delete_channel(self.general)
        self.sweep()
        self.assertEqual(self.rows(), (1, 1))
        self.assertEqual(self.exist(kept), [True])
        places = [self.general.id, side.id, self.other.id]
        self.assertEqual(self.result(self.storage.read_positions(account.id, places)), {self.other.id: NOON_MS})

    def test_direct_conversation(self) -> None:
        """A direct conversation is deleted with its participants."""
        pair = [Participant(None, key, name) for key, name in ((1, "anna"), (2, "bob"))]
        direct = self.result(self.storage.open_direct(pair, NOON_MS))
        self.post(channel_id=direct.id)
        self.delete_channel(direct)
        self.assertEqual(self.result(self.storage.participants()), [])
        self.sweep()
        self.assertEqual(self.rows(), (2, 0))

    def test_abandoned_conversation(self) -> None:
        """A direct conversation that everybody has left is swept like a deleted channel."""
        pair = [Participant(None, key, name) for key, name in ((1, "anna"), (2, "bob"))]
        direct = self.result(self.storage.open_direct(pair, NOON_MS))
        self.post(channel_id=direct.id)
        for participant in pair:
            self.result(self.storage.leave_direct(direct.id, participant, LATER_MS))
        self.sweep()
        self.assertEqual(self.rows(), (2, 0))

    # Expiry

    def test_expired_at_once(self) -> None:
        """What is older than a time is gone from pages, threads and counts when that is reported (decisions 4.11)."""
        old = self.post(created_at=NOON_MS)
        reply = self.post(old, created_at=NOON_MS + 1)
        young = self.post(created_at=LATER_MS)
        self.assertEqual(self.expire(), [old.id])
        self.assert_gone(old, reply)
        self.assertEqual((self.roots(), self.count()), ([young.id], 1))
        self.sweep()
        self.assertEqual(self.rows(), (2, 1))
        self.assertEqual(self.expire(), [])

    def test_thread_as_a_whole(self) -> None:
        """A thread ages from its newest message: one young reply keeps all of it (decisions 4.11)."""
        root = self.post()
        reply = self.post(root)
        deep = self.post(reply, created_at=LATER_MS)
        side = self.post(root)
        self.assertEqual(self.expire(), [])
        self.assertEqual(self.thread(root), [reply.id, deep.id, side.id])
        self.assertEqual(self.expire(LATER_MS + 1), [root.id])
        self.assert_gone(root, reply, deep, side)

    def test_deleted_replies_keep_nothing(self) -> None:
        """Only living messages make a thread young; a tombstone does not (decisions 4.7, 4.11)."""
        root = self.post()
        self.delete(self.post(root, created_at=LATER_MS))
        self.assertEqual(self.expire(), [root.id])
        self.sweep()
        self.assertEqual(self.rows(), (2, 0))

    def test_tombstone_with_replies(self) -> None:
        """A deleted root stays as long as a reply below it does, deleted ones in between (decisions 4.7)."""
        root = self.post()
        reply = self.post(root)
        deep = self.post(reply, created_at=LATER_MS)
        self.delete(root, reply)
        self.assertEqual(self.expire(), [])
        self.assertEqual(self.exist(root, reply, deep), [True, True, True])
        self.assertEqual(self.expire(LATER_MS + 1), [root.id])
        self.assert_gone(root, reply, deep)

    def test_deleted_root_without_replies(self) -> None:
        """A deleted root that nobody answered ages by itself, and leaves nothing behind."""
        old, young = self.post(), self.post(created_at=LATER_MS)
        self.delete(old, young)
        self.assertEqual(self.expire(), [old.id])
        self.sweep()
        self.assertEqual(self.rows(), (2, 1))
        self.assertEqual(self.expire(LATER_MS + 1), [young.id])

    def test_one_channel_only(self) -> None:
        """Each channel has its own time; subchannels and other channels are not touched."""
        side = self.channel("side", self.general)
        root, inside, elsewhere = self.post(), self.post(channel_id=side.id), self.post(channel_id=self.other.id)
        self.assertEqual(self.expire(channel=self.other), [elsewhere.id])
        self.assertEqual(self.exist(root, inside), [True, True])
        self.assertEqual(self.expire(channel=side), [inside.id])
        self.assertEqual(self.exist(root), [True])

    def test_many_threads(self) -> None:
        """However many slices it takes, each old thread expires once, and young ones in between stay."""
        threads = self.post_many(450)
        self.post_many(100, threads[30])
        replies = [self.storage.append_message(self.new(root, created_at=LATER_MS)) for root in threads[::4]]
        self.result(gatherResults(replies))
        old = [root for position, root in enumerate(threads) if position % 4]
        self.assertEqual(self.expire(), [root.id for root in old])
        self.assertEqual(self.count(), 2 * len(replies))
        self.sweep()
        self.assertEqual(self.rows(), (2, 2 * len(replies)))

    def test_long_threads(self) -> None:
        """A thread that takes many slices to remove is gone as a whole at once, tombstones included."""
        threads = []
        for _ in range(2):
            root = self.post()
            replies = self.post_many(200, root)
            chain = [self.post(replies[0])]
            for _ in range(30):
                chain.append(self.post(chain[-1]))
            self.delete(*replies[50:100], *chain[10:], *chain[:5])
            threads.append((root, replies, chain))
        kept = self.post(created_at=LATER_MS)
        self.assertEqual(self.expire(), [root.id for root, _, _ in threads])
        for root, replies, chain in threads:
            self.assert_gone(root, replies[0], replies[70], replies[-1], chain[0], chain[-1])
        self.assertEqual((self.roots(), self.count()), ([kept.id], 1))
        self.assertEqual(self.expire(), [])
        self.sweep()
        self.assertEqual(self.rows(), (2, 1))

    def test_long_thread_of_a_deleted_channel(self) -> None:
        """A channel may be deleted while its threads expire."""
        root = self.post()
        self.post_many(200, root)
        self.post_many(20)
        self.assertEqual(len(self.expire()), 21)
        self.delete_channel(self.general)
        self.sweep()
        self.assertEqual(self.rows(), (1, 0))

    def test_reply_just_before(self) -> None:
        """A reply that is posted just before its thread would expire keeps it (decisions 4.11)."""
        root = self.post()
        replied = self.storage.append_message(self.new(root, created_at=LATER_MS))
        expired = self.storage.expire(self.general.id, LATER_MS)
        reply = self.result(replied)
        self.assertEqual(list(self.result(expired).roots), [])
        self.assertEqual(self.exist(root, reply), [True, True])

    def test_reply_just_after(self) -> None:
        """A reply that is posted just after its thread has expired is refused, and what is posted beside it is not."""
        root = self.post()
        expired = self.storage.expire(self.general.id, LATER_MS)
        replied = self.storage.append_message(self.new(root, created_at=LATER_MS))
        posted = self.storage.append_message(self.new(created_at=LATER_MS))
        self.assertEqual(list(self.result(expired).roots), [root.id])
        self.assert_refused(replied, UnknownParent)
        self.assertEqual(self.exist(self.result(posted)), [True])

    def test_clock_set_back(self) -> None:
        """A message counts as no older than its id says: one posted while the clock was wrong does not expire early."""
        first = self.post(created_at=LATER_MS)
        wrong = self.post(created_at=NOON_MS - 86_400_000)
        self.assertGreater(wrong.id, first.id)
        self.assertEqual(self.expire(), [])
        reply = self.post(first, created_at=NOON_MS - 86_400_000)
        self.assertEqual(self.expire(), [])
        self.assertEqual(self.exist(first, wrong, reply), [True, True, True])

    def test_clock_set_ahead(self) -> None:
        """A message from the future stays until its time has come."""
        early = self.post(created_at=LATER_MS + 3_600_000)
        after = self.post(created_at=NOON_MS)
        self.assertEqual(self.expire(), [])
        self.assertEqual(self.expire(LATER_MS + 3_600_000), [])
        self.assertEqual(self.expire(LATER_MS + 3_600_001), [early.id, after.id])

    def test_ids_never_repeat(self) -> None:
        """Message ids increase over restarts also when the youngest messages are gone (decisions 4.6)."""
        self.post()
        last = self.post(created_at=LATER_MS)
        self.assertEqual(len(self.expire(LATER_MS + 1)), 2)
        self.reopen()
        after = self.post(created_at=NOON_MS)
        self.assertGreater(after.id, last.id)
        self.delete_channel(self.general)
        self.sweep()
        self.assertEqual(self.rows(), (1, 0))
        self.reopen()
        self.assertGreater(self.post(channel_id=self.other.id).id, after.id)

    def test_interrupted(self) -> None:
        """A restart between any two slices only leaves more to do."""
        roots = self.post_many(100)
        self.post_many(150, roots[0])
        self.post_many(100, channel_id=self.other.id)
        self.delete_channel(self.other)
        expired: list[int] = []
        after_id = 0
        while True:
            slice_ = self.result(self.storage.expire(self.general.id, LATER_MS, after_id))
            expired += slice_.roots
            self.reopen()
            self.assertEqual(self.exist(*(root for root in roots if root.id in expired)), [False] * len(expired))
            if slice_.next_id is None:
                break
            after_id = slice_.next_id
        while self.result(self.storage.sweep()).more:
            self.reopen()
            self.assertEqual(self.channel_ids(), [self.general.id])
        self.assertEqual(expired, [root.id for root in roots])
        self.assertEqual(self.rows(), (1, 0))

    def test_nothing_expires(self) -> None:
        """Times and channels that nothing belongs to take nothing out."""
        posted = self.post()
        for channel_id in FAR_IDS:
            self.assertEqual(list(self.result(self.storage.expire(channel_id, 2**70)).roots), [])
        for before_ms in (-(2**70), -1, 0, NOON_MS):
            self.assertEqual(self.expire(before_ms), [])
        self.assertEqual(list(self.result(self.storage.expire(self.general.id, LATER_MS, 2**70)).roots), [])
        self.assertEqual(self.exist(posted), [True])

    def test_everything_expires(self) -> None:
        """Before a time beyond all times, everything is old."""
        posted = self.post(created_at=2**40)
        self.assertEqual(self.expire(2**70), [posted.id])

    def test_nothing_to_sweep(self) -> None:
        """One slice finds out that there is nothing to do, and changes nothing."""
        self.post()
        swept = self.result(self.storage.sweep())
        self.assertEqual((swept.messages, swept.more), (0, False))
        self.assertEqual(self.rows(), (2, 1))

    def test_closed(self) -> None:
        """A storage that is not open fails like everywhere else."""
        self.result(self.storage.close())
        for asked in (
            self.storage.delete_channel(1, NOON_MS),
            self.storage.expire(1, NOON_MS),
            self.storage.sweep(),
        ):
            self.assert_refused(asked, Unavailable)
