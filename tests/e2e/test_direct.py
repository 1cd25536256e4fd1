"""Direct messages on a real server: they, invites and participants outlive it, encrypted or not (decisions 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.client.encryption import EPHEMERAL, GENERATED, KeyPair
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from tests.e2e.peers import Peer, connect, connect_websocket
from tests.e2e.phrases import page, posting
from tests.e2e.server import RunningServer

SECRET: Final = "c" * 43
NONSENSE: Final = bytes(range(256)) + b"\xff\xfe\x00"
CONFIG: Final = """
[limits]
message_rate_limit = 0
max_frames_per_second = 0
max_connections_per_ip = 0
max_auth_attempts_per_minute = 0
"""


class DirectMessageTests(SynchronousTestCase):
    """A server, and people with and without accounts."""

    def setUp(self) -> None:
        self.server = RunningServer(self, CONFIG, websocket=True)

    def registered(self, nickname: str) -> Peer:
        """Somebody who has just made an account."""
        peer = connect(self, self.server).named(nickname)
        peer.send(wire.RegisterUser(password_hash=SECRET))
        peer.until(wire.RegisterResponse, success=True)
        peer.caught_up()
        return peer

    def logged_in(self, nickname: str) -> Peer:
        """A new session of an account, which has not looked yet at what came after the login."""
        peer = connect(self, self.server)
        peer.send(wire.AuthRequest(nickname=nickname, password_hash=SECRET))
        peer.until(wire.AuthResponse, success=True)
        return peer

    def start(self, peer: Peer, nickname: str, *, unencrypted: bool = True) -> None:
        """Ask for a conversation."""
        peer.send(wire.StartDM(target_type=1, target_nickname=nickname, allow_unencrypted=unencrypted))

    def talk(self, one: Peer, other: Peer, nickname: str) -> int:
        """Let two talk without encryption, as whoever is asked allows."""
        self.start(one, nickname)
        waiting = one.until(wire.DMPending)
        request = other.until(wire.DMRequest)
        self.assertEqual(request.dm_channel_id, waiting.dm_channel_id)
        other.send(wire.AllowUnencrypted(dm_channel_id=request.dm_channel_id, permanent=False))
        channel_id = other.until(wire.DMReady).channel_id
        self.assertEqual(one.until(wire.DMReady).channel_id, channel_id)
        return channel_id

    def contents(self, peer: Peer, channel_id: int) -> list[tuple[str, bytes]]:
        """Who said what in a conversation, newest first."""
        peer.send(page(channel_id))
        listed = peer.until(wire.MessageList)
        return [(entry.author_nickname, entry.content) for entry in listed.messages]

    def test_stopped(self) -> None:
        """After an orderly restart everything is where it was, but for those who were there without an account."""
        self.check_restart(self.server.stop)

    def test_killed(self) -> None:
        """The same after the end that nobody asked for."""
        self.check_restart(self.server.kill)

    def check_restart(self, end: Callable[[], object]) -> None:
        anna, bob, guest = self.registered("anna"), self.registered("bob"), connect(self, self.server).named("guest")
        self.registered("carl").close()
        with_bob, with_guest = self.talk(anna, bob, "bob"), self.talk(guest, anna, "anna")
        for place, content in ((with_bob, NONSENSE), (with_guest, b"hello")):
            anna.send(posting(place, content))
            anna.until(wire.MessagePosted, success=True)
        self.start(anna, "carl")
        invite_id = anna.until(wire.DMPending).dm_channel_id
        end()
        self.server = self.server.restarted()

        anna = self.logged_in("anna")
        self.start(anna, "bob")
        ready = anna.until(wire.DMReady)
        self.assertEqual((ready.channel_id, ready.other_nickname, ready.is_encrypted), (with_bob, "bob", False))
        self.assertEqual(self.contents(anna, with_bob), [("anna", NONSENSE)])
        note = ("", b"guest has left the conversation")
        self.assertEqual(self.contents(anna, with_guest), [note, ("anna", b"hello")])

        carl = self.logged_in("carl")
        self.assertEqual(carl.until(wire.DMRequest).dm_channel_id, invite_id)
        carl.send(wire.AllowUnencrypted(dm_channel_id=invite_id, permanent=False))
        channel_id = carl.until(wire.DMReady, other_nickname="anna").channel_id
        self.assertEqual(anna.until(wire.DMReady, other_nickname="carl").channel_id, channel_id)
        self.assert_unknown(carl, with_bob)
        self.assert_unknown(connect(self, self.server).named("guest"), with_guest)

    def assert_unknown(self, peer: Peer, channel_id: int) -> None:
        """A conversation is answered for as a channel that does not exist."""
        peer.send(page(channel_id))
        self.assertEqual(peer.until(wire.Error).error_code, ErrorCode.CHANNEL_NOT_FOUND)
        peer.send(wire.SubscribeChannel(channel_id=channel_id))
        self.assertEqual(peer.until(wire.Error).error_code, ErrorCode.CHANNEL_NOT_FOUND)

    def test_encrypted(self) -> None:
        """With the keys that DM_READY carries two understand each other, a browser without an account among them
        (decisions 6.3); the server does not."""
        annas, guests = KeyPair.generate(), KeyPair.generate()
        anna = self.registered("anna")
        guest = connect_websocket(self, self.server).named("guest")
        anna.send(wire.ProvidePublicKey(key_type=GENERATED, public_key=annas.public, label=""))
        guest.send(wire.ProvidePublicKey(key_type=EPHEMERAL, public_key=guests.public, label=""))
        guest.caught_up()
        self.start(anna, "~guest", unencrypted=False)
        hers, theirs = anna.until(wire.DMReady), guest.until(wire.DMReady)
        assert hers.other_public_key is not None
        assert theirs.other_public_key is not None
        sealed = annas.cipher(hers.other_public_key, hers.channel_id).encrypt("grüß dich".encode())
        guest.send(wire.SubscribeChannel(channel_id=theirs.channel_id))
        guest.until(wire.SubscribeOk)
        anna.send(posting(hers.channel_id, sealed))
        heard = guest.until(wire.NewMessage, channel_id=theirs.channel_id)
        cipher = guests.cipher(theirs.other_public_key, theirs.channel_id)
        self.assertEqual(cipher.decrypt(heard.content).decode(), "grüß dich")
        self.server.stop()
        for file in self.server.data_directory.rglob("*"):
            if file.is_file():
                self.assertNotIn("grüß dich".encode(), file.read_bytes())

    def test_who_goes(self) -> None:
        """The other is told when somebody without an account goes, and not when an account merely disconnects
        (decisions 6.4); leaving for good begins anew."""
        anna, bob, guest = self.registered("anna"), self.registered("bob"), connect(self, self.server).named("guest")
        with_bob, with_guest = self.talk(anna, bob, "bob"), self.talk(guest, anna, "anna")
        bob.close()
        guest.close()
        left = anna.until(wire.DMParticipantLeft)
        self.assertEqual((left.dm_channel_id, left.user_id, left.nickname), (with_guest, None, "guest"))
        bob = self.logged_in("bob")
        anna.send(wire.LeaveChannel(channel_id=with_bob, permanent=True))
        anna.until(wire.LeaveResponse, success=True, channel_id=with_bob)
        left = bob.until(wire.DMParticipantLeft)
        self.assertEqual((left.dm_channel_id, left.nickname), (with_bob, "anna"))
        self.assertEqual(self.contents(bob, with_bob), [("", b"anna has left the conversation")])
        self.assertNotEqual(self.talk(anna, bob, "bob"), with_bob)
