"""Logging in while the connection goes on: answers keep their order, and nobody waits for somebody else's password."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire.messages import (
    AuthRequest,
    AuthResponse,
    GetUserInfo,
    NicknameResponse,
    Ping,
    Pong,
    RegisterResponse,
    RegisterUser,
    ServerPresence,
    SetNickname,
    UserInfo,
)
from tests.auth.in_hand import PasswordsInHand
from tests.net.in_memory import InMemoryClient, InMemoryServer

SECRET = "x" * 43


class LoginTests(SynchronousTestCase):
    """Whole connections, whose passwords are known when the test says so."""

    def setUp(self) -> None:
        self.passwords = PasswordsInHand()
        self.server = InMemoryServer(passwords=self.passwords)
        self.client = self.connect()

    def connect(self) -> InMemoryClient:
        client = self.server.connect()
        client.received()
        return client

    def kinds(self, client: InMemoryClient) -> list[type[object]]:
        """The types of what has arrived, presence of whomever left out."""
        return [type(event) for event in client.received() if not isinstance(event, ServerPresence)]

    def know(self) -> None:
        """Let the password be known, and the reactor turn."""
        self.passwords.answer()
        self.server.clock.advance(0)

    def test_order(self) -> None:
        """What is sent while a password is computed is answered after it, in order (architecture, promises)."""
        name, ping = SetNickname(nickname="alice"), Ping(timestamp=1)
        self.client.send(name, RegisterUser(password_hash=SECRET), ping, GetUserInfo(nickname="alice"))
        self.assertEqual(self.kinds(self.client), [NicknameResponse])
        self.client.send(Ping(timestamp=2))
        self.assertEqual(self.kinds(self.client), [])
        self.know()
        events = [event for event in self.client.received() if not isinstance(event, ServerPresence)]
        info = UserInfo(nickname="alice", is_registered=True, user_id=1, online=True)
        self.assertEqual(events[1:], [Pong(client_timestamp=1), info, Pong(client_timestamp=2)])
        self.assertIsInstance(events[0], RegisterResponse)

    def test_others_go_on(self) -> None:
        """Nobody else waits meanwhile."""
        self.client.send(AuthRequest(nickname="alice", password_hash=SECRET))
        other = self.connect()
        other.send(Ping(timestamp=1))
        self.assertEqual(self.kinds(other), [Pong])

    def test_gone(self) -> None:
        """A connection that ends meanwhile is gone at once, and what it still asked for is not done."""
        self.client.send(AuthRequest(nickname="alice", password_hash=SECRET), SetNickname(nickname="alice"))
        self.client.protocol.connectionLost()
        self.assertEqual(len(self.server.chat.sessions), 0)
        self.know()
        self.assertEqual(self.client.received(), [])
        self.assertEqual(self.passwords.waiting, 0)

    def test_unknown(self) -> None:
        """After a refusal the connection goes on."""
        self.client.send(AuthRequest(nickname="alice", password_hash=SECRET), Ping(timestamp=1))
        self.know()
        self.assertEqual(self.kinds(self.client), [AuthResponse, Pong])
