"""Accounts on a real server: real hashes in real threads, on a real disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.auth.passwords import MOST_THREADS
from superchat.client.passwords import password_hash
from superchat.wire import messages as wire
from tests.e2e.peers import Peer, connect
from tests.e2e.server import UNLIMITED, RunningServer

ADMIN: Final = "administrator"
PASSWORD: Final = "correct horse"
CONFIG: Final = f"""
[server]
admin_users = ["{ADMIN}"]
{UNLIMITED}
max_auth_attempts_per_minute = 0
"""
GIVEN: Final = {"SUPERCHAT_SERVER_ADMIN_PASSWORD": PASSWORD}


class AccountTests(SynchronousTestCase):
    """People who register, log in, and come back."""

    def answer(self, peer: Peer, nickname: str, secret: str) -> wire.AuthResponse:
        """What comes of logging in."""
        peer.send(wire.AuthRequest(nickname=nickname, password_hash=secret))
        return peer.until(wire.AuthResponse)

    def registered(self, server: RunningServer, nickname: str, secret: str) -> Peer:
        """Somebody who has just registered."""
        peer = connect(self, server).named(nickname)
        peer.send(wire.RegisterUser(password_hash=secret))
        self.assertTrue(peer.until(wire.RegisterResponse).success)
        return peer

    def test_acknowledged_is_kept(self) -> None:
        """What was acknowledged outlives a kill: the account, its new nickname, its new password (decisions 2.5)."""
        server = RunningServer(self, CONFIG)
        anna = self.registered(server, "annabella", "a" * 43)
        anna.send(wire.SetNickname(nickname="isabella"))
        self.assertTrue(anna.until(wire.NicknameResponse).success)
        bob = self.registered(server, "bob", "b" * 43)
        bob.send(wire.ChangePassword(old_password_hash="b" * 43, new_password_hash="c" * 43))
        self.assertTrue(bob.until(wire.PasswordChanged).success)
        server.kill()
        again = RunningServer(self, CONFIG, place=server.place)
        peer = connect(self, again)
        self.assertEqual(self.answer(peer, "annabella", "a" * 43).nickname, "isabella")
        self.assertFalse(self.answer(peer, "bob", "b" * 43).success)
        self.assertTrue(self.answer(peer, "bob", "c" * 43).success)

    def test_admin_password(self) -> None:
        """The administrator logs in with the configured password as clients derive it, and the secret is nowhere in
        what the server writes (decisions 2.3)."""
        server = RunningServer(self, CONFIG, environment=GIVEN, arguments=["--debug"])
        secret = password_hash(ADMIN, PASSWORD)
        admin = self.answer(connect(self, server), ADMIN, secret)
        self.assertEqual((admin.success, admin.user_flags), (True, 1))
        server.stop()
        for file in server.data_directory.iterdir():
            written = file.read_bytes()
            for text in (PASSWORD, secret):
                self.assertNotIn(text.encode(), written, file.name)

    def test_own_threads(self) -> None:
        """Passwords are computed in a few threads of their own, which yield to everybody else, and are gone with the
        server."""
        server = RunningServer(self, CONFIG)
        peers = [connect(self, server) for _ in range(12)]
        for peer in peers:
            peer.send(wire.AuthRequest(nickname="nobody", password_hash="x" * 43))
        others = connect(self, server).named("others")
        for peer in peers:
            self.assertFalse(peer.until(wire.AuthResponse).success)
        priorities = [int(task.joinpath("stat").read_text().rpartition(")")[2].split()[16]) for task in tasks(server)]
        number = min(max(len(os.sched_getaffinity(0)) - 1, 1), MOST_THREADS)
        self.assertEqual(sorted(priorities)[-number - 1 :], [0, *[10] * number])
        others.send(wire.Ping(timestamp=1))
        others.until(wire.Pong)
        server.stop()

    def test_stop_while_computing(self) -> None:
        """A server that is asked to stop does not wait for all passwords that wait (decisions 1.8)."""
        server = RunningServer(self, CONFIG)
        peers = [connect(self, server) for _ in range(60)]
        for peer in peers:
            peer.send(wire.AuthRequest(nickname="nobody", password_hash="x" * 43))
        server.stop()
        said = [peer.rest()[-1] for peer in peers]
        self.assertEqual(said, [wire.Disconnect(reason="Server shutting down for maintenance")] * 60)


def tasks(server: RunningServer) -> list[Path]:
    """The threads of a server."""
    return [Path(entry.path) for entry in os.scandir(f"/proc/{server.pid}/task")]
