"""Bans, as everybody on a real server sees them."""

from __future__ import annotations

from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.client.passwords import password_hash
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message
from tests.e2e.peers import Peer, TCPStream, connect, connect_websocket
from tests.e2e.phrases import CHAT, posting
from tests.e2e.server import UNLIMITED, RunningServer

PASSWORD: Final = "administrative secret"
CONFIG: Final = f"""
[server]
admin_users = ["root-admin"]
admin_password = "{PASSWORD}"

{UNLIMITED}"""
ELSEWHERE: Final = "127.0.0.2"


class BanTests(SynchronousTestCase):
    """A server with an admin."""

    def setUp(self) -> None:
        self.server = RunningServer(self, CONFIG, websocket=True)
        self.admin = self.logged_in(self.server)

    def logged_in(self, server: RunningServer) -> Peer:
        """The admin, logged in."""
        admin = connect(self, server)
        secret = password_hash("root-admin", PASSWORD)
        admin.send(wire.AuthRequest(nickname="root-admin", password_hash=secret))
        admin.until(wire.AuthResponse, success=True)
        return admin

    def from_elsewhere(self, server: RunningServer) -> Peer:
        """A connection from another address than everybody else's."""
        peer = Peer(TCPStream(server.port, source=ELSEWHERE))
        self.addCleanup(peer.close)
        return peer

    def last_words(self, peer: Peer) -> Message:
        """The last that the server says before it closes the connection."""
        return peer.rest()[-1]

    def test_banned_address(self) -> None:
        """A banned address is let go at once and turned away from then on, also by the next server (decisions 1.4)."""
        visitor = self.from_elsewhere(self.server)
        visitor.expect(wire.ServerConfig)
        self.admin.send(wire.BanIP(ip_cidr=f"{ELSEWHERE}/32", reason="noise"))
        self.admin.until(wire.IPBanned, success=True, message=f"IP {ELSEWHERE} banned successfully")
        self.assertEqual(self.last_words(visitor), wire.Disconnect(reason="Banned: noise"))
        self.assert_turned_away(self.server)
        connect(self, self.server).named("neighbour")
        self.server.terminate()
        restarted = self.server.restarted()
        self.assert_turned_away(restarted)
        admin = self.logged_in(restarted)
        admin.send(wire.UnbanIP(ip_cidr=ELSEWHERE))
        admin.until(wire.IPUnbanned, success=True)
        self.from_elsewhere(restarted).named("visitor")

    def assert_turned_away(self, server: RunningServer) -> None:
        """Somebody from elsewhere is told why, and no more."""
        config, *rest = self.from_elsewhere(server).rest()
        self.assertIsInstance(config, wire.ServerConfig)
        text = "Address banned permanently. Reason: noise"
        self.assertEqual(
            rest, [wire.Error(error_code=ErrorCode.PERMISSION_DENIED, message=text), wire.Disconnect(reason=text)]
        )

    def test_banned_nickname(self) -> None:
        """Live sessions with a banned nickname end at once, on every transport, and nobody takes it any more."""
        here = connect(self, self.server).named("troll")
        there = connect_websocket(self, self.server).named("Troll")
        self.admin.send(wire.BanUser(nickname="TROLL", reason="noise", shadowban=False))
        self.admin.until(wire.UserBanned, success=True)
        for peer in (here, there):
            self.assertEqual(self.last_words(peer), wire.Disconnect(reason="Banned: noise"))
        again = connect(self, self.server)
        again.send(wire.SetNickname(nickname="troll"))
        self.assertFalse(again.until(wire.NicknameResponse).success)
        self.assertIn("Admin root-admin banned user TROLL (ban_id=1, reason='noise'", self.server.log)

    def test_shadowban_ends(self) -> None:
        """What a shadowbanned user writes reaches nobody else, until the ban ends (decisions 7.2)."""
        shady, reader = connect(self, self.server).named("shady"), connect(self, self.server).named("reader")
        reader.ask_past_presence(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
        self.admin.send(wire.BanUser(nickname="shady", reason="", shadowban=True))
        self.admin.until(wire.UserBanned, success=True)
        shady.ask_past_presence(posting(CHAT, b"hidden"), wire.MessagePosted)
        self.admin.send(wire.UnbanUser(nickname="shady"))
        self.admin.until(wire.UserUnbanned, success=True)
        shady.ask_past_presence(posting(CHAT, b"shown"), wire.MessagePosted)
        self.assertEqual(reader.until(wire.NewMessage).content, b"shown")
