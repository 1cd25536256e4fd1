"""SIGHUP: logs reopened, configuration read again, nobody disconnected (decisions 9.5)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from superchat.config import KEYS, Config, ConfigError, Limits, Logging, Mistake, SeedChannel, Server
from superchat.ops.logs import LogFiles
from superchat.ops.notify import Silence
from superchat.ops.reload import Reload, changes, is_reloadable, merged
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    Error,
    MessagePosted,
    NicknameResponse,
    Ping,
    Pong,
    PostMessage,
    ServerConfig,
    SetNickname,
)
from tests.net.in_memory import InMemoryServer

BEFORE = Config(server=Server(data_directory="/a", database_path="/a/b"))


class Heard(Silence):
    """In systemd's place."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def reloading(self) -> None:
        self.states.append("reloading")

    def reloaded(self) -> None:
        self.states.append("reloaded")


class CallsFromThread:
    """As much of a reactor as a signal needs."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callFromThread(self, call: Callable[[], None]) -> None:
        """Keep it until the reactor turns."""
        self.calls.append(call)


class ReloadTests(SynchronousTestCase):
    """What comes of a reload, and what the log says of it."""

    def setUp(self) -> None:
        """Logs on disk, and a configuration to be read."""
        self.directory = Path(self.mktemp())
        publisher = LogPublisher()
        self.lines: list[str] = []
        publisher.addObserver(self.keep)  # type: ignore[arg-type]
        self.patch(Reload, "_log", Logger(namespace="test", observer=publisher))
        self.logs = LogFiles(self.directory, False, Clock(), [publisher])
        self.logs.start()
        self.addCleanup(self.logs.stop)
        self.applied: list[Config] = []
        self.heard = Heard()
        self.new: Config | Exception = BEFORE
        self.reload = Reload(BEFORE, self.read, self.applied.append, self.logs, self.heard)

    def keep(self, event: dict[str, object]) -> None:
        """Keep a line of the log."""
        level, text = event["log_level"], str(event["log_format"]).format(**event)
        self.lines.append(f"{getattr(level, 'name', '')} {text}")

    def read(self) -> Config:
        """Read the configuration, or find it broken."""
        if isinstance(self.new, Exception):
            raise self.new
        return self.new

    def test_logs(self) -> None:
        """What is logged from now on is in new files, with the words about the reload first."""
        log = self.directory / "server.log"
        log.rename(self.directory / "server.log-20251008")
        self.reload.reload()
        self.logs.stop()
        self.assertIn("Logs reopened", log.read_text().splitlines()[0])
        self.assertEqual((self.directory / "server.log-20251008").read_text(), "")

    def test_logs_cannot_be_opened(self) -> None:
        """A log that cannot be opened anew, without a descriptor say, is said so, and later lines find their file."""
        log = self.directory / "server.log"
        log.rename(self.directory / "server.log-20251008")
        log.mkdir()
        self.reload.reload()
        self.assertIn("error Logs not reopened yet: a file cannot be opened; this is tried again", self.lines)
        log.rmdir()
        self.logs.stop()
        self.assertIn("Configuration reloaded", log.read_text())

    def test_nothing_changed(self) -> None:
        """Without a change nothing is applied, and the log says so."""
        self.reload.reload()
        self.assertEqual(self.applied, [])
        self.assertEqual(self.lines, ["info Logs reopened", "info Configuration reloaded, changed: nothing"])
        self.assertEqual(self.heard.states, ["reloading", "reloaded"])

    def test_applied(self) -> None:
        """Limits, log options and reserved names are applied, the keys named, the values not."""
        server = attrs.evolve(BEFORE.server, admin_users=("root",))
        self.new = attrs.evolve(BEFORE, limits=Limits(max_users=5), logging=Logging(debug=True), server=server)
        self.reload.reload()
        self.assertEqual(self.applied, [self.new])
        self.assertEqual(
            self.lines[1], "info Configuration reloaded, changed: server.admin_users, limits.max_users, logging.debug"
        )
        self.reload.reload()
        self.assertEqual(len(self.applied), 1)

    def test_needs_restart(self) -> None:
        """What cannot change is named in one line, and the rest is applied without it."""
        server = attrs.evolve(BEFORE.server, tcp_port=7000, interface="::1")
        channels = (SeedChannel(name="lobby"),)
        self.new = attrs.evolve(BEFORE, server=server, limits=Limits(max_users=5), channels=channels)
        self.reload.reload()
        self.assertEqual(self.applied, [attrs.evolve(BEFORE, limits=Limits(max_users=5))])
        keys = "server.tcp_port, server.interface, channels"
        self.assertEqual(self.lines[2:], [f"warn These take effect with the next restart: {keys}"])

    def test_mistakes(self) -> None:
        """A broken file changes nothing; each mistake is a line of its own, and an error."""
        self.new = ConfigError([Mistake("f:1", "a.b", "unknown key"), Mistake("f:2", "c.d", "out of range")])
        self.reload.reload()
        self.assertEqual(self.applied, [])
        self.assertEqual(
            self.lines[1:],
            [
                "error Configuration not reloaded, the old one stays: f:1: a.b: unknown key",
                "error Configuration not reloaded, the old one stays: f:2: c.d: out of range",
            ],
        )
        self.assertEqual(self.heard.states, ["reloading", "reloaded"])

    def test_trouble(self) -> None:
        """Whatever else goes wrong is logged, and systemd is not left waiting."""
        self.new = PermissionError("no")
        self.reload.reload()
        self.assertEqual(self.lines[1:], ["critical Configuration not reloaded, the old one stays"])
        self.assertEqual(self.heard.states, ["reloading", "reloaded"])

    def test_signals(self) -> None:
        """A signal is handled in the reactor's turn; those that come before that are one."""
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        reactor = CallsFromThread()
        self.reload.listen(reactor)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((len(reactor.calls), self.lines), (1, []))
        reactor.calls.pop()()
        self.assertEqual(len(self.lines), 2)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(len(reactor.calls), 1)


class KeysTests(SynchronousTestCase):
    """Which keys take effect at once."""

    def test_every_key(self) -> None:
        """Limits and logging do, ports and paths do not; a new key does not until somebody has seen to it."""
        self.assertEqual(
            {key for key in KEYS if is_reloadable(key)},
            {key for key in KEYS if key.startswith(("limits.", "logging."))}
            | {"server.admin_users", "server.moderator_users", "server.shutdown_timeout_seconds"}
            | {"retention.cleanup_interval_minutes"},
        )

    def test_changes(self) -> None:
        """A configuration differs from itself in nothing, and from another in what was changed."""
        self.assertEqual(list(changes(BEFORE, BEFORE)), [])
        after = attrs.evolve(BEFORE, limits=Limits(max_users=1, frame_burst=3))
        self.assertEqual(list(changes(BEFORE, after)), ["limits.max_users", "limits.frame_burst"])
        self.assertEqual(merged(BEFORE, after, changes(BEFORE, after)), after)
        self.assertEqual(merged(BEFORE, after, ["limits.max_users"]).limits, Limits(max_users=1))


class LiveSessionsTests(SynchronousTestCase):
    """What people who are connected see of a reload."""

    def setUp(self) -> None:
        """A server with somebody in it."""
        self.server = InMemoryServer(Limits(message_rate_limit=1))
        self.successResultOf(Deferred.fromCoroutine(self.server.start()))
        self.client = self.server.connect()
        self.client.send(SetNickname(nickname="alice"))
        self.client.received()

    def reconfigure(self, **limits: int) -> None:
        """Go by other limits."""
        self.server.chat.reconfigure(attrs.evolve(self.server.chat.config, limits=Limits(**limits)))

    def test_stay_connected(self) -> None:
        """Nobody is disconnected, not even when the server is over its new limit; the next one is turned away."""
        self.reconfigure(max_users=1)
        self.server.connect()
        self.reconfigure(max_users=1)
        self.client.send(Ping(timestamp=1))
        self.assertEqual(self.client.received()[-1], Pong(client_timestamp=1))
        late = self.server.connect()
        self.assertEqual([one.error_code for one in late.received() if isinstance(one, Error)], [ErrorCode.SERVER_FULL])

    def test_limits(self) -> None:
        """The message rate and length hold for everybody at once."""
        post = PostMessage(channel_id=2, content=b"hello")
        self.client.send(post, post)
        self.assertIsInstance(self.client.received()[-1], Error)
        self.reconfigure(message_rate_limit=0, max_message_length=5)
        self.client.send(post, PostMessage(channel_id=2, content=b"too long"))
        posted, refused = (one for one in self.client.received() if isinstance(one, MessagePosted | Error))
        self.assertIsInstance(posted, MessagePosted)
        assert isinstance(refused, Error)
        self.assertEqual(refused.error_code, ErrorCode.MESSAGE_TOO_LONG)

    def test_new_sessions(self) -> None:
        """Who connects is told the new limits, and held to them."""
        self.reconfigure(max_message_length=123, max_nickname_length=5)
        client = self.server.connect()
        config = client.received()[0]
        assert isinstance(config, ServerConfig)
        self.assertEqual(config.max_message_length, 123)
        client.send(SetNickname(nickname="toolong"))
        answer = client.received()[-1]
        assert isinstance(answer, NicknameResponse)
        self.assertFalse(answer.success)

    def test_unchanged_rate(self) -> None:
        """A reload that leaves the message rate alone gives nobody a fresh allowance."""
        post = PostMessage(channel_id=2, content=b"hello")
        self.client.send(post)
        self.client.received()
        self.reconfigure(message_rate_limit=1, max_users=7)
        self.client.send(post)
        refused = self.client.received()[-1]
        assert isinstance(refused, Error)
        self.assertEqual(refused.error_code, ErrorCode.MESSAGE_RATE_LIMIT)
