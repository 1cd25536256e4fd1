"""Every configuration key has an effect in the server: one test a key, and none is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from superchat.config import KEYS, Limits, Logging
from superchat.config import Server as ServerSection
from superchat.model import UserFlags
from superchat.net.protocol import SuperChatProtocol
from superchat.server import Server
from superchat.tap import Options, makeService
from superchat.wire import frames
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    AuthRequest,
    AuthResponse,
    ChannelList,
    Disconnect,
    Error,
    ListChannels,
    MessagePosted,
    NicknameResponse,
    Ping,
    Pong,
    PostMessage,
    ServerConfig,
    SetNickname,
    SubscribeChannel,
    SubscribeThread,
)
from tests.auth.quick import secret_of
from tests.e2e.server import free_port
from tests.net.in_memory import InMemoryClient, InMemoryServer

GENERAL, TECH = 2, 3

ELSEWHERE = {
    "discovery.server_name": "e2e/test_names.py",
    "discovery.server_description": "e2e/test_names.py",
}
"""Keys whose effect shows in a real process only, and the module that shows it."""


class KeysTestCase(SynchronousTestCase):
    """Servers that are told one key, in memory or, without being started, as twistd makes them."""

    def in_memory(self, **limits: int) -> InMemoryServer:
        """A server with these limits."""
        server = InMemoryServer(Limits(**limits))
        self.successResultOf(Deferred.fromCoroutine(server.start()))
        return server

    def made(self, toml: str, tcp_port: int = 0, http_port: int = 0) -> Server:
        """What `twistd superchat` makes of a configuration file; its sockets are bound, nothing is started."""
        home = Path(self.mktemp())
        home.mkdir()
        file = home / "superchat.toml"
        file.write_text(f"[server]\ntcp_port = {tcp_port}\nhttp_port = {http_port}\n{toml}")
        environment = {"HOME": str(home), "XDG_DATA_HOME": str(home.resolve() / "data")}
        for name in ("METRICS_PORT", "PROFILING_PORT"):
            if name.lower() not in toml:
                environment[f"SUPERCHAT_MONITORING_{name}"] = "0"
        self.patch(os, "environ", environment)
        options = Options()
        options.parseOptions(["--config", str(file)])
        server = cast(Server, makeService(options))
        self.addCleanup(server.lock.release)
        for listener in (*server.listeners, *server.operators):
            self.addCleanup(listener.socket.close)
        return server

    def codes(self, client: InMemoryClient) -> list[int]:
        """The codes of the ERRORs among what a client has received since it last looked."""
        return [event.error_code for event in client.received() if isinstance(event, Error)]


class KeyTests(KeysTestCase):
    """test_<section>_<key> for every key."""

    def test_server_tcp_port(self) -> None:
        """The TCP transport is bound to this port; the next server finds it taken."""
        port = self.made("").listeners[0].port
        taken = self.assertRaises(SystemExit, self.made, "", tcp_port=port)
        self.assertIn(f"port {port}", str(taken))

    def test_server_http_port(self) -> None:
        """0 switches the WebSocket transport off, anything else binds it."""
        self.assertEqual(len(self.made("").listeners), 1)
        free = self.made("").listeners[0]
        port = free.port
        free.socket.close()
        self.assertEqual([one.port for one in self.made("", http_port=port).listeners][1:], [port])

    def test_server_interface(self) -> None:
        """Sockets are bound to this address only."""
        server = self.made("interface = '127.0.0.1'")
        self.assertEqual(server.listeners[0].socket.getsockname()[0], "127.0.0.1")

    def test_server_data_directory(self) -> None:
        """The directory is made, for logs and database."""
        directory = Path(self.mktemp()).resolve()
        self.made(f"data_directory = '{directory}'")
        self.assertTrue(directory.is_dir())

    def test_server_database_path(self) -> None:
        """The database's directory is made, wherever it is."""
        database = Path(self.mktemp()).resolve() / "elsewhere" / "chat.db"
        self.made(f"database_path = '{database}'")
        self.assertTrue(database.parent.is_dir())

    def test_server_admin_users(self) -> None:
        """Nobody obtains a reserved nickname, whatever its case (decisions 2.3)."""
        server = InMemoryServer(server=ServerSection(admin_users=("Root",)))
        client = server.connect()
        client.received()
        client.send(SetNickname(nickname="rOOt"))
        self.assertEqual(
            client.received(), [NicknameResponse(success=False, message="This nickname is reserved")]
        )

    def test_server_trusted_proxies(self) -> None:
        """Only with proxies named does a TCP connection wait for a PROXY header (decisions 1.4)."""
        proxy = IPv4Address("TCP", "192.0.2.1", 1)
        for toml, is_proxied in (("", False), ("trusted_proxies = ['192.0.2.0/24']", True)):
            protocol = self.made(toml).listeners[0].factory.buildProtocol(proxy)
            self.assertNotEqual(isinstance(protocol, SuperChatProtocol), is_proxied)

    def test_server_moderator_users(self) -> None:
        """Nobody obtains a moderator's nickname either (decisions 2.3)."""
        server = InMemoryServer(server=ServerSection(moderator_users=("Mod",)))
        client = server.connect()
        client.received()
        client.send(SetNickname(nickname="mOD"))
        self.assertEqual(
            client.received(), [NicknameResponse(success=False, message="This nickname is reserved")]
        )

    def test_server_admin_password(self) -> None:
        """The first administrator logs in with it (decisions 2.3)."""
        given = ServerSection(admin_users=("Root",), admin_password="correct horse")
        server = InMemoryServer(server=given)
        self.successResultOf(Deferred.fromCoroutine(server.start()))
        client = server.connect()
        client.send(AuthRequest(nickname="Root", password_hash=secret_of("Root", "correct horse")))
        (answer,) = [event for event in client.received() if isinstance(event, AuthResponse)]
        self.assertEqual((answer.success, answer.user_flags), (True, UserFlags.ADMIN))

    def test_server_shutdown_timeout_seconds(self) -> None:
        """A stalled client holds a stopping server no longer than this."""
        seconds = self.made("shutdown_timeout_seconds = 1").config.server.shutdown_timeout_seconds
        server = self.in_memory()
        client = server.connect()
        server.factory.close_all(seconds)
        server.clock.advance(1)
        self.assertTrue(client.transport.disconnected)

    def test_limits_max_connections_per_ip(self) -> None:
        """One connection more than this is turned away (decisions 1.4)."""
        server = self.in_memory(max_connections_per_ip=1)
        server.connect()
        self.assertEqual(self.codes(server.connect()), [ErrorCode.CONNECTION_LIMIT])

    def test_limits_max_users(self) -> None:
        """One session more than this is turned away (decisions 1.4)."""
        server = self.in_memory(max_users=1)
        server.connect()
        self.assertEqual(self.codes(server.connect()), [ErrorCode.SERVER_FULL])

    def test_limits_message_rate_limit(self) -> None:
        """One message more than this in a minute is refused (decisions 4.10)."""
        client = self.in_memory(message_rate_limit=1).connect()
        post = PostMessage(channel_id=GENERAL, content=b"hello")
        client.send(SetNickname(nickname="alice"), post, post)
        self.assertEqual(self.codes(client), [ErrorCode.MESSAGE_RATE_LIMIT])

    def test_limits_max_channel_creates(self) -> None:
        """The limit is announced; what comes of it is tested with the creating of channels."""
        config = self.in_memory(max_channel_creates=7).connect().received()[0]
        assert isinstance(config, ServerConfig)
        self.assertEqual(config.max_channel_creates, 7)

    def test_limits_max_auth_attempts_per_minute(self) -> None:
        """One login more than this in a minute is refused (decisions 2.6)."""
        client = self.in_memory(max_auth_attempts_per_minute=1).connect()
        client.send(*[AuthRequest(nickname="alice", password_hash="x" * 43)] * 2)
        answers = [event.message for event in client.received() if isinstance(event, AuthResponse)]
        self.assertEqual(answers, ["Invalid credentials", "Too many attempts"])

    def test_limits_max_message_length(self) -> None:
        """A message of one byte more is refused (decisions 4.4); more than the reference's 4096 is possible."""
        client = self.in_memory(max_message_length=5000).connect()
        client.send(SetNickname(nickname="alice"), PostMessage(channel_id=GENERAL, content=b"x" * 5000))
        self.assertEqual(self.codes(client), [])
        client.send(PostMessage(channel_id=GENERAL, content=b"x" * 5001))
        self.assertEqual(self.codes(client), [ErrorCode.MESSAGE_TOO_LONG])

    def test_limits_max_nickname_length(self) -> None:
        """A longer nickname is refused."""
        client = self.in_memory(max_nickname_length=5).connect()
        client.send(SetNickname(nickname="toolong"), SetNickname(nickname="short"))
        answers = [event.success for event in client.received() if isinstance(event, NicknameResponse)]
        self.assertEqual(answers, [False, True])

    def test_limits_session_timeout_seconds(self) -> None:
        """A session without frames ends after this long."""
        server = self.in_memory(session_timeout_seconds=7)
        client = server.connect()
        client.received()
        server.clock.advance(7)
        self.assertEqual(client.received(), [Disconnect(reason="Session timeout")])

    def test_limits_max_thread_subscriptions(self) -> None:
        """One thread more is refused."""
        client = self.in_memory(max_thread_subscriptions=1).connect()
        post = PostMessage(channel_id=GENERAL, content=b"hello")
        client.send(SetNickname(nickname="alice"), post, post)
        ids = [event.message_id for event in client.received() if isinstance(event, MessagePosted)]
        client.send(*(SubscribeThread(thread_id=one) for one in ids))
        self.assertEqual(self.codes(client), [ErrorCode.THREAD_SUBSCRIPTION_LIMIT])

    def test_limits_max_channel_subscriptions(self) -> None:
        """One channel more is refused."""
        client = self.in_memory(max_channel_subscriptions=1).connect()
        client.send(SubscribeChannel(channel_id=GENERAL), SubscribeChannel(channel_id=TECH))
        self.assertEqual(self.codes(client), [ErrorCode.CHANNEL_SUBSCRIPTION_LIMIT])

    def test_limits_max_frames_per_second(self) -> None:
        """After the burst, this many frames are read in a second (decisions 1.9)."""
        server = self.in_memory(max_frames_per_second=4, frame_burst=1)
        client = server.connect()
        client.send(*[Ping(timestamp=1)] * 20)
        server.clock.pump([0.05] * 21)
        self.assertEqual(client.received().count(Pong(client_timestamp=1)), 5)

    def test_limits_frame_burst(self) -> None:
        """This many frames at once are no flood."""
        client = self.in_memory(max_frames_per_second=1, frame_burst=9).connect()
        client.send(*[Ping(timestamp=1)] * 9)
        self.assertEqual(self.codes(client), [])
        client.send(Ping(timestamp=1))
        self.assertEqual(self.codes(client), [ErrorCode.RATE_LIMIT_EXCEEDED])

    def test_limits_outbox_budget_bytes(self) -> None:
        """A reader that leaves this much unread is disconnected."""
        client = self.in_memory(outbox_budget_bytes=65_536).connect()
        client.received()
        client.protocol._outbox.pauseProducing()
        for _ in range(70):
            client.protocol.write(frames.encode(Error(error_code=0, message="x" * 1000)))
        client.clock.advance(0)
        self.assertEqual(client.received(), [Disconnect(reason="Connection too slow")])

    def test_retention_default_retention_hours(self) -> None:
        """A seed channel that names no hours has these."""
        config = self.made("[retention]\ndefault_retention_hours = 5\n[[channels]]\nname = 'lobby'").config
        server = InMemoryServer(channels=config.channels)
        self.successResultOf(Deferred.fromCoroutine(server.start()))
        client = server.connect()
        client.send(ListChannels(from_channel_id=0, limit=0))
        (answer,) = [event for event in client.received() if isinstance(event, ChannelList)]
        self.assertEqual([(one.name, one.retention_hours) for one in answer.channels], [("lobby", 5)])

    def test_retention_cleanup_interval_minutes(self) -> None:
        """Old messages are removed at this interval."""
        chat = self.made("[retention]\ncleanup_interval_minutes = 7")._factory.chat
        self.assertEqual(chat.retention.interval_minutes, 7)

    def test_logging_debug(self) -> None:
        """Frames are traced."""
        events: list[LogEvent] = []
        activity = Logger(observer=cast(ILogObserver, events.append))
        server = InMemoryServer(logging=Logging(debug=True), activity=activity)
        server.connect().send(Ping(timestamp=1))
        self.assertTrue(any("RECV" in (formatEvent(event) or "") for event in events))

    def test_logging_json(self) -> None:
        """There is a log for programs as well."""
        server = self.made("[logging]\njson = true")
        server._logs.start()
        server._logs.stop()
        self.assertTrue((server.config.data_directory / "server.json.log").exists())

    def operators_port(self, key: str) -> int:
        """The port that a server binds for operators when it is told one that is free."""
        port = free_port()
        (listener,) = self.made(f"[monitoring]\n{key} = {port}").operators
        self.assertEqual((listener.port, listener.socket.getsockname()[0]), (port, "127.0.0.1"))
        return port

    def test_monitoring_metrics_port(self) -> None:
        """Metrics and health are bound to this port of the loopback interface; 0 is off."""
        self.assertTrue(self.operators_port("metrics_port"))
        self.assertEqual(self.made("").operators, [])

    def test_monitoring_profiling_port(self) -> None:
        """Profiles are bound to this port of the loopback interface; 0 is off."""
        self.assertTrue(self.operators_port("profiling_port"))

    def test_monitoring_interface(self) -> None:
        """Operators' ports may be bound to another address (decisions 9.2)."""
        port = free_port()
        (listener,) = self.made(f"[monitoring]\ninterface = '127.0.0.2'\nmetrics_port = {port}").operators
        self.assertEqual(listener.socket.getsockname()[0], "127.0.0.2")

    def test_monitoring_canary_interval_seconds(self) -> None:
        """The canary sings at this interval."""
        self.assertEqual(self.made("[monitoring]\ncanary_interval_seconds = 7").monitor.canary.interval_seconds, 7)

    def test_monitoring_min_free_disk_bytes(self) -> None:
        """With less free space, the server is not healthy."""
        monitor = self.made("[monitoring]\nmin_free_disk_bytes = 100").monitor
        monitor.measurements.free_disk_bytes = 99
        self.assertEqual(list(monitor.problems()), ["disk: 99 bytes free, 100 are needed"])
        monitor.measurements.free_disk_bytes = 100
        self.assertEqual(list(monitor.problems()), [])

    def test_none_is_missing(self) -> None:
        """A key without a test of its effect cannot be added; the end-to-end tests have the keys they name."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        missing = {key for key in KEYS if key.replace(".", "_") not in tested}
        self.assertEqual(missing - ELSEWHERE.keys(), set())
        for key, module in ELSEWHERE.items():
            text = Path(__file__).parent.joinpath(module).read_text()
            self.assertIn(key.partition(".")[2], text, f"{module} does not name {key}")
