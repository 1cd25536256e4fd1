"""Tests for `superchat.chat.service`: what the chat announces, its channels, how sessions end, and new limits."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.service import Chat
from superchat.clocks import wall_ms
from superchat.config import Config, Limits, SeedChannel, Server
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    ChannelList,
    GetSubchannels,
    ListChannels,
    NicknameResponse,
    PostMessage,
    ServerConfig,
    SetNickname,
    SubchannelList,
)
from tests.chat.talk import GENERAL, Client, TalkTestCase

HELLO = PostMessage(channel_id=GENERAL, content=b"hello")


class AnnouncementTests(TalkTestCase):
    """SERVER_CONFIG."""

    limits = Limits(max_connections_per_ip=2, max_message_length=65_000, max_channel_subscriptions=0)

    def test_first(self) -> None:
        """SERVER_CONFIG comes first and tells the limits that are enforced (decisions 1.1)."""
        client = Client(self.chat).connect()
        self.settle()
        self.assertEqual(
            client.received(),
            [
                ServerConfig(
                    protocol_version=2,
                    max_message_rate=10,
                    max_channel_creates=5,
                    inactive_cleanup_days=90,
                    max_connections_per_ip=2,
                    max_message_length=65_000,
                    max_thread_subscriptions=50,
                    max_channel_subscriptions=0,
                    directory_enabled=False,
                )
            ],
        )


class EndTests(TalkTestCase):
    """How sessions end."""

    def test_once(self) -> None:
        """A session ends once, however often that is said."""
        watcher, alice = self.connect("watcher"), self.connect("alice")
        watcher.received()
        for _ in range(3):
            alice.leave()
        self.settle()
        self.assertEqual(len(watcher.received()), 1)
        self.assertEqual(self.chat.counters.sessions_disconnected, {"client": 1})

    def test_causes(self) -> None:
        """Ends are counted by their cause."""
        for cause in ("client", "timeout", "slow", "timeout"):
            client = self.connect()
            assert client.session is not None
            self.chat.disconnected(client.session, cause)
        self.assertEqual(self.chat.counters.sessions_disconnected, {"client": 1, "timeout": 2, "slow": 1})


class SeedTests(SynchronousTestCase):
    """The channels of a new database (decisions 4.13)."""

    def started(self, storage: MemoryStorage, *channels: SeedChannel) -> Client:
        """A client of a server that was just started."""
        storage.open()
        chat = Chat(Config(channels=channels), storage, Clock(), wall_ms)
        self.successResultOf(Deferred.fromCoroutine(chat.start()))
        return Client(chat).connect()

    def names(self, client: Client) -> list[str]:
        """The top-level channels."""
        return [one.name for one in client.one(ChannelList, ListChannels(from_channel_id=0, limit=0)).channels]

    def test_parents(self) -> None:
        """A seed channel may name its parent in any case; it is no top-level channel then."""
        client = self.started(MemoryStorage(), SeedChannel("general"), SeedChannel("sub", parent="General"))
        self.assertEqual(self.names(client), ["general"])
        (sub,) = client.one(SubchannelList, GetSubchannels(channel_id=1)).subchannels
        self.assertEqual(sub.name, "sub")

    def test_only_once(self) -> None:
        """Seed channels are made when the database is new, and never again."""
        storage = MemoryStorage()
        self.started(storage, SeedChannel("general"))
        self.successResultOf(storage.close())
        self.assertEqual(self.names(self.started(storage, SeedChannel("other"))), ["general"])


class ReconfigureTests(TalkTestCase):
    """Other limits while the server runs (decisions 9.5)."""

    limits = Limits(message_rate_limit=1)

    def reconfigure(self, limits: Limits, server: Server | None = None) -> None:
        """As at SIGHUP."""
        config = self.chat.config
        self.chat.reconfigure(attrs.evolve(config, limits=limits, server=server or config.server))

    def test_message_rate(self) -> None:
        """A new message rate holds for everybody, those who are connected included."""
        alice = self.connect("alice")
        self.post(alice)
        self.assertEqual(alice.refusal(HELLO)[0], ErrorCode.MESSAGE_RATE_LIMIT)
        self.reconfigure(Limits(message_rate_limit=2))
        self.post(alice), self.post(alice)
        self.assertEqual(
            alice.refusal(HELLO), (ErrorCode.MESSAGE_RATE_LIMIT, "Message rate limit exceeded (2 per minute)")
        )

    def test_same_rate(self) -> None:
        """A reload that leaves the rate alone gives nobody new messages."""
        alice = self.connect("alice")
        self.post(alice)
        self.reconfigure(Limits(message_rate_limit=1, max_users=9))
        self.assertEqual(alice.refusal(HELLO)[0], ErrorCode.MESSAGE_RATE_LIMIT)

    def test_the_rest(self) -> None:
        """Doors, lengths, reserved names and the announcement follow."""
        alice = self.connect("alice")
        self.reconfigure(Limits(max_users=1, max_message_length=4), Server(admin_users=("Root",)))
        self.assertEqual(alice.refusal(HELLO)[0], ErrorCode.MESSAGE_TOO_LONG)
        self.assertFalse(alice.one(NicknameResponse, SetNickname(nickname="root")).success)
        bob = Client(self.chat).connect()
        config = bob.received()[0]
        assert isinstance(config, ServerConfig)
        self.assertEqual((bob.session, config.max_message_length), (None, 4))
