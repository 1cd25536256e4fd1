"""Tests for `superchat.chat.service`, `sessions` and `dispatch`: the door, the table, and how things go wrong."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.service import Chat
from superchat.chat.sessions import network_of
from superchat.config import Config, Limits, SeedChannel
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode, Malformed, Unsupported
from superchat.wire.messages import (
    FROM_CLIENT,
    ChannelList,
    Disconnect,
    Error,
    JoinChannel,
    ListChannels,
    ListMessages,
    Ping,
    Pong,
    ServerConfig,
    SetNickname,
    SubscribeChannel,
)
from tests.chat.talk import GENERAL, Client, TalkTestCase


class DoorTests(TalkTestCase):
    """Who is admitted (decisions 1.4)."""

    limits = Limits(max_connections_per_ip=2, max_users=3)

    def refused(self, client: Client) -> list[Any]:
        client.connect()
        self.assertIsNone(client.session)
        return client.received()

    def test_announcement(self) -> None:
        """SERVER_CONFIG comes first and tells the limits that are enforced (decisions 1.1)."""
        self.assertEqual(
            Client(self.chat).connect().received(),
            [
                ServerConfig(
                    protocol_version=2,
                    max_message_rate=10,
                    max_channel_creates=5,
                    inactive_cleanup_days=90,
                    max_connections_per_ip=2,
                    max_message_length=4096,
                    max_thread_subscriptions=50,
                    max_channel_subscriptions=10,
                    directory_enabled=False,
                )
            ],
        )

    def test_per_address(self) -> None:
        """Too many from one address: SERVER_CONFIG, ERROR 5003, the end, with a reason."""
        for _ in range(2):
            Client(self.chat, "192.0.2.1").connect()
        third = Client(self.chat, "::ffff:192.0.2.1")
        config, error = self.refused(third)
        self.assertIsInstance(config, ServerConfig)
        reason = "Too many connections from your address"
        self.assertEqual(error, Error(error_code=ErrorCode.CONNECTION_LIMIT, message=reason))
        self.assertEqual(third.ended, (reason, "refused"))
        self.assertEqual(self.chat.counters.connections_refused, {ErrorCode.CONNECTION_LIMIT: 1})

    def test_full(self) -> None:
        """The server is full: ERROR 9002."""
        for number in range(3):
            Client(self.chat, f"192.0.2.{number}").connect()
        _, error = self.refused(Client(self.chat, "192.0.2.9"))
        self.assertEqual(error, Error(error_code=ErrorCode.SERVER_FULL, message="Server is full"))

    def test_order(self) -> None:
        """When both limits are reached, the address is named."""
        Client(self.chat, "192.0.2.1").connect(), Client(self.chat, "192.0.2.1").connect()
        Client(self.chat, "192.0.2.2").connect()
        _, error = self.refused(Client(self.chat, "192.0.2.1"))
        self.assertEqual(error.error_code, ErrorCode.CONNECTION_LIMIT)

    def test_places_come_back(self) -> None:
        """Who leaves makes room, and ids are never used twice in a run."""
        first = Client(self.chat).connect()
        second = Client(self.chat).connect()
        first.leave()
        third = Client(self.chat).connect()
        self.assertEqual([first.id, second.id, third.id], [1, 2, 3])

    def test_networks(self) -> None:
        """Mapped IPv4 counts as IPv4, IPv6 by its /64, anything else as itself (decisions 1.4)."""
        self.assertEqual(network_of("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(network_of("2001:db8::1"), network_of("2001:db8:0:0:ffff::2"))
        self.assertNotEqual(network_of("2001:db8::1"), network_of("2001:db8:0:1::1"))
        self.assertEqual(network_of("fe80::1%eth0"), "fe80::/64")
        self.assertEqual(network_of("/run/socket"), "/run/socket")


class DispatchTests(TalkTestCase):
    """Every event gets its answer."""

    def test_every_other_message(self) -> None:
        """Whatever this release does not serve answers ERROR 1001, and the connection goes on."""
        served = {
            "SET_NICKNAME", "GET_USER_INFO", "LIST_USERS", "PING", "DISCONNECT", "LIST_CHANNELS", "GET_SUBCHANNELS",
            "JOIN_CHANNEL", "LEAVE_CHANNEL", "LIST_CHANNEL_USERS", "POST_MESSAGE", "DELETE_MESSAGE", "LIST_MESSAGES",
            "SUBSCRIBE_CHANNEL", "UNSUBSCRIBE_CHANNEL", "SUBSCRIBE_THREAD", "UNSUBSCRIBE_THREAD",
        }  # fmt: skip
        client = self.connect("alice")
        for kind in FROM_CLIENT.values():
            if kind.NAME not in served:
                message = kind.unpack(bytes(2000))
                self.assertEqual(
                    client.refusal(message), (ErrorCode.UNSUPPORTED_VERSION, "Unsupported message type"), kind.NAME
                )
        self.assertEqual(client.ask(Ping(timestamp=-5)), [Pong(client_timestamp=-5)])

    def test_unknown_type(self) -> None:
        """Unknown types answer ERROR 1001 and share one counter."""
        client = self.connect()
        for code in (0x00, 0x50, 0xFF):
            self.assertEqual(client.refusal(Unsupported(code))[0], ErrorCode.UNSUPPORTED_VERSION)
        self.assertEqual(self.chat.counters.received["UNKNOWN"], 3)

    def test_malformed(self) -> None:
        """A payload that cannot be decoded answers ERROR 1000."""
        self.assertEqual(
            self.connect().refusal(Malformed(0x10, "PING", "3 bytes are too few")),
            (ErrorCode.INVALID_FORMAT, "Invalid message format"),
        )

    def test_disconnect(self) -> None:
        """DISCONNECT ends the session without a reply (reference 1.0)."""
        client = self.connect("alice")
        self.assertEqual(client.ask(Disconnect(reason="bye")), [])
        self.assertEqual(client.ended, (None, "client"))
        self.assertEqual(len(self.chat.sessions), 0)

    def test_counters(self) -> None:
        """Frames are counted by type in both directions, refusals by code, ends by cause."""
        client = self.connect()
        client.send(SetNickname(nickname="x"))
        client.send(JoinChannel(channel_id=999))
        client.send(SubscribeChannel(channel_id=999))
        client.leave()
        client.leave()
        counters = self.chat.counters
        self.assertEqual(counters.received, {"SET_NICKNAME": 1, "JOIN_CHANNEL": 1, "SUBSCRIBE_CHANNEL": 1})
        self.assertEqual(
            counters.sent, {"SERVER_CONFIG": 1, "NICKNAME_RESPONSE": 1, "JOIN_RESPONSE": 1, "ERROR": 1}
        )
        self.assertEqual(counters.errors, {ErrorCode.CHANNEL_NOT_FOUND: 1})
        self.assertEqual((counters.sessions_created, counters.sessions_disconnected), (1, {"client": 1}))


class BuggyStorage(MemoryStorage):
    """Fails in ways that nobody foresaw."""

    def root_page(self, *arguments: Any) -> Deferred[Any]:
        return fail(ZeroDivisionError("a bug"))

    def message(self, message_id: int) -> Deferred[Any]:
        raise ZeroDivisionError("a bug")


class BugTests(TalkTestCase):
    """What happens when a rule has a bug."""

    def make_storage(self) -> MemoryStorage:
        return BuggyStorage()

    def test_internal_error(self) -> None:
        """The session gets ERROR 9000 and goes on, and the log has the traceback."""
        client = self.connect("alice")
        self.assertEqual(
            client.refusal(ListMessages(channel_id=GENERAL, limit=0)), (ErrorCode.INTERNAL_ERROR, "Internal error")
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(client.ask(Ping(timestamp=1)), [Pong(client_timestamp=1)])


class SeedTests(SynchronousTestCase):
    """The channels of a new database (decisions 4.13)."""

    def started(self, storage: MemoryStorage, *channels: SeedChannel) -> Client:
        from twisted.internet.task import Clock

        chat = Chat(Config(channels=channels), storage, Clock())
        self.successResultOf(Deferred.fromCoroutine(chat.start()))
        return Client(chat).connect()

    def test_only_once(self) -> None:
        """Seed channels are made when the database is new, and never again."""
        storage = MemoryStorage()
        storage.open()
        self.started(storage, SeedChannel("general"), SeedChannel("sub", parent="General"))
        self.successResultOf(storage.close())
        storage.open()
        client = self.started(storage, SeedChannel("other"))
        names = [one.name for one in client.one(ChannelList, ListChannels(from_channel_id=0, limit=0)).channels]
        self.assertEqual(names, ["general"])
