"""Tests for `superchat.chat.visibility`: which messages exist for whom."""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs
from twisted.internet.defer import Deferred

from superchat.chat.dispatch import Event
from superchat.chat.visibility import Visibility, wrote
from superchat.errors import Refused
from superchat.model import Message, UserFlags
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    DeleteMessage,
    EditMessage,
    ListMessages,
    MessagePosted,
    NewMessage,
    PostMessage,
    SubscribeChannel,
    SubscribeThread,
)
from superchat.wire.records import Message as WireMessage
from tests.chat.people import PeopleTestCase, account_of, session_of
from tests.chat.talk import GENERAL, Client


class VisibilityTestCase(PeopleTestCase):
    """Asks for messages as somebody."""

    def setUp(self) -> None:
        super().setUp()
        self.visibility = Visibility(self.storage, self.chat.directory, self.chat.bans)

    def found(self, client: Client, message_id: int) -> Message | None:
        return self.run_now(self.visibility.find(session_of(client), message_id))


class FindTests(VisibilityTestCase):
    """`Visibility.find`, on which everything else relies."""

    def test_everybody(self) -> None:
        """What is said in public exists for everybody, with or without a nickname, deleted or not."""
        guest = self.connect("guest")
        message = self.post(guest)
        for client in (guest, self.connect(), self.moderator()):
            self.assertIsNotNone(self.found(client, message))
        guest.send(DeleteMessage(message_id=message))
        self.assertIsNotNone(self.found(self.connect(), message))
        for message_id in (0, 7, 2**64 - 1):
            self.assertIsNone(self.found(guest, message_id))

    def test_conversations(self) -> None:
        """What is said in a conversation exists for those who take part, in each of their sessions (3.2)."""
        anna, bob = self.person("anna"), self.person("bob")
        message = self.post(anna, channel_id=self.conversation(anna, bob))
        for client in (anna, bob, self.session(account_of(bob))):
            self.assertIsNotNone(self.found(client, message))
        for client in (self.person("root", UserFlags.ADMIN), self.moderator(), self.connect("anna")):
            self.assertIsNone(self.found(client, message))

    def test_deleted_channel(self) -> None:
        """What was said in a channel that is gone exists for nobody, even while the storage still has it (4.13)."""
        guest = self.connect("guest")
        message = self.post(guest)
        self.chat.directory.remove(GENERAL)
        self.assertIsNone(self.found(guest, message))

    def test_shadowbanned(self) -> None:
        """It exists for the author and for those who moderate, at once when either changes (7.2)."""
        troll, guest = self.person("troll"), self.connect("guest")
        message = self.post(troll)
        ban = self.shadowban(account_id=account_of(troll).id)
        self.assertIsNone(self.found(guest, message))
        for client in (troll, self.session(account_of(troll)), self.moderator()):
            self.assertIsNotNone(self.found(client, message))
        promoted = self.person("late")
        self.assertIsNone(self.found(promoted, message))
        account = self.now(self.storage.set_flags(account_of(promoted).id, UserFlags.MODERATOR))
        self.chat.sessions.refresh(account)
        self.assertIsNotNone(self.found(promoted, message))
        self.chat.bans.remove(ban)
        self.assertIsNotNone(self.found(guest, message))

    def test_shadowbanned_name(self) -> None:
        """An anonymous author keeps sight of what this very session wrote; a namesake does not (7.1, 7.2)."""
        troll, namesake = self.connect("Troll"), self.connect("troll")
        message = self.post(troll)
        self.shadowban(nickname="TROLL")
        self.assertIsNotNone(self.found(troll, message))
        self.assertIsNone(self.found(namesake, message))

    def test_existing(self) -> None:
        """Whoever needs a message that does not exist for them is told 4002."""
        asked = self.visibility.existing(session_of(self.connect()), 7)
        refused = self.failureResultOf(Deferred.fromCoroutine(asked), Refused).value
        self.assertEqual((refused.code, refused.text), (ErrorCode.MESSAGE_NOT_FOUND, "Message not found"))


class AudienceTests(VisibilityTestCase):
    """`Visibility.audience` and `wrote`."""

    def message(self, message_id: int) -> Message:
        message = self.now(self.storage.message(message_id))
        assert message is not None
        return message

    def test_wrote(self) -> None:
        """One's own is what the account wrote, or this session, logged in or not (3.3)."""
        anna, guest = self.person("anna"), self.connect("guest")
        again = self.session(account_of(anna))
        by_anna, by_guest = (self.message(self.post(client)) for client in (anna, guest))
        self.assertTrue(wrote(session_of(anna), by_anna) and wrote(session_of(again), by_anna))
        self.assertFalse(wrote(session_of(guest), by_anna) or wrote(session_of(anna), by_guest))
        self.chat.sessions.log_out(session_of(anna))
        self.assertTrue(wrote(session_of(anna), by_anna))
        self.chat.sessions.log_in(session_of(guest), account_of(again))
        self.assertTrue(wrote(session_of(guest), by_guest))

    def test_nobody_in_a_channel_that_is_gone(self) -> None:
        """Of a channel that is gone nobody hears any more (4.13)."""
        guest = self.connect("guest")
        message = self.message(self.post(guest))
        listeners = [session_of(guest)]
        self.assertEqual(self.visibility.audience(listeners, message, hidden=False), listeners)
        self.chat.directory.remove(GENERAL)
        self.assertEqual([*self.visibility.audience(listeners, message, hidden=False)], [])


class SameAnswerTests(PeopleTestCase):
    """What must not be known is answered exactly as what does not exist (decisions 3.2, 7.2)."""

    def requests(self, message_id: int) -> list[WireMessage]:
        return [
            ListMessages(channel_id=GENERAL, limit=0, parent_id=message_id),
            PostMessage(channel_id=GENERAL, parent_id=message_id, content=b"reply"),
            EditMessage(message_id=message_id, new_content=b"x"),
            DeleteMessage(message_id=message_id),
            SubscribeThread(thread_id=message_id),
        ]

    def test_same_answers(self) -> None:
        """No request tells a withheld message, or somebody else's conversation's, from one that never was."""
        anna, bob, troll, stranger = (self.person(name) for name in ("anna", "bob", "troll", "stranger"))
        mod = self.moderator()
        secret = self.post(anna, channel_id=self.conversation(anna, bob))
        hidden = self.post(troll)
        self.post(mod, parent_id=hidden)
        for banned in (False, True):
            if banned:
                self.shadowban(account_id=account_of(troll).id)
            unknown = [stranger.refusal(request) for request in self.requests(7)]
            for message_id in (secret, hidden) if banned else (secret,):
                self.assertEqual([stranger.refusal(each) for each in self.requests(message_id)], unknown)
        self.assertEqual([mod.refusal(each) for each in self.requests(secret)], unknown)


@attrs.define
class Writes:
    """A write queue with a turn, which has not come yet, for each write to some clients."""

    clients: Collection[Client]
    flushed: int = 0
    before: list[Callable[[], None]] = attrs.field(factory=list)

    @property
    def queued(self) -> int:
        """How much was written to them."""
        return sum(client.writes for client in self.clients)

    def before_turns(self, call: Callable[[], None]) -> None:
        """Keep what the test calls when it wants to."""
        self.before.append(call)


class NewsTests(PeopleTestCase):
    """NEW_MESSAGE when somebody is shadowbanned (decisions 7.2)."""

    def setUp(self) -> None:
        super().setUp()
        self.troll, self.mod, self.guest = self.person("troll"), self.moderator(), self.connect("guest")
        self.again = self.session(account_of(self.troll))
        self.kept: dict[Client, list[Event]] = {}
        self.everybody = (self.troll, self.again, self.mod, self.guest)
        self.root = self.post(self.guest)
        self.hidden = self.post(self.troll, parent_id=self.root)
        for client in self.everybody:
            client.send(SubscribeChannel(channel_id=GENERAL))
            client.send(SubscribeThread(thread_id=self.root))
        self.shadowban(account_id=account_of(self.troll).id)
        self.heard()

    def heard(self) -> list[list[NewMessage]]:
        self.settle()
        heard = [[*self.kept.pop(client, []), *client.received()] for client in self.everybody]
        return [[event for event in events if isinstance(event, NewMessage)] for events in heard]

    def ids(self) -> list[list[tuple[int, int | None]]]:
        return [[(one.message_id, one.parent_id) for one in heard] for heard in self.heard()]

    def test_posts(self) -> None:
        """Only the author, in every session, and moderators hear of what a shadowbanned author posts."""
        for parent_id in (None, self.root):
            posted = self.posted(self.troll, parent_id)
            news = [(posted, parent_id)]
            self.assertEqual(self.ids(), [news, news, news, []])
        posted = self.posted(self.guest, None)
        self.assertEqual(self.ids(), [[(posted, None)]] * 4)

    def test_counted_as_heard(self) -> None:
        """Deliveries are those that were made."""
        before = self.chat.counters.deliveries
        self.posted(self.troll, None)
        self.assertEqual(self.chat.counters.deliveries, before + 3)

    def test_anonymous(self) -> None:
        """So it is for an anonymous author, whose nickname is shadowbanned, from the moment it is."""
        self.shadowban(nickname="Guest")
        posted = self.posted(self.guest, None)
        news = [(posted, None)]
        self.assertEqual(self.ids(), [[], [], news, news])

    def test_replies_to_what_is_withheld(self) -> None:
        """A reply to it names, for strangers, the nearest message above that they know (7.2)."""
        deeper = self.posted(self.troll, self.hidden)
        self.heard()
        posted = self.posted(self.mod, deeper)
        insiders, strangers = [(posted, deeper)], [(posted, self.root)]
        self.assertEqual(self.ids(), [insiders, insiders, insiders, strangers])
        after = self.posted(self.guest, posted)
        self.assertEqual(self.ids(), [[(after, posted)]] * 4)
        page = self.entries(self.guest, ListMessages(channel_id=GENERAL, limit=0, parent_id=self.root))
        self.assertEqual([(one.message_id, one.parent_id) for one in page], [(posted, self.root), (after, posted)])

    def test_complete_with_the_strangers(self) -> None:
        """A broadcast that says different things to different people is complete once all of them have theirs."""
        queue, broadcasts = Writes(self.everybody), self.chat.broadcasts
        broadcasts.through(queue)
        self.posted(self.mod, self.hidden)
        for call in queue.before:
            call()
        for written, pending in ((queue.queued - 1, 1), (queue.queued, 0)):
            broadcasts.settle(written, self.clock.seconds())
            self.assertEqual(broadcasts.pending, pending)

    def posted(self, client: Client, parent_id: int | None) -> int:
        """Post; MESSAGE_POSTED comes first, also to an author nobody else hears of (4.6)."""
        self.clock.advance(0.001)
        self.kept[client] = client.ask(PostMessage(channel_id=GENERAL, parent_id=parent_id, content=b"hello"))
        first = self.kept[client][0]
        assert isinstance(first, MessagePosted)
        return first.message_id
