"""Tests for `superchat.net.factory` and `superchat.net.listening`: opening and ending all connections."""

from __future__ import annotations

import socket
from typing import cast

from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.service import SHUTDOWN_REASON
from superchat.net import factory
from superchat.net.factory import GIVING_WAY_SECONDS, SuperChatFactory
from superchat.net.listening import PortUnavailable, bind
from superchat.net.rounds import SLICE_SECONDS
from superchat.wire.messages import (
    Disconnect,
    MessagePosted,
    NewMessage,
    PostMessage,
    ServerConfig,
    SetNickname,
    SubscribeChannel,
)
from tests.net.in_memory import InMemoryServer
from tests.net.test_protocol import GENERAL, SlowStorage


class FactoryTests(SynchronousTestCase):
    """A `SuperChatFactory` in memory."""

    def setUp(self) -> None:
        self.storage = SlowStorage()
        self.server = InMemoryServer(storage=self.storage)
        self.clock = self.server.clock
        self.successResultOf(Deferred.fromCoroutine(self.server.start()))

    def test_log_line(self) -> None:
        """Each connection is a line that the monitoring guide's search finds, IPv4 as IPv4."""
        events: list[LogEvent] = []
        observer = cast(ILogObserver, events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.server.factory.buildProtocol(IPv6Address("TCP", "::ffff:192.0.2.1", 4711))
        self.assertIn("Connection from 192.0.2.1:4711", [formatEvent(event) for event in events])

    def test_goodbye(self) -> None:
        """On shutdown every session is told why before its connection ends (decisions 1.7)."""
        clients = [self.server.connect(), self.server.connect()]
        gone = self.server.factory.close_all(5)
        self.clock.advance(0)
        for client in clients:
            kinds = client.received()
            self.assertIsInstance(kinds[0], ServerConfig)
            self.assertEqual(kinds[1:], [Disconnect(reason=SHUTDOWN_REASON)])
            self.assertNoResult(gone)
            client.protocol.connectionLost()
        self.successResultOf(gone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_request_under_way(self) -> None:
        """A post that was received before the shutdown is still acknowledged (decisions 1.8)."""
        client = self.server.connect()
        client.send(SetNickname(nickname="alice"), PostMessage(channel_id=GENERAL, content=b"hello"))
        client.received()
        self.server.factory.close_all(5)
        self.clock.advance(0)
        self.assertEqual(client.received(), [])
        self.storage.commits[0].callback(None)
        self.clock.advance(0)
        posted, goodbye = client.received()
        self.assertIsInstance(posted, MessagePosted)
        self.assertEqual(goodbye, Disconnect(reason=SHUTDOWN_REASON))

    def test_bounded(self) -> None:
        """Neither a stalled reader nor a stalled disk keeps the server from stopping (decisions 1.8)."""
        stalled = self.server.connect()
        stalled.send(SetNickname(nickname="alice"), PostMessage(channel_id=GENERAL, content=b"hello"))
        self.server.factory.close_all(5)
        self.clock.advance(5)
        self.assertTrue(stalled.transport.disconnected)

    def test_posts_of_one_turn(self) -> None:
        """Posts that are committed together reach each subscriber in one write, in their order, and their author, who
        is subscribed too, after the acknowledgements (decisions 4.6)."""
        author, listener = self.server.connect(), self.server.connect()
        for client, nickname in ((author, "alice"), (listener, "bob")):
            client.send(SetNickname(nickname=nickname), SubscribeChannel(channel_id=GENERAL))
            self.clock.advance(10)
            client.received()
        author.received()
        author.send(*(PostMessage(channel_id=GENERAL, content=content) for content in (b"one", b"two", b"three")))
        writes: list[bytes] = []
        self.patch(listener.transport, "write", writes.append)
        for commit in self.storage.commits:
            commit.callback(None)
        self.clock.advance(0)
        contents = [b"one", b"two", b"three"]
        (heard,) = writes
        listener.transport.io.write(heard)
        self.assertEqual([each.content for each in listener.received() if isinstance(each, NewMessage)], contents)
        own = author.received()
        self.assertEqual([type(each) for each in own], [MessagePosted] * 3 + [NewMessage] * 3)

    def test_giving_way(self) -> None:
        """Those who have much to say let the database have its turns while somebody waits for it, and only then."""
        rests: list[float] = []
        self.patch(factory, "sleep", rests.append)
        client = self.server.connect()

        def say_much() -> None:
            self.clock.rightNow += SLICE_SECONDS

        for expected in ([], [GIVING_WAY_SECONDS] * 2):
            for _ in range(3):
                self.server.factory.rounds.add(say_much)
            self.clock.advance(0)
            self.assertEqual(rests, expected)
            client.send(SetNickname(nickname="alice"), PostMessage(channel_id=GENERAL, content=b"hello"))

    def test_nobody(self) -> None:
        """A server without connections stops at once."""
        lonely = SuperChatFactory(self.server.chat, self.clock)
        self.successResultOf(lonely.close_all(5))


class ListeningTests(SynchronousTestCase):
    """Real sockets, bound before anything is served."""

    def test_taken(self) -> None:
        """A port that is taken is one clear sentence (decisions 9.3)."""
        first = bind("127.0.0.1", 0)
        self.addCleanup(first.close)
        port = first.getsockname()[1]
        error = self.assertRaises(PortUnavailable, bind, "127.0.0.1", port)
        self.assertEqual(str(error), f"cannot listen on 127.0.0.1:{port}: Address already in use")

    def test_every_address(self) -> None:
        """Without an interface the port is open for IPv4 and, where the system has it, IPv6."""
        listening = bind("", 0)
        self.addCleanup(listening.close)
        with socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
            pass

    def test_accepted(self) -> None:
        """Whoever connects is answered without delay, and noticed when it is gone without a word."""
        for interface in ("", "127.0.0.1"):
            listening = bind(interface, 0)
            self.addCleanup(listening.close)
            listening.setblocking(True)
            with socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
                accepted, _ = listening.accept()
            with accepted:
                self.assertTrue(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                self.assertTrue(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def test_unknown_interface(self) -> None:
        """An address that this machine does not have is named."""
        error = self.assertRaises(PortUnavailable, bind, "192.0.2.1", 6465)
        self.assertIn("cannot listen on 192.0.2.1:6465", str(error))
