"""What is in the logs, what is never in them, and that nothing is lost when they are rotated."""

from __future__ import annotations

import functools
import gzip
import os
import re
import resource
import shutil
import socket
import sqlite3
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e.peers import connect, connect_websocket
from tests.e2e.server import PATIENCE_SECONDS, RunningServer
from tests.monitoring.documents import ETC, guide
from tests.monitoring.stage import stage
from tests.monitoring.tools import PATH, needs, unavailable

SECRET: Final = "the-owls-are-not-what-they-seem"
HASH: Final = "c2VjcmV0LWhhc2gtb2YtYS1wYXNzd29yZC1mb3ItdGVzdHM"
KEY: Final = bytes(range(65, 97))
LOGS: Final = ("server.log", "errors.log", "debug.log", "server.json.log")
EVERYTHING: Final = "[logging]\njson = true\ndebug = true\n[limits]\nmax_connections_per_ip = 20\n"


def posted(text: str) -> set[int]:
    """The messages that a log tells of."""
    return {int(line.split("message=")[1].split()[0]) for line in text.splitlines() if "POST_MESSAGE channel" in line}


def read(path: Path) -> str:
    """The text of a log, compressed or not."""
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


class DiscretionTests(SynchronousTestCase):
    """What nobody must read."""

    def test_no_secrets(self) -> None:
        """No log, debug.log included, has the text of a message, the hash of a password, or a key."""
        server = RunningServer(self, EVERYTHING, websocket=True)
        for peer in (connect(self, server), connect_websocket(self, server)):
            peer.send(
                wire.AuthRequest(nickname="alice", password_hash=HASH),
                wire.SetNickname(nickname="alice"),
                wire.RegisterUser(password_hash=HASH),
                wire.ChangePassword(old_password_hash=HASH, new_password_hash=HASH),
                wire.AddSSHKey(public_key=f"ssh-ed25519 {HASH}", label=SECRET),
                wire.ProvidePublicKey(key_type=2, public_key=KEY, label=SECRET),
                wire.PostMessage(channel_id=2, content=SECRET.encode()),
                wire.PostMessage(channel_id=2, content=b"\xff" + SECRET.encode()),
                wire.PostMessage(channel_id=999, content=SECRET.encode()),
                wire.EditMessage(message_id=1, new_content=SECRET.encode()),
                wire.Ping(timestamp=1),
            )
            peer.until(wire.Pong)
            peer.stream.send(struct.pack(">IBBB", 4 + len(SECRET), 1, 0x0A, 0x80) + SECRET.encode() + b"!")
        server.stop()
        for name in LOGS:
            log = (server.data_directory / name).read_text()
            for secret in (SECRET, HASH, KEY.decode(), KEY.hex(), repr(KEY)):
                self.assertNotIn(secret, log, name)
        self.assertIn("RECV", (server.data_directory / "debug.log").read_text())
        self.assertNotIn(SECRET, server.output)

    def test_no_errors(self) -> None:
        """errors.log is empty after everything that clients do, however badly they behave: it is for ours."""
        server = RunningServer(self, EVERYTHING, websocket=True)
        well_behaved = connect(self, server).named("alice")
        well_behaved.ask_past_presence(wire.PostMessage(channel_id=2, content=b"hello"), wire.MessagePosted)
        well_behaved.send(wire.SetNickname(nickname="bob"), wire.SetNickname(nickname="!"), wire.Disconnect())
        well_behaved.rest()
        for garbage in (b"\x00\x00\x00\x00", b"\xff" * 50, b"GET / HTTP/1.1\r\n\r\n", os.urandom(200)):
            peer = connect(self, server)
            peer.stream.send(garbage)
            peer.close()
        reset = connect(self, server)
        reset.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # type: ignore[attr-defined]
        reset.close()
        browser = connect_websocket(self, server).named("carol")
        browser.close()
        for _ in range(25):
            connect(self, server, greeted=False)
        flood = connect(self, server, greeted=False)
        flood.send(*[wire.Ping(timestamp=1)] * 500)
        server.stop()
        self.assertEqual((server.data_directory / "errors.log").read_text(), "")
        self.assertEqual(server.errors, "")

    def test_quiet_start(self) -> None:
        """The start is a few lines, one per listener, and none is alarming."""
        server = RunningServer(self, "", websocket=True)
        connect(self, server).close()
        server.stop()
        texts = [line[27:] for line in server.output.splitlines()]
        listening = [text for text in texts if "listening on" in text]
        self.assertEqual(len(listening), len(set(listening)))
        self.assertFalse([text for text in texts if re.search("[Ff]actory|object at 0x|Port", text)])
        self.assertEqual({text.split()[0] for text in texts}, {"[INFO]"})


class RotationTests(SynchronousTestCase):
    """The real logrotate, on the logs of a server that people use."""

    def setUp(self) -> None:
        """logrotate, and the server."""
        needs("logrotate")
        self.stage = stage()
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def rotate(self, text: str) -> None:
        """Run logrotate with a configuration for /var/lib/superchat, on the directory of the stage."""
        text = text.replace("/var/lib/superchat", str(self.stage.data))
        for word in ("su", "create 640"):
            text = text.replace(f"{word} superchat superchat", f"{word} {self.stage.owner}")
        config = self.directory / "superchat"
        config.write_text(text)
        config.chmod(0o644)
        logrotate = shutil.which("logrotate", path=PATH) or ""
        done = self.stage.execute([logrotate, "--force", "--state", str(self.directory / "state"), str(config)])
        self.assertEqual((done.code, done.output + done.errors), (0, ""))

    def test_rotation(self) -> None:
        """Every message that was posted is told of in one file or the other; the server goes on in the new one."""
        ours, theirs = (ETC / "logrotate.d" / "superchat").read_text(), guide().files["logrotate"]
        log = self.stage.data / "server.log"
        for text in (theirs, ours):
            before = log.stat().st_ino
            self.rotate(text)
            self.assertNotEqual(log.stat().st_ino, before)
            self.assertEqual(log.stat().st_mode & 0o777, 0o640)
            self.until(lambda: bool(posted(log.read_text())), "nothing in the new file")
            self.assertIn("Logs reopened", log.read_text())
            self.until(functools.partial(self.tells_of, self.stored()), "messages that no log tells of")
        rotated = {path.name for path in self.stage.data.glob("server.log*")}
        self.assertIn("server.log.1", rotated)
        self.assertTrue([name for name in rotated if name.startswith("server.log-20")], rotated)

    def stored(self) -> set[int]:
        """The messages in the database."""
        with closing(sqlite3.connect(f"file:{self.stage.data}/superchat.db?mode=ro", uri=True)) as database:
            return {row[0] for row in database.execute("SELECT id FROM message")}

    def tells_of(self, messages: set[int]) -> bool:
        """Whether all of these are in one of the files of server.log."""
        told: set[int] = set().union(*(posted(read(path)) for path in self.stage.data.glob("server.log*")))
        return messages <= told

    def until(self, done: Callable[[], bool], otherwise: str) -> None:
        """Wait for something that comes true soon."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            self.assertLess(time.monotonic(), deadline, otherwise)
            time.sleep(0.1)


class JournalTests(SynchronousTestCase):
    """The real journald, and the unit's lines in it."""

    def setUp(self) -> None:
        """The journal."""
        self.stage = stage()
        if self.stage.journal is None:
            unavailable(self.stage.no_journal)

    def test_priorities(self) -> None:
        """`journalctl -p err` finds the errors and nothing else, and the marks of priority are not in the text."""
        errors = self.stage.run("sudo journalctl -u superchat -p err -o cat").output.splitlines()
        self.assertTrue(errors)
        for line in errors:
            self.assertRegex(line, r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[ERROR\] ")
        everything = self.stage.run("sudo journalctl -u superchat -o cat").output
        self.assertIn("[INFO] Connection from", everything)
        self.assertNotIn("<6>", everything)

    def test_identifier(self) -> None:
        """The lines are those of scd, which is what the guide's rsyslog rule looks for."""
        self.assertIn("Server started on port", self.stage.run("sudo journalctl -t scd -o cat").output)


class DescriptorsTests(SynchronousTestCase):
    """A server without file descriptors."""

    def test_exhausted(self) -> None:
        """Who is there notices nothing; one line a second says it; with descriptors again everybody is welcome."""
        server = RunningServer(self, "[limits]\nmax_connections_per_ip = 0")
        alice = connect(self, server).named("alice")
        used = len(os.listdir(f"/proc/{server.pid}/fd"))
        hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 5, hard))
        began = time.monotonic()
        crowd = [connect(self, server, greeted=False) for _ in range(60)]
        turned_away = 0
        for peer in crowd[10:]:
            try:
                turned_away += not peer.stream.receive()
            except ConnectionResetError:
                turned_away += 1
        self.assertEqual(turned_away, len(crowd) - 10)
        self.assertIsInstance(alice.ask_past_presence(wire.Ping(timestamp=7), wire.Pong), wire.Pong)
        self.assertTrue(
            alice.ask_past_presence(wire.PostMessage(channel_id=2, content=b"still here"), wire.MessagePosted).success
        )
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
        self.assertIsInstance(connect(self, server).ask(wire.Ping(timestamp=1), wire.Pong), wire.Pong)
        seconds = time.monotonic() - began
        server.stop()
        lines = [line for line in server.log.splitlines() if "not accepted" in line]
        self.assertTrue(lines)
        self.assertLessEqual(len(lines), seconds + 2)
        self.assertNotIn("EMFILE", server.log)
