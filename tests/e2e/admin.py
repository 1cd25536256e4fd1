"""Runs superchat-admin as operators do: as a process, beside a server or without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.client.passwords import password_hash
from superchat.wire import messages as wire
from tests.e2e import peers
from tests.e2e.peers import Peer
from tests.e2e.server import PATIENCE_SECONDS, Finished, Place, RunningServer

_COMMAND: Final = (sys.executable, "-m", "superchat.tools.admin")


def run_admin(place: Place, *arguments: str, typed: bytes = b"", **environment: str) -> Finished:
    """Run a command to its end, for the server or the database in ``place``."""
    done = subprocess.run(
        [*_COMMAND, "--config", str(place.config), *arguments],
        cwd=place.root,
        env=place.environment(**environment),
        input=typed,
        capture_output=True,
        start_new_session=True,  # without the terminal that the tests may run on, where it could ask for passwords
        timeout=PATIENCE_SECONDS,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


class AdminTestCase(SynchronousTestCase):
    """A place with a server, or for one."""

    place: Place

    def admin(self, *arguments: str, status: int = 0, typed: bytes = b"", **environment: str) -> Finished:
        """Run a command, which must end with this status."""
        done = run_admin(self.place, *arguments, typed=typed, **environment)
        self.assertEqual(done.exit_code, status, f"{arguments}\n{done.stdout}{done.stderr}")
        return done

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """What a command with --json prints."""
        return [json.loads(line) for line in self.admin("--json", *arguments).stdout.splitlines()]

    def refused(self, *arguments: str, status: int = 1, typed: bytes = b"") -> str:
        """Why a command was not carried out: one line."""
        text = self.admin(*arguments, status=status, typed=typed).stderr
        self.assertEqual(text.count("\n"), 1, text)
        return text.removeprefix("superchat-admin: ").removesuffix("\n")

    def make_account(self, nickname: str, *options: str, password: str = "") -> None:
        """Make an account with a password of its own."""
        typed = f"{password or password_of(nickname)}\n".encode()
        self.admin("create-user", nickname, "--password-file", "-", *options, typed=typed)

    def acts(self) -> list[tuple[str, str]]:
        """The audit log, oldest first: what was done to whom."""
        return [(act["action"], act["target"]) for act in reversed(self.objects("audit"))]


def password_of(nickname: str) -> str:
    """The password that tests give an account."""
    return f"the password of {nickname}"


def log_in(case: SynchronousTestCase, server: RunningServer, nickname: str, password: str = "") -> Peer:
    """A client that has logged in, and knows that everybody knows."""
    peer = peers.connect(case, server)
    case.assertEqual(try_to_log_in(peer, nickname, password).success, True)
    peer.until(wire.ServerPresence, nickname=nickname)
    return peer


def try_to_log_in(peer: Peer, nickname: str, password: str = "") -> wire.AuthResponse:
    """What the server says to an attempt."""
    secret = password_hash(nickname, password or password_of(nickname))
    peer.send(wire.AuthRequest(nickname=nickname, password_hash=secret))
    return peer.until(wire.AuthResponse)


def files_of(folder: Path) -> dict[str, int]:
    """What is in a folder, and whose it is."""
    return {path.name: path.stat().st_uid for path in folder.iterdir()}
