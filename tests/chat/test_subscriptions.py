"""Tests for `superchat.chat.subscriptions` and the registry they fill."""

from __future__ import annotations

from superchat.config import Limits, SeedChannel
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    DeleteMessage,
    NewMessage,
    SubscribeChannel,
    SubscribeOk,
    SubscribeThread,
    UnsubscribeChannel,
    UnsubscribeThread,
)
from tests.chat.people import PeopleTestCase, account_of
from tests.chat.slow_look_ups import SlowLookUps
from tests.chat.talk import GENERAL, TECH, Client, TalkTestCase

THREAD_TYPE, CHANNEL_TYPE = 1, 2


class ChannelTests(TalkTestCase):
    """SUBSCRIBE_CHANNEL and UNSUBSCRIBE_CHANNEL."""

    limits = Limits(max_channel_subscriptions=1)
    channels = (SeedChannel("general"), SeedChannel("tech"), SeedChannel("sub", parent="general"))

    def test_ok(self) -> None:
        """SUBSCRIBE_OK echoes the request; unsubscribing is answered with it as well (decisions 4.9)."""
        client = self.connect()
        ok = SubscribeOk(type=CHANNEL_TYPE, id=1, subchannel_id=3)
        self.assertEqual(client.ask(SubscribeChannel(channel_id=1, subchannel_id=3)), [ok])
        self.assertEqual(client.ask(UnsubscribeChannel(channel_id=1, subchannel_id=3)), [ok])
        self.assertEqual(list(self.chat.registry.subscribers(3)), [])

    def test_refusals(self) -> None:
        """Unknown channel 4001, subchannel 4004, beyond the limit 5005; again counts for nothing."""
        client = self.connect()
        self.assertEqual(
            client.refusal(SubscribeChannel(channel_id=99)),
            (ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist"),
        )
        self.assertEqual(
            client.refusal(SubscribeChannel(channel_id=2, subchannel_id=3)),
            (ErrorCode.SUBCHANNEL_NOT_FOUND, "Subchannel does not exist"),
        )
        client.send(SubscribeChannel(channel_id=1))
        self.assertEqual(client.one(SubscribeOk, SubscribeChannel(channel_id=1)).id, 1)
        self.assertEqual(
            client.refusal(SubscribeChannel(channel_id=2)),
            (
                ErrorCode.CHANNEL_SUBSCRIPTION_LIMIT,
                "Channel subscription limit exceeded (max 1 per session)",
            ),
        )

    def test_unsubscribe_unknown(self) -> None:
        """Unsubscribing is never refused, whatever the ids (reference 2.3)."""
        self.assertEqual(
            self.connect().ask(UnsubscribeChannel(channel_id=99, subchannel_id=98)),
            [SubscribeOk(type=CHANNEL_TYPE, id=99, subchannel_id=98)],
        )

    def test_unsubscribe_nowhere(self) -> None:
        """Ids that name no place change nothing; least of all do they mean the parent (decisions 4.2)."""
        client = self.connect()
        client.send(SubscribeChannel(channel_id=1))
        for subchannel_id in (99, 2):
            client.send(UnsubscribeChannel(channel_id=1, subchannel_id=subchannel_id))
            self.assertEqual(list(self.chat.registry.subscribers(1)), [client.session])

    def test_same_place(self) -> None:
        """Both addressings of a subchannel are one subscription (decisions 4.2)."""
        client, alice = self.connect(), self.connect("alice")
        client.send(SubscribeChannel(channel_id=1, subchannel_id=3))
        client.send(SubscribeChannel(channel_id=3))
        client.received()
        self.post(alice, channel_id=3)
        self.post(alice, channel_id=1, subchannel_id=3)
        self.post(alice, channel_id=1)
        self.assertEqual([type(event) for event in client.received()], [NewMessage, NewMessage])


class ThreadTests(TalkTestCase):
    """SUBSCRIBE_THREAD and UNSUBSCRIBE_THREAD."""

    limits = Limits(max_thread_subscriptions=1, max_connections_per_ip=0, message_rate_limit=0)

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.connect("alice")
        self.root = self.post(self.alice)
        self.reply = self.post(self.alice, parent_id=self.root)
        self.client = self.connect()

    def test_reply_stands_for_its_root(self) -> None:
        """Subscribing to a reply subscribes to its root, which is one subscription (decisions 4.9)."""
        for thread_id in (self.reply, self.root):
            self.assertEqual(
                self.client.ask(SubscribeThread(thread_id=thread_id)),
                [SubscribeOk(type=THREAD_TYPE, id=thread_id, subchannel_id=None)],
            )
        self.post(self.alice, parent_id=self.root)
        self.assertEqual([type(event) for event in self.client.received()], [NewMessage])

    def test_unsubscribe(self) -> None:
        """Unsubscribing works by the root and by a reply, and is never refused."""
        for thread_id in (self.root, self.reply):
            self.client.send(SubscribeThread(thread_id=self.root))
            self.assertEqual(
                self.client.ask(UnsubscribeThread(thread_id=thread_id)),
                [SubscribeOk(type=THREAD_TYPE, id=thread_id, subchannel_id=None)],
            )
            self.assertEqual(list(self.chat.registry.thread_subscribers(self.root)), [])
        self.client.send(SubscribeThread(thread_id=self.root))
        self.assertEqual(len(self.client.ask(UnsubscribeThread(thread_id=12345))), 1)

    def test_refusals(self) -> None:
        """Unknown or deleted 4003, beyond the limit 5004."""
        gone = self.post(self.alice)
        self.alice.send(DeleteMessage(message_id=gone))
        for thread_id in (12345, gone, 2**64 - 1):
            self.assertEqual(
                self.client.refusal(SubscribeThread(thread_id=thread_id)),
                (ErrorCode.THREAD_NOT_FOUND, "Thread does not exist"),
            )
        self.client.send(SubscribeThread(thread_id=self.root))
        other = self.post(self.alice)
        self.assertEqual(
            self.client.refusal(SubscribeThread(thread_id=other)),
            (ErrorCode.THREAD_SUBSCRIPTION_LIMIT, "Thread subscription limit exceeded (max 1 per session)"),
        )

    def test_tombstone(self) -> None:
        """A deleted root that still has replies may be subscribed to."""
        self.alice.send(DeleteMessage(message_id=self.root))
        self.assertEqual(self.client.one(SubscribeOk, SubscribeThread(thread_id=self.root)).id, self.root)


class SubchannelTests(TalkTestCase):
    """Threads in subchannels."""

    channels = (SeedChannel("tech"), SeedChannel("general"), SeedChannel("sub", parent="general"))

    def test_answer(self) -> None:
        """SUBSCRIBE_OK names the subchannel that the thread is in; when it ends it does not (wire 11, 0x52)."""
        alice = self.connect("alice")
        root = self.post(alice, channel_id=2, subchannel_id=3)
        reply = self.post(alice, channel_id=3, parent_id=root)
        for thread_id in (root, reply):
            self.assertEqual(
                alice.ask(SubscribeThread(thread_id=thread_id)),
                [SubscribeOk(type=THREAD_TYPE, id=thread_id, subchannel_id=3)],
            )
        self.assertEqual(
            alice.ask(UnsubscribeThread(thread_id=root)),
            [SubscribeOk(type=THREAD_TYPE, id=root, subchannel_id=None)],
        )


class StrangerTests(PeopleTestCase):
    """Threads that exist for some only (decisions 3.2, 7.2)."""

    def assert_unknown(self, client: Client, thread_id: int) -> None:
        self.assertEqual(
            client.refusal(SubscribeThread(thread_id=thread_id)),
            (ErrorCode.THREAD_NOT_FOUND, "Thread does not exist"),
        )

    def test_direct(self) -> None:
        """A conversation's messages do not exist for others, moderators included."""
        anna, bob = self.person("anna"), self.person("bob")
        talk = self.conversation(anna, bob)
        message = self.post(anna, channel_id=talk)
        self.assertEqual(bob.one(SubscribeOk, SubscribeThread(thread_id=message)).id, message)
        for stranger in (self.moderator(), self.person("carl"), self.connect()):
            self.assert_unknown(stranger, message)

    def test_withheld(self) -> None:
        """Nor do shadowbanned messages, nor tombstones with only such replies, while it lasts."""
        troll, guest, mod = self.person("troll"), self.connect("guest"), self.moderator()
        hidden, tombstone = self.post(troll), self.post(guest)
        self.post(troll, parent_id=tombstone)
        guest.send(DeleteMessage(message_id=tombstone))
        ban = self.shadowban(account_id=account_of(troll).id)
        for thread_id in (hidden, tombstone):
            self.assert_unknown(guest, thread_id)
            for client in (troll, mod):
                self.assertTrue(client.one(SubscribeOk, SubscribeThread(thread_id=thread_id)))
        self.chat.bans.remove(ban)
        for thread_id in (hidden, tombstone):
            self.assertTrue(guest.one(SubscribeOk, SubscribeThread(thread_id=thread_id)))


class GoneMeanwhileTests(TalkTestCase):
    """A session that goes while something is under way for it (W1)."""

    storage: SlowLookUps

    def make_storage(self) -> MemoryStorage:
        return SlowLookUps()

    def test_never_registered(self) -> None:
        """Nothing keeps or registers a session that has left, and nothing breaks."""
        alice = self.connect("alice")
        root = self.post(alice)
        alice.send(SubscribeThread(thread_id=root))
        alice.leave()
        self.storage.answers[0].callback(None)
        self.assertEqual(list(self.chat.registry.thread_subscribers(root)), [])
        assert alice.session is not None
        self.chat.registry.join(alice.session, GENERAL)
        self.chat.registry.subscribe_channel(alice.session, TECH)
        self.assertEqual(list(self.chat.registry.audience(GENERAL)), [])
        self.assertEqual(list(self.chat.registry.subscribers(TECH)), [])
