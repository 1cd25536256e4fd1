"""What every storage engine promises; each engine's tests inherit all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from zope.interface.verify import verifyObject

from superchat.model import REHEARSAL_CHANNEL_ID, Backlog, Channel, Message, NewChannel, NewMessage
from superchat.storage.errors import (
    AlreadyDeleted,
    DuplicateName,
    ForeignParent,
    Unavailable,
    UnknownChannel,
    UnknownMessage,
    UnknownParent,
)
from superchat.storage.interface import IStorage
from tests.storage.engines import FAR_IDS, NOON_MS, EngineTestCase


def new_channel(name: str = "general", parent_id: int | None = None) -> NewChannel:
    """A forum as a configuration might seed it."""
    return NewChannel(name, name.title(), f"about {name}", 1, 168, parent_id)


def rehearsal() -> NewMessage:
    """What a canary posts."""
    return NewMessage(REHEARSAL_CHANNEL_ID, None, "canary", 1, b"anybody there?", NOON_MS)


class MessagesTestCase(EngineTestCase):
    """Plays with messages."""

    def make_empty_storage(self) -> IStorage:
        """An engine that has not been opened, and finds nothing."""
        raise NotImplementedError

    def stored_versions(self, message_id: int) -> list[tuple[str, bytes, str]]:
        """Type, content and changer of a message's earlier versions, taken from under the interface."""
        raise NotImplementedError

    def setUp(self) -> None:
        super().setUp()
        self.general = self.result(self.storage.create_channel(new_channel(), NOON_MS))

    def new(self, parent: Message | None = None, content: bytes = b"hello", **changes: Any) -> NewMessage:
        values = {
            "channel_id": self.general.id,
            "parent_id": None if parent is None else parent.id,
            "author_nickname": "anna",
            "author_session": 2**62 + 7,
            "content": content,
            "created_at": NOON_MS,
        }
        return NewMessage(**(values | changes))

    def post(self, parent: Message | None = None, content: bytes = b"hello", **changes: Any) -> Message:
        return self.result(self.storage.append_message(self.new(parent, content, **changes)))

    def delete(self, message: Message) -> Message:
        return self.result(self.storage.delete_message(message.id, b"[deleted by ~anna]", NOON_MS + 5, "~anna"))

    def read(self, message: Message) -> Message:
        found = self.result(self.storage.message(message.id))
        assert found is not None
        return found

    def roots(self, limit: int = 50, before: int | None = None, after: int | None = None) -> list[int]:
        page = self.result(self.storage.root_page(self.general.id, limit, before, after))
        return [message.id for message in page]

    def thread(
        self, parent: Message, limit: int = 50, before: int | None = None, after: int | None = None
    ) -> list[int]:
        page = self.result(self.storage.thread_page(parent.id, limit, before, after))
        return [message.id for message in page]

    def reply_counts(self, *messages: Message) -> list[int]:
        return [self.read(message).reply_count for message in messages]

    def assert_page(self, page: Sequence[int], *messages: Message) -> None:
        self.assertEqual(list(page), [message.id for message in messages])


class StorageContract(MessagesTestCase):
    """Inherit, and say how to make an engine."""

    # Life

    def test_interface(self) -> None:
        """The engine has every method of IStorage, with its arguments."""
        self.assertTrue(verifyObject(IStorage, self.storage))

    def test_seeds_only_once(self) -> None:
        """Seed channels are made only when there never was a channel (decisions 4.13)."""
        self.result(self.storage.seed_channels([new_channel("late")], NOON_MS))
        self.reopen()
        self.result(self.storage.seed_channels([new_channel("late")], NOON_MS))
        self.assertEqual(self.result(self.storage.channels()), [self.general])

    def test_seeds(self) -> None:
        """Seeds are numbered from 1, subchannels included."""
        storage = self.make_empty_storage()
        self.result(storage.open())
        self.result(storage.seed_channels([new_channel("one"), new_channel("two", 1), new_channel("three")], NOON_MS))
        made = [(channel.id, channel.name, channel.parent_id) for channel in self.result(storage.channels())]
        self.assertEqual(made, [(1, "one", None), (2, "two", 1), (3, "three", None)])
        self.result(storage.close())

    def test_seeds_all_or_none(self) -> None:
        """When one seed cannot be made, none is, and a later start may try again."""
        storage = self.make_empty_storage()
        self.result(storage.open())
        wrong = storage.seed_channels([new_channel("one"), new_channel("One")], NOON_MS)
        self.assert_refused(wrong, DuplicateName)
        self.assertEqual(self.result(storage.channels()), [])
        self.result(storage.seed_channels([new_channel("one")], NOON_MS))
        self.assertEqual(len(self.result(storage.channels())), 1)
        self.result(storage.close())

    def test_content_survives_reopening(self) -> None:
        """Channels, subchannels and threads are the same after a restart (decisions 4.2; reference W21, W23)."""
        side = self.result(self.storage.create_channel(new_channel("side", self.general.id), NOON_MS))
        root = self.post(channel_id=side.id)
        reply = self.post(root, channel_id=side.id)
        gone = self.delete(self.post(reply, channel_id=side.id))
        before = [self.read(message) for message in (root, reply, gone)]
        self.reopen()
        self.assertEqual(self.result(self.storage.channels()), [self.general, side])
        self.assertEqual([self.read(message) for message in before], before)

    def test_ids_go_on_after_reopening(self) -> None:
        """Message ids increase over restarts, also when the clock was set back (decisions 4.6)."""
        last = self.post()
        self.reopen()
        self.assertGreater(self.post(created_at=NOON_MS - 86_400_000).id, last.id)

    def test_close_answers_what_was_asked_before(self) -> None:
        """What was submitted before a stop is committed and confirmed, and there after it (decisions 1.8)."""
        waiting = [self.storage.append_message(self.new()) for _ in range(20)]
        reading = self.storage.channels()
        self.result(self.storage.close())
        posted = [self.successResultOf(deferred) for deferred in waiting]
        self.assertEqual(self.successResultOf(reading), [self.general])
        self.storage = self.make_storage()
        self.successResultOf(self.storage.open())
        self.assertEqual(self.roots(), [message.id for message in reversed(posted)])

    def test_closed(self) -> None:
        """Before it is opened and after it is closed, a storage answers everything with Unavailable."""
        self.result(self.storage.close())
        for storage in (self.storage, self.make_storage()):
            self.assert_refused(storage.append_message(self.new()), Unavailable)
            self.assert_refused(storage.delete_message(1, b"", NOON_MS, ""), Unavailable)
            self.assert_refused(storage.create_channel(new_channel("other"), NOON_MS), Unavailable)
            self.assert_refused(storage.channels(), Unavailable)
            self.assert_refused(storage.message(1), Unavailable)
            self.assert_refused(storage.root_page(1, 50, None, None), Unavailable)
            self.assert_refused(storage.thread_page(1, 50, None, None), Unavailable)
            self.assert_refused(storage.counts_since([Backlog(1, 0)]), Unavailable)
            self.result(storage.close())

    def test_statistics(self) -> None:
        """Operators can see how many operations each commit carries, and how many wait."""
        for _ in range(3):
            self.post()
        statistics = self.storage.statistics()
        self.assertEqual(statistics.operations, 4)
        self.assertLessEqual(statistics.commits, 4)
        self.assertGreaterEqual(statistics.largest_batch, 1)
        self.assertEqual(statistics.pending, 0)

    # Channels

    def test_channels_by_id(self) -> None:
        """Channels are listed by ascending id, whatever their names (decisions 4.1)."""
        names = ["zebra", "aardvark", "middle"]
        made = [self.result(self.storage.create_channel(new_channel(name), NOON_MS)) for name in names]
        self.assertEqual(self.result(self.storage.channels()), [self.general, *made])

    def test_channel_as_asked_for(self) -> None:
        """A channel has everything it was asked for, and its time."""
        wanted = NewChannel("Über!", "Ü ber", "", 0, 24)
        made = self.result(self.storage.create_channel(wanted, NOON_MS + 1))
        self.assertEqual(made, Channel(made.id, "Über!", "Ü ber", "", 0, 24, None, None, NOON_MS + 1))

    def test_channel_ids_have_no_gaps(self) -> None:
        """The five seeds of a new database get ids 1 to 5 (reference 9), refusals in between or not."""
        self.assert_refused(self.storage.create_channel(new_channel("GENERAL"), NOON_MS), DuplicateName)
        for name in ("b", "c", "d", "e"):
            self.result(self.storage.create_channel(new_channel(name), NOON_MS))
        ids = [channel.id for channel in self.result(self.storage.channels())]
        self.assertEqual(ids, [1, 2, 3, 4, 5])

    def test_channel_name_taken(self) -> None:
        """Top-level names are unique ignoring case, beyond ASCII too (decisions 4.1; reference W6)."""
        self.result(self.storage.create_channel(new_channel("straße"), NOON_MS))
        for name in ("general", "GenerAL", "STRASSE"):
            self.assert_refused(self.storage.create_channel(new_channel(name), NOON_MS), DuplicateName)
        self.assertEqual(len(self.result(self.storage.channels())), 2)

    def test_subchannel_name_taken(self) -> None:
        """A subchannel's name is unique ignoring case within its parent, and only there (decisions 4.1)."""
        other = self.result(self.storage.create_channel(new_channel("other"), NOON_MS))
        first = self.result(self.storage.create_channel(new_channel("General", self.general.id), NOON_MS))
        second = self.result(self.storage.create_channel(new_channel("general", other.id), NOON_MS))
        again = self.storage.create_channel(new_channel("GENERAL", other.id), NOON_MS)
        self.assert_refused(again, DuplicateName)
        self.assertEqual((first.parent_id, second.parent_id), (self.general.id, other.id))

    def test_subchannel_of_nothing(self) -> None:
        """A subchannel needs a parent that exists."""
        for parent_id in (99, *FAR_IDS):
            refused = self.storage.create_channel(new_channel("side", parent_id), NOON_MS)
            self.assert_refused(refused, UnknownChannel)

    # Appending

    def test_message_as_posted(self) -> None:
        """A message keeps every byte of its content, and who posted it when."""
        content = bytes(range(256)) * 4
        root = self.post(content=content, author_nickname="bob", author_session=1, created_at=NOON_MS + 3)
        self.assertEqual(
            root,
            Message(root.id, self.general.id, None, root.id, None, "bob", 0, 1, content, NOON_MS + 3, None, None, 0),
        )
        self.assertEqual(self.read(root), root)

    def test_reply_knows_its_root(self) -> None:
        """A reply at any depth belongs to the thread that its root began (decisions 4.9)."""
        root = self.post()
        reply = self.post(root)
        deep = self.post(reply)
        self.assertEqual((reply.parent_id, reply.root_id), (root.id, root.id))
        self.assertEqual((deep.parent_id, deep.root_id), (reply.id, root.id))
        self.assertEqual(self.read(deep), deep)

    def test_ids_ascend_in_order_of_posting(self) -> None:
        """Ids increase in commit order, and confirmations come in that order (decisions 4.6)."""
        fired: list[Message] = []
        waiting = [self.storage.append_message(self.new(content=b"%d" % n)) for n in range(30)]
        for deferred in waiting:
            deferred.addCallback(fired.append)
        for deferred in waiting:
            self.finish(deferred)
        self.assertEqual([message.content for message in fired], [b"%d" % n for n in range(30)])
        ids = [message.id for message in fired]
        self.assertEqual(ids, sorted(set(ids)))

    def test_id_carries_the_time(self) -> None:
        """An id tells when its message was posted (reference 9)."""
        self.assertEqual(self.post().id >> 22, NOON_MS - 1_704_067_200_000)

    def test_unknown_parent(self) -> None:
        """A reply to nothing is refused and changes nothing (decisions 4.5)."""
        for parent_id in (0, 12345, *FAR_IDS):
            self.assert_refused(self.storage.append_message(self.new(parent_id=parent_id)), UnknownParent)
        self.assertEqual(self.roots(), [])

    def test_foreign_parent(self) -> None:
        """A reply to a message of another channel is refused and changes nothing (decisions 4.5)."""
        other = self.result(self.storage.create_channel(new_channel("other"), NOON_MS))
        root = self.post()
        refused = self.storage.append_message(self.new(root, channel_id=other.id))
        self.assert_refused(refused, ForeignParent)
        self.assertEqual(self.reply_counts(root), [0])
        self.assertEqual(self.thread(root), [])

    def test_unknown_channel(self) -> None:
        """Nothing is posted in a channel that does not exist (decisions 4.5)."""
        for channel_id in (0, 99, *FAR_IDS):
            self.assert_refused(self.storage.append_message(self.new(channel_id=channel_id)), UnknownChannel)

    def test_refusals_spare_their_neighbours(self) -> None:
        """What one session gets wrong costs no other session its message (reference W22)."""
        waiting = [self.storage.append_message(self.new(parent_id=404 if n % 3 == 1 else None)) for n in range(9)]
        posted = [self.result(deferred) for n, deferred in enumerate(waiting) if n % 3 != 1]
        for deferred in waiting[1::3]:
            self.assert_refused(deferred, UnknownParent)
        self.assert_page(self.roots(), *reversed(posted))

    # Reply counts

    def test_reply_count_counts_all_descendants(self) -> None:
        """reply_count counts all living descendants, on roots and replies alike (decisions 4.3)."""
        root = self.post()
        left, right = self.post(root), self.post(root)
        deep = self.post(left)
        deeper = self.post(deep)
        self.assertEqual(self.reply_counts(root, left, deep, deeper, right), [4, 2, 1, 0, 0])

    def test_reply_count_leaves_out_the_deleted(self) -> None:
        """A deleted message counts no more for anything above it; what is below it does (decisions 4.3)."""
        root = self.post()
        reply = self.post(root)
        deep = self.post(reply)
        self.delete(reply)
        self.assertEqual(self.reply_counts(root, reply, deep), [1, 1, 0])
        self.delete(deep)
        self.assertEqual(self.reply_counts(root, reply, deep), [0, 0, 0])

    def test_replies_in_one_commit(self) -> None:
        """Replies that arrive together are all counted."""
        root = self.post()
        waiting = [self.storage.append_message(self.new(root)) for _ in range(25)]
        for deferred in waiting:
            self.result(deferred)
        self.assertEqual(self.reply_counts(root), [25])

    # Deleting

    def test_tombstone(self) -> None:
        """Deleting replaces the text and says when, and nothing else (decisions 4.7)."""
        root = self.post(content=b"secret")
        tombstone = self.delete(root)
        expected = attrs.evolve(root, content=b"[deleted by ~anna]", deleted_at=NOON_MS + 5)
        self.assertEqual(tombstone, expected)
        self.assertEqual(self.read(root), expected)

    def test_original_is_kept_unread(self) -> None:
        """The original is stored as a version, which no client can read (decisions 4.7; reference W26)."""
        root = self.post(content=b"secret")
        self.post(root)
        self.delete(root)
        self.assertEqual(self.stored_versions(root.id), [("deleted", b"secret", "~anna")])
        pages = [
            self.result(self.storage.root_page(self.general.id, 50, None, None)),
            self.result(self.storage.thread_page(root.id, 50, None, None)),
        ]
        self.assertNotIn(b"secret", [message.content for page in pages for message in page])

    def test_delete_twice(self) -> None:
        """Deleting again is refused and changes nothing."""
        root = self.post()
        reply = self.post(root)
        tombstone = self.delete(reply)
        self.assert_refused(self.storage.delete_message(reply.id, b"again", NOON_MS + 9, "~bob"), AlreadyDeleted)
        self.assertEqual(self.read(reply), tombstone)
        self.assertEqual(self.reply_counts(root), [0])
        self.assertEqual(len(self.stored_versions(reply.id)), 1)

    def test_delete_unknown(self) -> None:
        """Deleting what does not exist is refused."""
        for message_id in (0, 77, *FAR_IDS):
            refused = self.storage.delete_message(message_id, b"", NOON_MS, "~bob")
            self.assert_refused(refused, UnknownMessage)

    def test_reply_to_a_deleted_message(self) -> None:
        """A deleted parent will do, and is shown again as a tombstone (reference 2.3; decisions 4.7)."""
        root = self.post()
        self.delete(root)
        self.assertEqual(self.roots(), [])
        reply = self.post(root)
        self.assert_page(self.roots(), root)
        self.assert_page(self.thread(root), reply)
        self.assertEqual(self.reply_counts(root), [1])

    def test_message_unknown(self) -> None:
        """Ids of nothing, the wire's greatest included, find nothing."""
        for message_id in (0, 5, *FAR_IDS):
            self.assertIsNone(self.result(self.storage.message(message_id)))

    # Pages of roots

    def test_roots_newest_first(self) -> None:
        """Roots come newest first without a cursor, at most `limit` of them (decisions 4.3; reference W32)."""
        a, b, c = self.post(), self.post(), self.post()
        self.post(b)
        self.assert_page(self.roots(), c, b, a)
        self.assert_page(self.roots(limit=2), c, b)

    def test_roots_before(self) -> None:
        """Roots before an id come newest first (decisions 4.3)."""
        a, b, c, d = self.post(), self.post(), self.post(), self.post()
        self.assert_page(self.roots(before=d.id, limit=2), c, b)
        self.assert_page(self.roots(before=c.id + 1), c, b, a)
        self.assert_page(self.roots(before=a.id))

    def test_roots_after(self) -> None:
        """Roots after an id come oldest first (decisions 4.3)."""
        a, b, c, d = self.post(), self.post(), self.post(), self.post()
        self.assert_page(self.roots(after=a.id, limit=2), b, c)
        self.assert_page(self.roots(after=d.id))
        self.assert_page(self.roots(after=0), a, b, c, d)

    def test_before_wins_over_after(self) -> None:
        """With both cursors before_id decides alone (decisions 4.3)."""
        a, b, c = self.post(), self.post(), self.post()
        self.assert_page(self.roots(before=c.id, after=b.id), b, a)
        x, y, z = self.post(a), self.post(a), self.post(a)
        self.assert_page(self.thread(a, before=z.id, after=y.id), x, y)

    def test_roots_of_one_channel(self) -> None:
        """A page holds its own channel only; a subchannel is a place of its own (decisions 4.2)."""
        side = self.result(self.storage.create_channel(new_channel("side", self.general.id), NOON_MS))
        here, there = self.post(), self.post(channel_id=side.id)
        self.assert_page(self.roots(), here)
        page = self.result(self.storage.root_page(side.id, 50, None, None))
        self.assertEqual(page, [there])

    def test_roots_deleted(self) -> None:
        """A deleted root leaves the list unless it has living replies (decisions 4.7)."""
        alone, answered, chain = self.post(), self.post(), self.post()
        self.post(answered)
        middle = self.post(chain)
        self.post(middle)
        for message in (alone, answered, middle, chain):
            self.delete(message)
        self.assert_page(self.roots(), chain, answered)
        self.assert_page(self.roots(after=0), answered, chain)

    def test_roots_nothing(self) -> None:
        """Pages of no channel, or of no messages, are empty."""
        self.post()
        self.assert_page(self.roots(limit=0))
        self.assert_page(self.roots(limit=-3))
        for channel_id in (0, 99, *FAR_IDS):
            self.assertEqual(self.result(self.storage.root_page(channel_id, 50, None, None)), [])

    def test_far_cursors(self) -> None:
        """The wire's greatest ids as cursors stand at the end of the history, and break nothing."""
        root = self.post()
        reply = self.post(root)
        for far in (2**63 - 1, 2**63, 2**64 - 1):
            self.assert_page(self.roots(before=far), root)
            self.assert_page(self.roots(after=far))
            self.assert_page(self.thread(root, before=far), reply)
            self.assert_page(self.thread(root, after=far))
        self.assert_page(self.roots(before=-(2**70)))
        self.assert_page(self.roots(after=-(2**70)), root)
        self.assert_page(self.roots(limit=2**70), root)

    # Pages of threads

    def test_thread_depth_first(self) -> None:
        """A thread is presented depth first, siblings by time, without its root (decisions 4.3)."""
        root = self.post()
        a, b = self.post(root), self.post(root)
        b1, a1 = self.post(b), self.post(a)
        a2, a11 = self.post(a), self.post(a1)
        self.assert_page(self.thread(root), a, a1, a11, a2, b, b1)

    def test_thread_most_recent(self) -> None:
        """Without a cursor a page holds the most recent descendants at any depth (decisions 4.3)."""
        root = self.post()
        a, b = self.post(root), self.post(root)
        a1, b1, a2 = self.post(a), self.post(b), self.post(a)
        self.assert_page(self.thread(root, limit=3), a1, a2, b1)
        self.assert_page(self.thread(root, limit=4), a1, a2, b, b1)

    def test_thread_before_and_after(self) -> None:
        """Cursors choose by id, older or newer, over the whole thread (decisions 4.3)."""
        root = self.post()
        a, b = self.post(root), self.post(root)
        a1, b1, a2 = self.post(a), self.post(b), self.post(a)
        self.assert_page(self.thread(root, before=b1.id, limit=2), a1, b)
        self.assert_page(self.thread(root, after=a.id, limit=3), a1, b, b1)
        self.assert_page(self.thread(root, after=a2.id))
        self.assert_page(self.thread(root, before=a.id))

    def test_cursors_never_hide_children(self) -> None:
        """after_id finds a newer reply below an older one (decisions 4.3; reference W33)."""
        root = self.post()
        a1, a2 = self.post(root), self.post(root)
        child = self.post(a1)
        self.assert_page(self.thread(root, after=a2.id), child)

    def test_orphan_stands_where_its_parent_would(self) -> None:
        """A reply whose parent is not on the page stands where its parent's subtree would (decisions 4.3)."""
        root = self.post()
        a, b = self.post(root), self.post(root)
        aa = self.post(a)
        b1 = self.post(b)
        aaa = self.post(aa)
        c = self.post(root)
        self.assert_page(self.thread(root, limit=3), aaa, b1, c)
        self.assert_page(self.thread(root, limit=4), aa, aaa, b1, c)

    def test_thread_of_a_reply(self) -> None:
        """Any message's descendants can be listed, with all cursors (reference 2.3)."""
        root = self.post()
        a, b = self.post(root), self.post(root)
        a1, _, a2 = self.post(a), self.post(b), self.post(a)
        a11 = self.post(a1)
        self.assert_page(self.thread(a), a1, a11, a2)
        self.assert_page(self.thread(a, limit=2), a11, a2)
        self.assert_page(self.thread(a, before=a11.id), a1, a2)
        self.assert_page(self.thread(a, after=a1.id), a11, a2)
        self.assert_page(self.thread(a11))

    def test_thread_deleted(self) -> None:
        """A deleted reply without living replies leaves the list, else its tombstone stays (decisions 4.7)."""
        root = self.post()
        alone, answered = self.post(root), self.post(root)
        living = self.post(answered)
        for message in (alone, answered):
            self.delete(message)
        self.assert_page(self.thread(root), answered, living)
        self.assert_page(self.thread(answered), living)
        self.delete(living)
        self.assert_page(self.thread(root))
        self.assert_page(self.thread(answered))

    def test_thread_of_a_deleted_root(self) -> None:
        """The replies of a deleted root stay readable (decisions 4.7; reference W21)."""
        root = self.post()
        reply = self.post(root)
        self.delete(root)
        self.assert_page(self.thread(root), reply)

    def test_thread_of_nothing(self) -> None:
        """Threads of unknown messages, and pages of nothing, are empty."""
        root = self.post()
        self.post(root)
        self.assert_page(self.thread(root, limit=0))
        for parent_id in (0, 99, *FAR_IDS):
            self.assertEqual(self.result(self.storage.thread_page(parent_id, 50, None, None)), [])

    def test_deep_thread(self) -> None:
        """A chain of replies deeper than any recursion limit is stored, counted and listed."""
        chain = [self.post()]
        for _ in range(30):
            chain.append(self.post(chain[-1]))
        self.assert_page(self.thread(chain[0]), *chain[1:])
        self.assert_page(self.thread(chain[0], limit=2), *chain[-2:])
        self.assertEqual(self.reply_counts(chain[0], chain[29], chain[30]), [30, 1, 0])

    # Counts

    def count(self, since_ms: int, root: Message | None = None, channel: Channel | None = None) -> int:
        place = channel or self.general
        root_id = None if root is None else root.id
        (count,) = self.result(self.storage.counts_since([Backlog(place.id, since_ms, root_id)]))
        return count

    def test_count_since(self) -> None:
        """Roots and replies newer than a time in milliseconds are counted (decisions 4.12)."""
        root = self.post(created_at=NOON_MS)
        self.post(created_at=NOON_MS + 1)
        self.post(root, created_at=NOON_MS + 2)
        counts = [self.count(since) for since in (0, NOON_MS - 1, NOON_MS, NOON_MS + 1, NOON_MS + 2)]
        self.assertEqual(counts, [3, 3, 2, 1, 0])

    def test_count_in_a_thread(self) -> None:
        """In a thread the root counts too, and nothing outside of it (decisions 4.12)."""
        root, other = self.post(created_at=NOON_MS), self.post(created_at=NOON_MS)
        reply = self.post(root, created_at=NOON_MS + 1)
        self.post(reply, created_at=NOON_MS + 2)
        self.assertEqual([self.count(since, root) for since in (0, NOON_MS, NOON_MS + 1)], [3, 2, 1])
        self.assertEqual([self.count(0, other), self.count(0, reply)], [1, 0])

    def test_count_of_one_place(self) -> None:
        """A channel's count holds nothing of its subchannels, nor of a thread elsewhere."""
        side = self.result(self.storage.create_channel(new_channel("side", self.general.id), NOON_MS))
        root = self.post(channel_id=side.id)
        self.assertEqual([self.count(0), self.count(0, channel=side)], [0, 1])
        self.assertEqual([self.count(0, root), self.count(0, root, side)], [0, 1])

    def test_count_leaves_out_the_deleted(self) -> None:
        """Deleted messages are not unread, tombstones included (decisions 4.12)."""
        root = self.post()
        reply = self.post(root)
        self.delete(root)
        self.assertEqual([self.count(0), self.count(0, root)], [1, 1])
        self.delete(reply)
        self.assertEqual([self.count(0), self.count(0, root)], [0, 0])

    def test_count_far_times(self) -> None:
        """Times and ids that no database holds count nothing, or all."""
        self.post()
        self.assertEqual([self.count(2**64), self.count(-(2**64))], [0, 1])
        for far in FAR_IDS:
            backlogs = [Backlog(far, 0), Backlog(self.general.id, 0, far)]
            self.assertEqual(self.result(self.storage.counts_since(backlogs)), [0, 0])

    # Probes, rehearsals and sizes

    def test_probe(self) -> None:
        """A probe is a commit of its own kind and changes nothing that anybody sees."""
        posted = self.post()
        before = self.storage.statistics().operations
        for moment in range(3):
            self.assertIsNone(self.result(self.storage.probe(NOON_MS + moment)))
        self.assertEqual(self.storage.statistics().operations, before + 3)
        self.assertEqual(self.roots(), [posted.id])

    def test_rehearsal(self) -> None:
        """A rehearsed message is committed like any other and has an id in order, but nothing of it is left."""
        first = self.post()
        rehearsed = self.result(self.storage.rehearse(rehearsal()))
        second = self.post()
        self.assertLess(first.id, rehearsed.id)
        self.assertLess(rehearsed.id, second.id)
        self.assertEqual(rehearsed.channel_id, REHEARSAL_CHANNEL_ID)
        self.assertEqual((rehearsed.content, rehearsed.root_id), (b"anybody there?", rehearsed.id))
        self.assertIsNone(self.result(self.storage.message(rehearsed.id)))
        self.assertEqual(self.result(self.storage.root_page(REHEARSAL_CHANNEL_ID, 50, None, None)), [])
        self.assertEqual(self.result(self.storage.channels()), [self.general])

    def test_rehearsal_among_others(self) -> None:
        """Rehearsals that share a commit with posts disturb none of them, and nobody can post in their channel."""
        storage = self.storage
        together: Deferred[list[Any]] = gatherResults(
            [
                storage.append_message(self.new()),
                storage.rehearse(rehearsal()),
                storage.append_message(self.new()),
                storage.rehearse(rehearsal()),
            ]
        )
        ids = [message.id for message in self.result(together)]
        self.assertEqual(ids, sorted(ids))
        self.assertEqual(self.roots(), [ids[2], ids[0]])
        self.assert_refused(storage.append_message(self.new(channel_id=REHEARSAL_CHANNEL_ID)), UnknownChannel)

    def test_rehearsals_use_up_no_channel_ids(self) -> None:
        """The next channel gets the next id, however often was rehearsed."""
        for _ in range(3):
            self.result(self.storage.rehearse(rehearsal()))
        created = self.result(self.storage.create_channel(new_channel("tech"), NOON_MS))
        self.assertEqual(created.id, self.general.id + 1)

    def test_size(self) -> None:
        """Rows are counted, deleted messages included, rehearsed ones not."""
        kept, deleted = self.post(), self.post()
        self.post(kept)
        self.delete(deleted)
        self.result(self.storage.rehearse(rehearsal()))
        size = self.result(self.storage.measure())
        self.assertEqual((size.channels, size.messages), (1, 3))

    def test_closed_for_probes(self) -> None:
        """A storage that is not open fails like everywhere else."""
        self.result(self.storage.close())
        for asked in (
            self.storage.probe(NOON_MS),
            self.storage.rehearse(rehearsal()),
            self.storage.measure(),
        ):
            self.assert_refused(asked, Unavailable)
