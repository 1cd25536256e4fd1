"""Starting and stopping: what operators see, and what must never hang."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e.peers import Peer, Stream, TCPStream, WebSocketStream, connect, connect_websocket
from tests.e2e.phrases import CHAT, page, posting
from tests.e2e.server import PATIENCE_SECONDS, UNLIMITED, Finished, Place, RunningServer, interrupted_start, new_place

SEED = random.SystemRandom().randrange(1 << 32)
SHUTDOWN = wire.Disconnect(reason="Server shutting down for maintenance")
GENEROUS_SECONDS = 20.0
"""More than anything here may take on the slowest machine; what it bounds would otherwise take for ever."""

S = TypeVar("S", bound=Stream)

SCD = ("-n", "--pidfile=", "--logger=superchat.ops.logs.stdout_observer")
PLAIN = ("-n", "--pidfile=")


def digest(path: Path) -> str:
    """The contents of a file, in short."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


class GracefulStop(SynchronousTestCase):
    """SIGTERM and SIGINT (decisions 1.7, 1.8)."""

    def test_announced_to_everybody(self) -> None:
        """Everybody is told why, then sees the end of the stream, and nothing else; no error is logged."""
        for number in (signal.SIGTERM, signal.SIGINT):
            server = RunningServer(self, websocket=True)
            people = [connect(self, server).named("alice"), connect_websocket(self, server).named("web")]
            people[0].until(wire.ServerPresence, nickname="web")
            for peer in people:
                peer.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
            people.append(connect(self, server))  # without a nickname
            server.send_signal(number)
            self.assertEqual([peer.rest() for peer in people], [[SHUTDOWN]] * 3)
            web = people[1].stream
            assert isinstance(web, WebSocketStream)
            self.assertEqual(web.close_code, 1000)
            server.wait_for_end(number)
            self.assertIn("Server stopped", server.log)
            self.assertEqual((server.data_directory / "errors.log").read_text(), "")

    def test_what_is_under_way(self) -> None:
        """Of a burst of posts, those that are acknowledged on the way down are stored, and DISCONNECT comes last."""
        server = RunningServer(self)
        alice = connect(self, server).named("alice")
        alice.send(*(posting(CHAT, b"%d" % number) for number in range(1000)))
        posted = [alice.expect(wire.MessagePosted).message_id]
        server.terminate()
        came = alice.rest()
        self.assertEqual(came.pop(), SHUTDOWN)
        posted += [message.message_id for message in came if isinstance(message, wire.MessagePosted)]
        self.assertEqual(len(posted), len(came) + 1)
        server.wait_for_end()
        with closing(sqlite3.connect(server.place.database)) as connection:
            stored = [row[0] for row in connection.execute("SELECT id FROM message ORDER BY id")]
        self.assertEqual(stored[: len(posted)], posted)

    def test_bounded(self) -> None:
        """Readers that have stalled and connections full of garbage do not hold the end up (decisions 1.8)."""
        config = UNLIMITED + "max_message_length = 65000\noutbox_budget_bytes = 67108864\n"
        environment = {"SUPERCHAT_SERVER_SHUTDOWN_TIMEOUT_SECONDS": "1"}
        server = RunningServer(self, config, websocket=True, environment=environment)
        self.stall(server)
        for port, garbage in (
            (server.port, b""),
            (server.port, b"\x00\x00"),
            (server.port, b"\x00\x10\x00\x00\x02"),
            (server.http_port, b""),
            (server.http_port, b"GET /ws HTT"),
            (server.http_port, b"\x16\x03\x01\x02\x00\x01\x00"),
        ):
            self.open(TCPStream(port)).send(garbage)
        half = self.open(WebSocketStream(server.http_port))
        half.stream.send(b"\x82\xfe\x10")
        started = time.monotonic()
        server.stop()
        self.assertLess(time.monotonic() - started, GENEROUS_SECONDS)

    def test_during_the_start(self) -> None:
        """SIGTERM while the server is still starting ends it as well, and the next start works."""
        rng = random.Random(SEED)
        for made, longest_delay in (("server.log", 0.0), ("superchat.db", 0.0), ("superchat.db", 0.1)):
            place = new_place(self, UNLIMITED)
            delay = rng.uniform(0, longest_delay)
            code = interrupted_start(self, place, place.data_directory / made, signal.SIGTERM, delay)
            said = place.stderr.read_text()
            self.assertIn(code, (0, -signal.SIGTERM), f"stopped {delay:.3f} s after {made} was there: {said}")
            self.assertEqual(said, "")
            RunningServer(self, place=place).stop()

    def stall(self, server: RunningServer) -> None:
        """Have people who do not read be sent more than the system's buffers hold."""
        streams: list[Stream] = [
            self.open(TCPStream(server.port, receive_buffer_bytes=4096)),
            self.open(WebSocketStream(server.http_port)),
        ]
        for stream in streams:
            stalled = Peer(stream)
            stalled.expect(wire.ServerConfig)
            stalled.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
        publisher = connect(self, server).named("publisher")
        noise = os.urandom(24_000).hex().encode()
        for _ in range(300):
            publisher.ask(posting(CHAT, noise), wire.MessagePosted)
        publisher.close()

    def open(self, stream: S) -> S:
        """Close a connection at the end of the test."""
        self.addCleanup(stream.close)
        return stream


class Daemon(SynchronousTestCase):
    """twistd in the background."""

    def test_start_and_stop_by_pid_file(self) -> None:
        """`twistd --pidfile=x superchat` returns, serves, and ends when the process in the file is told to."""
        place = new_place(self, UNLIMITED)
        pid_file, log = place.root / "superchat.pid", place.data_directory / "server.log"
        self.addCleanup(kill_by_file, pid_file)
        started = place.run([*place.twistd(f"--pidfile={pid_file}"), "--port", "0"], place.environment())
        self.assertEqual(started, Finished(0, "", ""))
        wait_until(lambda: log.exists() and "Server started on port " in log.read_text())
        port = int(log.read_text().rpartition("Server started on port ")[2].split()[0])
        peer = Peer(TCPStream(port))
        self.addCleanup(peer.close)
        peer.expect(wire.ServerConfig)
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        self.assertEqual(peer.rest(), [SHUTDOWN])
        wait_until(lambda: not pid_file.exists())
        self.assertRaises(ConnectionRefusedError, TCPStream, port)

    def test_start_that_fails(self) -> None:
        """Who starts a daemon that cannot open its database is told so, and no pid file is left behind."""
        place = new_place(self, UNLIMITED)
        place.data_directory.mkdir(parents=True)
        place.database.write_bytes(b"my holiday pictures " * 1000)
        pid_file = place.root / "superchat.pid"
        self.addCleanup(kill_by_file, pid_file)
        started = place.run([*place.twistd(f"--pidfile={pid_file}"), "--port", "0"], place.environment())
        self.assertEqual(started.exit_code, 1)
        self.assertIn("cannot open the database", started.stdout + started.stderr)
        wait_until(lambda: not pid_file.exists())


def kill_by_file(pid_file: Path) -> None:
    """Do not leave a daemon behind."""
    # Not imported by its name: trial takes a module's ``suppress`` for warnings to suppress.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


class StartThatFails(SynchronousTestCase):
    """One clear line, a non-zero exit code, and nothing done (decisions 9.3, 9.6)."""

    def start(self, place: Place, *arguments: str, options: tuple[str, ...] = SCD, **environment: str) -> list[str]:
        """Start a server that refuses to; return the lines on its standard error."""
        done = place.run([*place.twistd(*options), *arguments], place.environment(**environment))
        self.assertNotEqual(done.exit_code, 0)
        self.assertNotIn("Server started", done.stdout)
        return done.stderr.splitlines()

    def taken_port(self) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        port: int = listening.getsockname()[1]
        return port

    def test_port_taken(self) -> None:
        """A taken port, either of them, is one line that names it, and no database is made (decisions 9.3)."""
        port = self.taken_port()
        for options in (SCD, PLAIN):
            for arguments, environment in (
                (("--port", str(port)), {}),
                (("--port", "0"), {"SUPERCHAT_SERVER_HTTP_PORT": str(port)}),
            ):
                place = new_place(self)
                lines = self.start(place, *arguments, options=options, **environment)
                self.assertEqual(lines, [f"superchat: cannot listen on 127.0.0.1:{port}: Address already in use"])
                self.assertEqual(list(place.data_directory.iterdir()), [])

    def test_second_server(self) -> None:
        """A second server on the port of a running one leaves that one's logs and database alone."""
        server = RunningServer(self)
        connect(self, server).ask(page(CHAT), wire.MessageList)
        log = server.log
        lines = self.start(server.place, "--port", str(server.port))
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(log and server.log.startswith(log), server.log)
        self.assertEqual(sorted(server.data_directory.glob("*.1")), [])
        connect(self, server).named("alice").ask(posting(CHAT, b"still here"), wire.MessagePosted)

    def test_bad_configuration(self) -> None:
        """All mistakes are named at once, with file and line, and the server does not start (decisions 9.6)."""
        place = new_place(self, "[server]\ntcp_prt = 1\nhttp_port = 'x'\n\n[limits]\nmax_users = -1\n\n[limit]\n")
        for options in (SCD, PLAIN):
            lines = self.start(place, "--port", "70000", options=options, SUPERCHAT_LIMITS_MAX_NICKNAME_LENGTH="99")
            self.assertTrue(all(line.startswith("superchat: ") for line in lines), lines)
            for wanted in (
                f"{place.config}:2: server.tcp_prt",
                f"{place.config}:3: server.http_port",
                f"{place.config}:6: limits.max_users",
                f"{place.config}:8: [limit]",
                "--port: server.tcp_port",
                "environment SUPERCHAT_LIMITS_MAX_NICKNAME_LENGTH",
            ):
                self.assertEqual(len([line for line in lines if wanted in line]), 1, (wanted, lines))
            self.assertEqual(len(lines), 6, lines)
            self.assertFalse(place.data_directory.exists())

    def test_newer_database(self) -> None:
        """A database of a later release is refused in one line, and stays as it is."""
        server = RunningServer(self)
        server.stop()
        database = server.place.database
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'later', 0)")
            connection.commit()
        before = digest(database)
        for options in (SCD, PLAIN):
            lines = self.start(server.place, "--port", "0", options=options)
            self.assertEqual(len(lines), 1, lines)
            self.assertIn("schema version 999, made by a later release", lines[0])
            self.assertEqual(digest(database), before)

    def test_not_a_database(self) -> None:
        """A file that is no database is refused in one line that names it, and stays as it is."""
        place = new_place(self)
        place.data_directory.mkdir(parents=True)
        place.database.write_bytes(b"my holiday pictures " * 1000)
        before = digest(place.database)
        lines = self.start(place, "--port", "0")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(str(place.database), lines[0])
        self.assertEqual(digest(place.database), before)

    def test_no_log(self) -> None:
        """A log that cannot be written is one line that names it."""
        place = new_place(self)
        log = place.data_directory / "errors.log"
        log.mkdir(parents=True)
        self.assertEqual(self.start(place, "--port", "0"), [f"superchat: cannot write the log {log}: Is a directory"])

    def test_no_data_directory(self) -> None:
        """A data directory that cannot be made is one line that names it."""
        place = new_place(self)
        (place.root / "data").write_text("a file is in the way")
        lines = self.start(place, "--port", "0")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(str(place.data_directory), lines[0])


class Restart(SynchronousTestCase):
    """What is there after a regular stop and another start."""

    def test_data_is_kept(self) -> None:
        """Messages and channels are the same as before; seed channels are not made again (decisions 4.13)."""
        channels = '[[channels]]\nname = "Lobby"\ntype = "chat"\n\n[[channels]]\nname = "Deep"\nparent = "Lobby"\n'
        server = RunningServer(self, UNLIMITED + channels)
        alice = connect(self, server).named("alice")
        posted = [alice.ask(posting(1, b"%d" % number), wire.MessagePosted).message_id for number in range(3)]
        alice.ask(wire.DeleteMessage(message_id=posted.pop()), wire.MessageDeleted)
        before = self.seen(alice)
        self.assertEqual([message.message_id for message in before[2].messages], posted[::-1])
        server.stop()
        self.assertEqual(sorted(server.data_directory.glob("superchat.db-*")), [])
        for config in (UNLIMITED + channels, UNLIMITED):
            server = RunningServer(self, config, place=server.place)
            self.assertEqual(self.seen(connect(self, server)), before)
            server.stop()

    def seen(self, peer: Peer) -> tuple[wire.ChannelList, wire.SubchannelList, wire.MessageList]:
        return (
            peer.ask(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList),
            peer.ask(wire.GetSubchannels(channel_id=1), wire.SubchannelList),
            peer.ask(page(1), wire.MessageList),
        )

    def test_logs(self) -> None:
        """The log of the run before is kept as server.log.1; server.log is of this run (seed guide, Log Files)."""
        server = RunningServer(self)
        connect(self, server).named("in-the-first-run")
        server.stop()
        first = server.log
        self.assertIn("in-the-first-run", first)
        server = server.restarted()
        self.assertEqual((server.data_directory / "server.log.1").read_text(), first)
        self.assertNotIn("in-the-first-run", server.log)

    def test_start_is_quick(self) -> None:
        """A server is there in about a second, with an old database as with a new one."""
        started = time.monotonic()
        server = RunningServer(self)
        middle = time.monotonic()
        server.kill()
        server.restarted()
        self.assertLess(max(middle - started, time.monotonic() - middle), GENEROUS_SECONDS)
