"""What every storage engine promises about authors, edits, read states, and what is withheld from whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from superchat.model import Account, Backlog, Message, NewAccount, NewAct, UserFlags, View
from superchat.storage.errors import AlreadyDeleted, Unavailable, UnknownAccount, UnknownChannel, UnknownMessage
from tests.storage.contract import MessagesTestCase, new_channel
from tests.storage.engines import FAR_IDS, NOON_MS

READER = 2**62 + 1
"""The key of the session that reads; the others' messages come from another one."""


def act(action: str, message: Message) -> NewAct:
    """What a moderator did to a message."""
    return NewAct("mod", 7, "192.0.2.7", action, "message", message.id, "~anna", "general", NOON_MS)


class ViewContract(MessagesTestCase):
    """Inherit, and say how to make an engine."""

    def account(self, nickname: str, user_flags: int = 0) -> Account:
        new = NewAccount(nickname, "hash", user_flags, NOON_MS)
        return self.result(self.storage.create_account(new))

    def post_as(self, author: Account, parent: Message | None = None, **changes: Any) -> Message:
        values: dict[str, Any] = {
            "author_id": author.id,
            "author_nickname": author.nickname,
            "author_flags": author.user_flags,
        }
        return self.post(parent, **(values | changes))

    def edit(self, message: Message, content: bytes, edited_at: int = NOON_MS + 3) -> Message:
        return self.result(self.storage.edit_message(message.id, content, edited_at, "anna"))

    def page(self, view: View, limit: int = 50, before: int | None = None, after: int | None = None) -> list[Message]:
        return self.result(self.storage.root_page(self.general.id, limit, before, after, view))

    def below(
        self, parent: Message, view: View, limit: int = 50, before: int | None = None, after: int | None = None
    ) -> list[Message]:
        return self.result(self.storage.thread_page(parent.id, limit, before, after, view))

    def counts(self, view: View, *backlogs: Backlog) -> list[int]:
        return self.result(self.storage.counts_since(backlogs, view))

    def assert_shown(self, page: Iterable[Message], *expected: tuple[Message, int]) -> None:
        """These messages with these reply counts."""
        self.assertEqual(
            [(message.id, message.reply_count) for message in page],
            [(message.id, count) for message, count in expected],
        )

    # Authors

    def test_author_of_today(self) -> None:
        """An account's messages carry its nickname and rights of today, old ones too (reference 3)."""
        anna = self.account("anna", UserFlags.ADMIN)
        root = self.post_as(anna)
        self.assertEqual((root.author_id, root.author_nickname, root.author_flags), (anna.id, "anna", 1))
        self.result(self.storage.rename_account(anna.id, "annika"))
        self.result(self.storage.set_flags(anna.id, UserFlags.MODERATOR))
        expected = attrs.evolve(root, author_nickname="annika", author_flags=2)
        self.assertEqual(self.read(root), expected)
        self.assertEqual(self.result(self.storage.root_page(self.general.id, 50, None, None)), [expected])

    def test_author_who_is_gone(self) -> None:
        """A deleted account's messages stay, as those of an anonymous user with its last nickname."""
        anna = self.account("anna", UserFlags.ADMIN)
        root = self.post_as(anna)
        reply = self.post_as(anna, root)
        self.result(self.storage.rename_account(anna.id, "annika"))
        self.result(self.storage.delete_account(anna.id, NOON_MS))
        for message in (self.read(root), *self.below(root, View())):
            self.assertEqual((message.author_id, message.author_nickname, message.author_flags), (None, "annika", 0))
        self.assertEqual(self.edit(reply, b"by a moderator").author_id, None)

    # Edits

    def test_edit(self) -> None:
        """An edit replaces the text, says when, and changes nothing else (decisions 4.7)."""
        root = self.post(content=b"frist")
        reply = self.post(root)
        edited = self.edit(root, b"first")
        expected = attrs.evolve(root, content=b"first", edited_at=NOON_MS + 3, reply_count=1)
        self.assertEqual(edited, expected)
        self.assertEqual(self.read(root), expected)
        self.assertEqual(self.read(reply), reply)
        self.reopen()
        self.assertEqual(self.read(root), expected)

    def test_versions(self) -> None:
        """Every text that was replaced is kept, in order, with who replaced it (decisions 4.7; reference W26)."""
        root = self.post(content=b"one")
        self.edit(root, b"two")
        self.edit(root, b"three", NOON_MS + 4)
        self.delete(root)
        self.assertEqual(
            self.stored_versions(root.id),
            [("edited", b"one", "anna"), ("edited", b"two", "anna"), ("deleted", b"three", "~anna")],
        )
        self.assertEqual(self.read(root).edited_at, NOON_MS + 4)

    def test_edit_refused(self) -> None:
        """What does not exist or is deleted cannot be edited, and nothing changes."""
        for message_id in (0, 77, *FAR_IDS):
            self.assert_refused(self.storage.edit_message(message_id, b"x", NOON_MS, "anna"), UnknownMessage)
        root = self.post()
        tombstone = self.delete(root)
        refused = self.storage.edit_message(root.id, b"x", NOON_MS, "anna", act("edit_message", root))
        self.assert_refused(refused, AlreadyDeleted)
        self.assertEqual(self.read(root), tombstone)
        self.assertEqual(len(self.stored_versions(root.id)), 1)
        self.assertEqual(self.result(self.storage.acts(10)), [])

    def test_acts(self) -> None:
        """What a moderator does to others' messages is in the audit log, in the same transaction (decisions 7.3)."""
        root = self.post()
        edited, deleted = act("edit_message", root), act("delete_message", root)
        self.result(self.storage.edit_message(root.id, b"x", NOON_MS, "@mod", edited))
        self.result(self.storage.delete_message(root.id, b"y", NOON_MS, "@mod", deleted))
        self.assert_refused(self.storage.delete_message(root.id, b"z", NOON_MS, "@mod", deleted), AlreadyDeleted)
        recorded = self.result(self.storage.acts(10))
        self.assertEqual([each.action for each in recorded], ["delete_message", "edit_message"])
        self.assertEqual({each.target_id for each in recorded}, {root.id})

    # What is withheld

    def test_withheld_account(self) -> None:
        """A shadowbanned account's messages are on no page and in no count of others (decisions 7.2; W19)."""
        troll, anna = self.account("troll"), self.account("anna")
        root, hidden = self.post_as(anna), self.post_as(troll)
        answer, insult = self.post_as(anna, root), self.post_as(troll, root)
        view = View(anna.id, READER, frozenset({troll.id}))
        self.assert_shown(self.page(view), (root, 1))
        self.assert_shown(self.below(root, view), (answer, 0))
        for message in (hidden, insult):
            self.assertIsNone(self.result(self.storage.message(message.id, view)))
        found = self.result(self.storage.message(root.id, view))
        assert found is not None
        self.assertEqual(found.reply_count, 1)
        stranger = attrs.evolve(view, account_id=None)
        self.assertEqual(self.counts(stranger, Backlog(1, 0), Backlog(1, 0, root.id)), [2, 2])
        self.assertEqual(self.counts(View(), Backlog(1, 0), Backlog(1, 0, root.id)), [4, 3])

    def test_withheld_name(self) -> None:
        """So are anonymous messages under a shadowbanned nickname, however it is written (decisions 7.1)."""
        anna = self.account("Trolley")
        root, hidden = self.post(author_nickname="anna"), self.post(author_nickname="TROLLEY")
        account = self.post_as(anna)
        self.post(root, author_nickname="trolley")
        view = View(None, READER, names=frozenset({"trolley"}))
        self.assert_shown(self.page(view), (account, 0), (root, 0))
        self.assertIsNone(self.result(self.storage.message(hidden.id, view)))
        self.assertEqual(self.counts(view, Backlog(1, 0), Backlog(1, 0, root.id)), [2, 1])

    def test_own(self) -> None:
        """What the reader wrote is never withheld and never unread: as its account, or in this session (4.12)."""
        troll = self.account("troll")
        mine = self.post_as(troll)
        in_session = self.post(author_nickname="troll", author_session=READER)
        other = self.post(author_nickname="troll", author_session=3)
        everything = View(troll.id, READER, frozenset({troll.id}), frozenset({"troll"}))
        self.assert_shown(self.page(everything), (in_session, 0), (mine, 0))
        self.assert_shown(self.page(attrs.evolve(everything, account_id=None)), (in_session, 0))
        self.assert_shown(self.page(attrs.evolve(everything, session_key=3)), (other, 0), (mine, 0))
        self.assertEqual(self.counts(everything, Backlog(1, 0)), [0])
        self.assertEqual(self.counts(View(troll.id, READER), Backlog(1, 0)), [1])

    def test_deleted_author(self) -> None:
        """While a deleted account is named, what it wrote stays withheld, though it looks anonymous (7.2)."""
        troll = self.account("troll")
        root = self.post()
        hidden = self.post_as(troll)
        self.post_as(troll, root)
        self.result(self.storage.delete_account(troll.id, NOON_MS))
        view = View(None, READER, frozenset({troll.id}))
        self.assert_shown(self.page(view), (root, 0))
        self.assertIsNone(self.result(self.storage.message(hidden.id, view)))
        by_name = View(None, READER, names=frozenset({"troll"}))
        self.assert_shown(self.page(by_name), (hidden, 0), (root, 1))

    def test_reply_counts_at_every_depth(self) -> None:
        """Reply counts of roots and replies leave out what is withheld below them, at any depth (4.3, 7.2)."""
        troll, anna = self.account("troll"), self.account("anna")
        root = self.post_as(anna)
        a, b = self.post_as(anna, root), self.post_as(anna, root)
        hidden = self.post_as(troll, a)
        deep = self.post_as(anna, hidden)
        deeper = self.post_as(troll, deep)
        self.delete(self.post_as(troll, b))
        view = View(anna.id, READER, frozenset({troll.id}))
        self.assert_shown(self.page(view), (root, 3))
        self.assert_shown(self.below(root, view), (a, 1), (deep, 0), (b, 0))
        self.assert_shown(self.below(a, view), (deep, 0))
        self.assert_shown(self.below(root, View()), (a, 3), (hidden, 2), (deep, 1), (deeper, 0), (b, 0))
        for message, count in ((root, 3), (a, 1), (deep, 0)):
            found = self.result(self.storage.message(message.id, view))
            assert found is not None
            self.assertEqual(found.reply_count, count)

    def test_parents_that_are_withheld(self) -> None:
        """Not even the id of a withheld parent is shown: the nearest above it stands in its place (7.2)."""
        troll, anna = self.account("troll"), self.account("anna")
        root = self.post_as(anna)
        hidden = self.post_as(troll, root)
        deep_hidden = self.post_as(troll, hidden)
        b = self.post_as(anna, root)
        deep = self.post_as(anna, deep_hidden)
        leaf = self.post_as(anna, deep)
        view = View(None, READER, frozenset({troll.id}))
        page = self.below(root, view)
        self.assert_page([message.id for message in page], b, deep, leaf)
        self.assertEqual([message.parent_id for message in page], [root.id, root.id, deep.id])
        (last,) = self.below(root, view, limit=1)
        self.assertEqual((last.id, last.parent_id), (leaf.id, deep.id))
        ancestors = [self.result(self.storage.seen_ancestor(each.id, view)) for each in (leaf, deep_hidden, root)]
        self.assertEqual(ancestors, [leaf.id, root.id, root.id])
        all_hidden = View(None, READER, frozenset({troll.id, anna.id}))
        self.assertEqual(self.result(self.storage.seen_ancestor(leaf.id, all_hidden)), root.id)
        for far in (0, *FAR_IDS):
            self.assertIsNone(self.result(self.storage.seen_ancestor(far, view)))

    def test_tombstones_without_a_reply_to_see(self) -> None:
        """A tombstone whose only living replies are withheld is gone too, in lists and threads (4.7, 7.2)."""
        troll, anna = self.account("troll"), self.account("anna")
        first, kept, root = self.post_as(anna), self.post_as(anna), self.post_as(anna)
        a = self.post_as(anna, root)
        self.post_as(troll, a)
        self.post_as(troll, kept)
        answer = self.post_as(anna, kept)
        self.delete(a), self.delete(root), self.delete(kept)
        view = View(anna.id, READER, frozenset({troll.id}))
        self.assert_shown(self.page(view), (kept, 1), (first, 0))
        self.assert_shown(self.below(root, view))
        self.assert_shown(self.below(kept, view), (answer, 0))
        self.assert_shown(self.page(View()), (root, 1), (kept, 2), (first, 0))

    def test_pages_are_full(self) -> None:
        """However much is withheld in between, pages have as many messages as they may have (4.3, 7.2)."""
        troll, anna = self.account("troll"), self.account("anna")
        thread = self.post_as(anna)
        roots, replies = [], []
        for _ in range(4):
            roots.append(self.post_as(anna))
            replies.append(self.post_as(anna, thread))
            for _ in range(3):
                self.post_as(troll)
                self.post_as(troll, thread)
                gone = self.post_as(anna)
                self.post_as(troll, gone)
                self.delete(gone)
                gone = self.post_as(anna, thread)
                self.post_as(troll, gone)
                self.delete(gone)
        view = View(anna.id, READER, frozenset({troll.id}))
        self.assert_page([each.id for each in self.page(view, limit=3)], *roots[:0:-1])
        self.assert_page([each.id for each in self.page(view, limit=3, before=roots[3].id)], *roots[2::-1])
        self.assert_page([each.id for each in self.page(view, limit=3, after=roots[0].id)], *roots[1:])
        self.assert_page([each.id for each in self.below(thread, view, limit=3)], *replies[1:])
        self.assert_page([each.id for each in self.below(thread, view, limit=2, after=replies[0].id)], *replies[1:3])
        self.assert_page([each.id for each in self.below(thread, view, limit=2, before=replies[3].id)], *replies[1:3])
        self.assert_page([each.id for each in self.page(view, limit=0)])
        self.assert_page([each.id for each in self.page(view, limit=2**70)], *roots[::-1], thread)

    def test_view_beyond_what_a_database_holds(self) -> None:
        """Sessions, accounts and names that no database holds are nobody's, and break nothing."""
        root = self.post()
        for far in FAR_IDS:
            view = View(far, far, frozenset({3}), frozenset({"ünbekannt"}))
            self.assert_shown(self.page(view), (root, 0))
            self.assertEqual(self.counts(view, Backlog(1, 0)), [1])

    # Read states

    def test_read_positions(self) -> None:
        """How far an account has read each channel is kept, the latest word counts (reference 2.1)."""
        anna, bob = self.account("anna"), self.account("bob")
        tech = self.result(self.storage.create_channel(new_channel("tech"), NOON_MS))
        for account, channel_id, position in (
            (anna, 1, NOON_MS),
            (anna, tech.id, 5),
            (bob, 1, 7),
            (anna, 1, 3),
            (anna, tech.id, -(2**63)),
        ):
            self.assertIsNone(self.result(self.storage.set_read(account.id, channel_id, position, NOON_MS)))
        self.reopen()
        positions = self.result(self.storage.read_positions(anna.id, [1, tech.id, 99, *FAR_IDS]))
        self.assertEqual(positions, {1: 3, tech.id: -(2**63) + 1})
        self.assertEqual(self.result(self.storage.read_positions(bob.id, [1, tech.id])), {1: 7})
        self.assertEqual(self.result(self.storage.read_positions(99, [1])), {})

    def test_read_positions_of_nobody(self) -> None:
        """Nothing is kept for accounts and channels that do not exist (decisions 4.5)."""
        anna = self.account("anna")
        for far in (0, 99, *FAR_IDS):
            self.assert_refused(self.storage.set_read(far, 1, 5, NOON_MS), UnknownAccount)
            self.assert_refused(self.storage.set_read(anna.id, far, 5, NOON_MS), UnknownChannel)
        self.result(self.storage.set_read(anna.id, 1, 5, NOON_MS))
        self.result(self.storage.delete_account(anna.id, NOON_MS))
        self.assertEqual(self.result(self.storage.read_positions(anna.id, [1])), {})
        self.assert_refused(self.storage.set_read(anna.id, 1, 5, NOON_MS), UnknownAccount)

    def test_channels_of(self) -> None:
        """It can be asked where messages are; those that do not exist are left out."""
        side = self.result(self.storage.create_channel(new_channel("side", self.general.id), NOON_MS))
        here, there = self.post(), self.post(channel_id=side.id)
        found = self.result(self.storage.channels_of([here.id, there.id, 5, *FAR_IDS]))
        self.assertEqual(found, {here.id: self.general.id, there.id: side.id})

    def test_many_counts_at_once(self) -> None:
        """Any number of counts comes in the order they were asked for, at one moment."""
        root = self.post()
        self.post(root, created_at=NOON_MS + 1)
        backlogs = [Backlog(1, 0), Backlog(99, 0), Backlog(1, NOON_MS), Backlog(1, 0, root.id), Backlog(2, 0, root.id)]
        self.assertEqual(self.counts(View(), *backlogs * 100), [2, 0, 1, 2, 0] * 100)
        self.assertEqual(self.counts(View()), [])

    # What is gone

    def test_nothing_of_a_deleted_channel(self) -> None:
        """What was said in a deleted channel is gone at once, by every way there is (decisions 4.13)."""
        tech = self.result(self.storage.create_channel(new_channel("tech"), NOON_MS))
        root = self.post(channel_id=tech.id)
        self.post(root, channel_id=tech.id)
        self.result(self.storage.delete_channel(tech.id, NOON_MS))
        for view in (View(), View(None, READER, frozenset({99}))):
            self.assertIsNone(self.result(self.storage.message(root.id, view)))
            self.assertEqual(self.result(self.storage.root_page(tech.id, 50, None, None, view)), [])
            self.assertEqual(self.below(root, view), [])
            self.assertEqual(self.counts(view, Backlog(tech.id, 0), Backlog(tech.id, 0, root.id)), [0, 0])
            self.assertIsNone(self.result(self.storage.seen_ancestor(root.id, view)))
        self.assertEqual(self.result(self.storage.channels_of([root.id])), {})
        self.assert_refused(self.storage.edit_message(root.id, b"x", NOON_MS, "anna"), UnknownMessage)
        self.assert_refused(self.storage.delete_message(root.id, b"x", NOON_MS, "anna"), UnknownMessage)

    def test_closed_for_views(self) -> None:
        """A storage that is not open fails like everywhere else."""
        self.result(self.storage.close())
        for asked in (
            self.storage.edit_message(1, b"", NOON_MS, ""),
            self.storage.seen_ancestor(1, View()),
            self.storage.channels_of([1]),
            self.storage.set_read(1, 1, 0, NOON_MS),
            self.storage.read_positions(1, [1]),
        ):
            self.assert_refused(asked, Unavailable)
