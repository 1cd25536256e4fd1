"""Tests for `superchat.chat.reading`: pages of roots and threads, as the client gets them."""

from __future__ import annotations

from typing import Any

from superchat.config import Limits, SeedChannel
from superchat.model import UserFlags
from superchat.wire.errors import ErrorCode
from superchat.wire.frames import MAX_LENGTH
from superchat.wire.messages import DeleteMessage, ListMessages, MessageList
from tests.chat.people import PeopleTestCase, account_of
from tests.chat.talk import GENERAL, TECH, Client, TalkTestCase


class ReadingTestCase(TalkTestCase):
    """A reader, and an author who posts."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.reader = self.connect("alice"), self.connect()

    def ids(self, **request: Any) -> list[int]:
        """The ids of a page, as presented."""
        message = ListMessages(**{"channel_id": GENERAL, "limit": 0, **request})
        return [entry.message_id for entry in self.entries(self.reader, message)]


class RootTests(ReadingTestCase):
    """Without parent_id (decisions 4.3)."""

    def test_newest_first(self) -> None:
        """No cursor: the newest page, newest first; limit 0 means 50, and 200 is the most (W32)."""
        ids = [self.post(self.alice) for _ in range(210)]
        self.assertEqual(self.ids(), ids[::-1][:50])
        self.assertEqual(self.ids(limit=3), ids[::-1][:3])
        self.assertEqual(self.ids(limit=65535), ids[::-1][:200])

    def test_before(self) -> None:
        """before_id goes back in time, newest first, and wins over after_id."""
        ids = [self.post(self.alice) for _ in range(6)]
        self.assertEqual(self.ids(before_id=ids[3], limit=2), [ids[2], ids[1]])
        self.assertEqual(self.ids(before_id=ids[3], after_id=ids[4], limit=2), [ids[2], ids[1]])
        self.assertEqual(self.ids(before_id=ids[0]), [])
        self.assertEqual(self.ids(before_id=2**64 - 1, limit=1), [ids[5]])

    def test_after(self) -> None:
        """after_id goes forward, oldest first."""
        ids = [self.post(self.alice) for _ in range(6)]
        self.assertEqual(self.ids(after_id=ids[1], limit=2), [ids[2], ids[3]])
        self.assertEqual(self.ids(after_id=0, limit=2), [ids[0], ids[1]])
        self.assertEqual(self.ids(after_id=2**64 - 1), [])

    def test_only_this_channel(self) -> None:
        """Another channel's messages, and replies, are not among the roots."""
        root = self.post(self.alice)
        self.post(self.alice, parent_id=root)
        self.post(self.alice, channel_id=TECH)
        self.assertEqual(self.ids(), [root])

    def test_echo(self) -> None:
        """The reply echoes channel, subchannel and parent of the request."""
        root = self.post(self.alice)
        page = self.reader.one(MessageList, ListMessages(channel_id=GENERAL, limit=1, parent_id=root))
        self.assertEqual((page.channel_id, page.subchannel_id, page.parent_id), (GENERAL, None, root))

    def test_deleted(self) -> None:
        """A deleted message leaves the list, one with replies stays as the tombstone (decisions 4.7, W21)."""
        gone, kept = self.post(self.alice), self.post(self.alice)
        reply = self.post(self.alice, parent_id=kept)
        for message_id in (gone, kept):
            self.alice.send(DeleteMessage(message_id=message_id))
        (entry,) = self.entries(self.reader, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual((entry.message_id, entry.content, entry.reply_count), (kept, b"[deleted by ~alice]", 1))
        self.assertEqual(self.ids(parent_id=kept), [reply])
        self.alice.send(DeleteMessage(message_id=reply))
        self.assertEqual(self.ids(), [])

    def test_unknown(self) -> None:
        """An unknown channel is ERROR 4001, an unknown parent 4002, one of another channel 6000 (4.5)."""
        elsewhere = self.post(self.alice, channel_id=TECH)
        for request, code in (
            (ListMessages(channel_id=999, limit=0), ErrorCode.CHANNEL_NOT_FOUND),
            (ListMessages(channel_id=GENERAL, limit=0, parent_id=5), ErrorCode.MESSAGE_NOT_FOUND),
            (ListMessages(channel_id=GENERAL, limit=0, parent_id=elsewhere), ErrorCode.INVALID_INPUT),
        ):
            self.assertEqual(self.reader.refusal(request)[0], code)


class ThreadTests(ReadingTestCase):
    """With parent_id (decisions 4.3)."""

    def setUp(self) -> None:
        super().setUp()
        self.root = self.post(self.alice)
        self.a = self.post(self.alice, parent_id=self.root)
        self.b = self.post(self.alice, parent_id=self.root)
        self.a1 = self.post(self.alice, parent_id=self.a)
        self.b1 = self.post(self.alice, parent_id=self.b)
        self.a2 = self.post(self.alice, parent_id=self.a)

    def test_depth_first(self) -> None:
        """All descendants, depth first, siblings by time, the parent itself not among them."""
        self.assertEqual(self.ids(parent_id=self.root), [self.a, self.a1, self.a2, self.b, self.b1])

    def test_most_recent(self) -> None:
        """A page holds the most recent ones; a reply without its parent stands where that one's subtree would."""
        self.assertEqual(self.ids(parent_id=self.root, limit=3), [self.a1, self.a2, self.b1])

    def test_cursors(self) -> None:
        """Cursors filter single messages and never hide children (W33)."""
        self.assertEqual(self.ids(parent_id=self.root, after_id=self.b), [self.a1, self.a2, self.b1])
        self.assertEqual(self.ids(parent_id=self.root, before_id=self.b1), [self.a, self.a1, self.b])
        self.assertEqual(self.ids(parent_id=self.root, before_id=self.b1, limit=2), [self.a1, self.b])
        self.assertEqual(self.ids(parent_id=self.root, after_id=self.a, limit=2), [self.a1, self.b])

    def test_from_a_reply(self) -> None:
        """A thread may be read from any message."""
        self.assertEqual(self.ids(parent_id=self.a), [self.a1, self.a2])

    def test_reply_counts(self) -> None:
        """reply_count counts all living descendants, on roots and replies alike."""
        counts = {
            entry.message_id: entry.reply_count
            for entry in self.entries(self.reader, ListMessages(channel_id=GENERAL, limit=0, parent_id=self.root))
        }
        self.assertEqual(counts, {self.a: 2, self.a1: 0, self.a2: 0, self.b: 1, self.b1: 0})
        (root,) = self.entries(self.reader, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual(root.reply_count, 5)
        self.alice.send(DeleteMessage(message_id=self.a))
        (root,) = self.entries(self.reader, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual(root.reply_count, 4)


class BigPageTests(ReadingTestCase):
    """Pages that would pass one frame."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_message_length=65_000)

    def test_shortened(self) -> None:
        """A page that would pass 1 MiB is shortened at its far end, never an error (decisions 4.3)."""
        ids = [self.post(self.alice, b"x" * 65_000) for _ in range(40)]
        newest = self.reader.one(MessageList, ListMessages(channel_id=GENERAL, limit=200))
        self.assertLessEqual(len(newest.pack()) + 3, MAX_LENGTH)
        shown = [entry.message_id for entry in newest.messages]
        self.assertEqual(shown, ids[::-1][: len(shown)])
        self.assertEqual(len(shown), 16)
        self.assertEqual(self.ids(after_id=0, limit=200), ids[:16])

    def test_shortened_thread(self) -> None:
        """In a thread, too, the most recent stay."""
        root = self.post(self.alice)
        ids = [self.post(self.alice, b"x" * 65_000, parent_id=root) for _ in range(20)]
        self.assertEqual(self.ids(parent_id=root, limit=200), ids[-16:])


class SubchannelTests(ReadingTestCase):
    """A subchannel's messages, both ways (decisions 4.2)."""

    channels = (SeedChannel("general"), SeedChannel("sub", parent="general"))

    def test_both_ways(self) -> None:
        """What is posted one way is read the other, and the parent's list does not hold it."""
        one = self.post(self.alice, channel_id=2)
        two = self.post(self.alice, channel_id=1, subchannel_id=2)
        self.assertEqual(self.ids(channel_id=2), [two, one])
        self.assertEqual(self.ids(channel_id=1, subchannel_id=2), [two, one])
        self.assertEqual(self.ids(channel_id=1), [])
        entry = self.entries(self.reader, ListMessages(channel_id=1, subchannel_id=2, limit=1))[0]
        self.assertEqual((entry.channel_id, entry.subchannel_id), (2, None))


class ViewTests(PeopleTestCase):
    """What others may not see (decisions 3.2, 7.2)."""

    def ids(self, client: Client, **request: Any) -> list[int]:
        message = ListMessages(**{"channel_id": GENERAL, "limit": 0, **request})
        return [entry.message_id for entry in self.entries(client, message)]

    def test_author_of_today(self) -> None:
        """Old messages follow a rename, and show today's rights (reference 3)."""
        anna = self.person("anna")
        self.post(anna)
        account = account_of(anna)
        self.now(self.storage.rename_account(account.id, "annika"))
        self.now(self.storage.set_flags(account.id, UserFlags.ADMIN))
        (entry,) = self.entries(anna, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual((entry.author_user_id, entry.author_nickname), (account.id, "$annika"))

    def test_author_who_is_gone(self) -> None:
        """A deleted account's messages are those of an anonymous user."""
        anna = self.person("anna")
        self.post(anna)
        self.now(self.storage.delete_account(account_of(anna).id, self.now_ms()))
        (entry,) = self.entries(self.connect(), ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual((entry.author_user_id, entry.author_nickname), (None, "~anna"))

    def test_direct(self) -> None:
        """A conversation is unknown to others, by its id and by its messages' (decisions 3.2, W3)."""
        anna, bob, mod = self.person("anna"), self.person("bob"), self.moderator()
        talk = self.conversation(anna, bob)
        message = self.post(anna, channel_id=talk)
        self.assertEqual(self.ids(bob, channel_id=talk), [message])
        for stranger in (mod, self.connect("guest")):
            for request, code in (
                (ListMessages(channel_id=talk, limit=0), ErrorCode.CHANNEL_NOT_FOUND),
                (ListMessages(channel_id=talk, limit=0, parent_id=message), ErrorCode.CHANNEL_NOT_FOUND),
                (ListMessages(channel_id=GENERAL, limit=0, parent_id=message), ErrorCode.MESSAGE_NOT_FOUND),
            ):
                self.assertEqual(stranger.refusal(request)[0], code)
        foreign = bob.refusal(ListMessages(channel_id=GENERAL, limit=0, parent_id=message))
        self.assertEqual(foreign[0], ErrorCode.INVALID_INPUT)

    def test_withheld(self) -> None:
        """A shadowbanned author's messages are for the author and moderators, from now to the end of the ban (7.2)."""
        troll, mod, guest = self.person("troll"), self.moderator(), self.connect("guest")
        root, hidden = self.post(guest), self.post(troll)
        reply = self.post(troll, parent_id=root)
        ban = self.shadowban(account_id=account_of(troll).id)
        self.assertEqual([self.ids(client) for client in (guest, troll, mod)], [[root], [hidden, root], [hidden, root]])
        pages = [self.ids(client, parent_id=root) for client in (guest, troll, mod)]
        self.assertEqual(pages, [[], [reply], [reply]])
        request = ListMessages(channel_id=GENERAL, limit=0, parent_id=hidden)
        self.assertEqual(guest.refusal(request), (ErrorCode.MESSAGE_NOT_FOUND, "Message not found"))
        for client, count in ((guest, 0), (mod, 1)):
            oldest = self.entries(client, ListMessages(channel_id=GENERAL, limit=0))[-1]
            self.assertEqual((oldest.message_id, oldest.reply_count), (root, count))
        self.chat.bans.remove(ban)
        self.assertEqual((self.ids(guest), self.ids(guest, parent_id=root)), ([hidden, root], [reply]))
