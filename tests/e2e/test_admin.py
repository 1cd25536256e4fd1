"""superchat-admin against real servers, and without one (decisions 9.7)."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from twisted.trial.unittest import SkipTest

from superchat.wire import messages as wire
from tests.e2e import peers
from tests.e2e.admin import AdminTestCase, files_of, log_in, password_of, try_to_log_in
from tests.e2e.peers import Peer
from tests.e2e.phrases import GENERAL, page, posting
from tests.e2e.server import UNLIMITED, Place, RunningServer, new_place

CONFIG = f"""
[server]
admin_users = ["root-admin"]
moderator_users = ["watch-woman"]

{UNLIMITED.strip()}
max_auth_attempts_per_minute = 0
"""
ADMIN, MODERATOR = 1, 2


class LiveTestCase(AdminTestCase):
    """A running server."""

    def setUp(self) -> None:
        self.server = RunningServer(self, CONFIG)
        self.place = self.server.place


class AccountTests(LiveTestCase):
    """Accounts, and what their live sessions feel."""

    def test_created_accounts_log_in(self) -> None:
        """Accounts of reserved names are made here, and get the rights of the list they are in (decisions 2.3)."""
        stranger = peers.connect(self, self.server)
        answer = stranger.ask(wire.SetNickname(nickname="Root-Admin"), wire.NicknameResponse)
        self.assertFalse(answer.success)
        self.make_account("root-admin")
        self.make_account("watch-woman")
        self.make_account("somebody", "--role", "moderator")
        flags = [
            try_to_log_in(peers.connect(self, self.server), name).user_flags
            for name in ("root-admin", "watch-woman", "somebody")
        ]
        self.assertEqual(flags, [ADMIN, MODERATOR, MODERATOR])
        self.assertIn("belongs to an account already", self.refused("create-user", "SOMEBODY", *TYPED, typed=SECRET))
        self.assertEqual([one["sessions"] for one in self.objects("users")], [1, 1, 1])

    def test_rights_change_at_once(self) -> None:
        """grant and revoke are felt by a live session, and everybody hears of it (decisions 2.4)."""
        self.make_account("somebody")
        session, witness = log_in(self, self.server, "somebody"), peers.connect(self, self.server)
        self.admin("grant", "SomeBody", "moderator")
        self.assertEqual(session.until(wire.ServerPresence, nickname="somebody").user_flags, MODERATOR)
        self.assertEqual(witness.until(wire.ServerPresence, user_flags=MODERATOR).nickname, "somebody")
        session.send(wire.ListBans(include_expired=False))
        session.until(wire.BanList)
        self.admin("revoke", "somebody", "moderator")
        self.assertEqual(session.until(wire.ServerPresence, nickname="somebody").user_flags, 0)
        session.send(wire.ListBans(include_expired=False))
        session.until(wire.Error, error_code=3000)
        actions = [action for action, _ in self.acts()]
        self.assertEqual(actions, ["create_user", "grant", "revoke"])

    def test_reset_password(self) -> None:
        """The old password is good for nothing any more, and whoever logged in with it is disconnected."""
        self.make_account("somebody")
        session = log_in(self, self.server, "somebody")
        done = self.admin("reset-password", "SOMEBODY", *TYPED, typed=b"a new password\n")
        self.assertEqual(done.stdout, "Reset the password of somebody (1 sessions disconnected)\n")
        *_, goodbye = session.rest()
        self.assertEqual(goodbye, wire.Disconnect(reason="Password reset by an operator"))
        self.assertFalse(try_to_log_in(peers.connect(self, self.server), "somebody").success)
        log_in(self, self.server, "somebody", "a new password")

    def test_delete_user(self) -> None:
        """A deleted account's sessions end; its name is free; the messages stay (reference 2.4)."""
        self.make_account("somebody")
        session, reader = log_in(self, self.server, "somebody"), peers.connect(self, self.server)
        session.send(posting(GENERAL, b"I was here"))
        session.until(wire.MessagePosted)
        self.admin("delete-user", "somebody")
        *_, goodbye = session.rest()
        self.assertEqual(goodbye, wire.Disconnect(reason="Account deleted"))
        reader.send(page(GENERAL))
        (entry,) = reader.until(wire.MessageList).messages
        self.assertEqual((entry.author_nickname, entry.content), ("~somebody", b"I was here"))
        self.assertIn("There is no account somebody", self.refused("delete-user", "somebody"))


class BanTests(LiveTestCase):
    """Bans act on live sessions at once (decisions 7.1)."""

    def test_user(self) -> None:
        """A banned account's session reads the reason and is gone; the audit log tells who did it, and to whom."""
        self.make_account("somebody")
        session = log_in(self, self.server, "somebody")
        self.admin("ban", "--user", "somebody", "--reason", "spam", "--duration", "7d")
        *_, goodbye = session.rest()
        self.assertEqual(goodbye, wire.Disconnect(reason="Banned: spam"))
        self.assertFalse(try_to_log_in(peers.connect(self, self.server), "somebody").success)
        (ban,) = self.objects("bans")
        self.assertEqual((ban["banned_by"], ban["reason"]), (f"operator uid {os.getuid()}", "spam"))
        self.assertEqual(ban["banned_until_ms"] - ban["banned_at_ms"], timedelta(days=7) / timedelta(milliseconds=1))
        self.admin("unban", "--user", "somebody")
        log_in(self, self.server, "somebody")
        self.assertEqual([action for action, _ in self.acts()], ["create_user", "ban_user", "unban_user"])
        act, *_ = self.objects("audit")
        self.assertEqual((act["actor"], act["address"]), (f"operator uid {os.getuid()}", "local"))

    def test_address(self) -> None:
        """Whoever is connected from a banned network is disconnected, and nobody gets in from there."""
        session = peers.connect(self, self.server)
        self.admin("ban", "--ip", "127.0.0.0/8", "--reason", "too near")
        *_, goodbye = session.rest()
        self.assertEqual(goodbye, wire.Disconnect(reason="Banned: too near"))
        refused = peers.connect(self, self.server).rest()
        self.assertEqual([type(message) for message in refused], [wire.Error, wire.Disconnect])
        self.admin("unban", "--ip", "127.0.0.0/8")
        peers.connect(self, self.server).named("somebody")

    def test_nickname(self) -> None:
        """A nickname that is nobody's can be banned, too."""
        session = peers.connect(self, self.server).named("troll-1")
        self.admin("ban", "--nickname", "TROLL-1")
        self.assertEqual(session.rest()[-1], wire.Disconnect(reason="Banned"))
        self.assertIn("There is no account troll-1", self.refused("ban", "--user", "troll-1"))

    def test_refused(self) -> None:
        """What makes no sense is refused in one line with its own status, and leaves no trace."""
        self.assertEqual(self.refused("ban", "--ip", "nonsense"), "Invalid IP or CIDR format")
        self.assertIn("No active ban", self.refused("unban", "--nickname", "nobody-1"))
        self.admin("ban", status=2)
        self.admin("ban", "--user", "a", "--ip", "10.0.0.1", status=2)
        self.admin("ban", "--user", "somebody", "--duration", "soon", status=2)
        self.assertIn("shadow", self.refused("ban", "--ip", "10.0.0.1", "--shadow", status=2))
        self.assertEqual(self.acts(), [])


class SocketTests(LiveTestCase):
    """The way to a running server."""

    def test_private(self) -> None:
        """Nobody but the server's user can connect; it is no network port."""
        socket = self.server.data_directory / "control.sock"
        self.assertTrue(stat.S_ISSOCK(socket.stat().st_mode))
        self.assertEqual(stat.S_IMODE(socket.stat().st_mode), 0o600)
        self.server.stop()
        self.assertFalse(socket.exists())

    def test_second_server(self) -> None:
        """A second server on the same database is refused in one line, and the first one goes on."""
        peers.connect(self, self.server).named("early-bird")
        log = self.server.log
        second = self.place.run([*self.place.twistd("-n", "--pidfile="), "--port", "0"], self.place.environment())
        self.assertEqual(second.exit_code, 1, second)
        text = f"superchat: the database {self.server.place.database} is in use by another process\n"
        self.assertEqual(second.stderr, text)
        self.assertTrue(log and self.server.log.startswith(log), self.server.log)
        self.assertEqual(sorted(self.server.data_directory.glob("*.1")), [])
        peers.connect(self, self.server).named("somebody")

    def test_killed(self) -> None:
        """What a killed server leaves is in nobody's way: neither the tool's nor the next server's."""
        self.make_account("somebody")
        self.server.kill()
        self.assertTrue((self.server.data_directory / "control.sock").exists())
        self.assertEqual(self.acts(), [("create_user", "somebody")])
        self.server = self.server.restarted()
        (stats,) = self.objects("stats")
        self.assertEqual((stats["running"], stats["pid"]), (True, self.server.pid))

    def test_runtime_directory(self) -> None:
        """Under systemd the socket is in the runtime directory, and is found there without being named."""
        self.server.stop()
        runtime = self.place.root / "run"
        runtime.mkdir()
        server = RunningServer(self, CONFIG, place=self.place, environment={"RUNTIME_DIRECTORY": str(runtime)})
        self.assertTrue((runtime / "control.sock").exists())
        self.assertFalse((self.place.data_directory / "control.sock").exists())
        self.assertEqual(self.objects("stats")[0]["pid"], server.pid)

    def test_stats(self) -> None:
        """The numbers are those of now."""
        talker = peers.connect(self, self.server).named("talker")
        talker.ask_past_presence(posting(GENERAL, b"one"), wire.MessagePosted)
        self.make_account("somebody")
        self.admin("ban", "--ip", "192.0.2.1")
        (stats,) = self.objects("stats")
        wanted = {"sessions": 1, "accounts": 1, "messages": 1, "user_bans": 0, "ip_bans": 1, "running": True}
        self.assertEqual({name: stats[name] for name in wanted}, wanted)
        self.assertRegex(self.admin("stats").stdout, r"(?m)^server +running for 0:0\d:\d\d, process \d+$")


class BackupTests(LiveTestCase):
    """Backup under load, and restore."""

    @contextmanager
    def load(self) -> Iterator[list[int]]:
        """Clients that post as fast as they are answered; the list has the ids of what was acknowledged so far."""
        acknowledged: list[int] = []
        stop = threading.Event()

        def post(peer: Peer) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                answer = peer.ask_past_presence(posting(GENERAL, b"message %d" % number), wire.MessagePosted)
                acknowledged.append(answer.message_id)

        writers = [peers.connect(self, self.server).named(f"writer-{number}") for number in range(4)]
        threads = [threading.Thread(target=post, args=(writer,)) for writer in writers]
        for thread in threads:
            thread.start()
        try:
            yield acknowledged
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def message_ids(self) -> set[int]:
        """All that a client can read."""
        reader, found, newest_first = peers.connect(self, self.server), set[int](), page(GENERAL, 200)
        while entries := reader.ask_past_presence(newest_first, wire.MessageList).messages:
            found |= {entry.message_id for entry in entries}
            newest_first = page(GENERAL, 200, before_id=min(found))
        return found

    def test_backup_and_restore(self) -> None:
        """A backup that is made while people talk has all they had said; restored, a server serves it."""
        copy = self.place.root / "copy.db"
        self.make_account("somebody")
        with self.load() as acknowledged:
            while len(acknowledged) < 200:
                threading.Event().wait(0.01)
            before = set(acknowledged)
            self.admin("backup", str(copy))
        self.assertGreater(len(acknowledged), len(before))
        self.assertIn("in use by another process; stop the server", self.refused("restore", str(copy), status=3))
        self.assertIn("exists already", self.refused("backup", str(copy)))
        self.assertEqual(self.acts()[1:], [("backup", str(copy))])
        self.server.kill()
        (restored,) = self.objects("restore", str(copy))
        self.server = self.server.restarted()
        there = self.message_ids()
        self.assertEqual(before - there, set())
        self.assertEqual(restored["messages"], len(there))
        log_in(self, self.server, "somebody")
        self.assertEqual(self.acts(), [("create_user", "somebody"), ("restore", str(copy))])
        self.server.stop()
        self.assertEqual(self.objects("restore", restored["kept"])[0]["messages"], len(acknowledged))


class AloneTests(AdminTestCase):
    """Without a server."""

    def setUp(self) -> None:
        self.place = new_place(self, CONFIG)

    def test_first_account(self) -> None:
        """Before the first start an admin's account is made, and with it the database that the server then uses."""
        self.assertIn("neither a server nor a database", self.refused("stats", status=3))
        self.assertIn("there is no database", self.refused("backup", "copy.db", status=3))
        self.make_account("root-admin")
        self.assertEqual(self.objects("stats")[0]["running"], False)
        server = RunningServer(self, CONFIG, place=self.place)
        self.assertEqual(try_to_log_in(peers.connect(self, server), "root-admin").user_flags, ADMIN)
        channels = peers.connect(self, server).ask(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList)
        self.assertGreater(len(channels.channels), 0)

    def test_ban_waits_for_the_server(self) -> None:
        """A ban that was made while no server ran is in force from its start."""
        self.make_account("somebody")
        self.admin("ban", "--user", "somebody")
        self.admin("ban", "--ip", "192.0.2.0/24", "--duration", "1s")
        server = RunningServer(self, CONFIG, place=self.place)
        self.assertFalse(try_to_log_in(peers.connect(self, server), "somebody").success)
        self.assertEqual([action for action, _ in self.acts()], ["create_user", "ban_user", "ban_ip"])

    def test_passwords(self) -> None:
        """A password that no client would accept is refused before anything happens."""
        for typed, text in ((b"short\n", "8 to 128 characters"), (b"", "the password is empty")):
            self.assertIn(text, self.refused("create-user", "somebody", *TYPED, typed=typed, status=2))
        self.assertIn("there is no terminal", self.refused("create-user", "somebody", status=2))
        self.assertEqual(self.refused("stats", status=3), self.refused("audit", status=3))

    def test_check_config(self) -> None:
        """Every mistake is named, with file and line (decisions 9.6), and no other command begins with mistakes."""
        self.assertIn("no mistakes", self.admin("check-config").stdout)
        bad = self.place.root / "bad.toml"
        bad.write_text('[server]\ntcp_port = "many"\nadmin_user = ["a"]\n[limit]\nmax_users = 1\n')
        done = self.admin("check-config", str(bad), status=1)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 3, done.stdout)
        self.assertIn(f"{bad}:2: server.tcp_port: ", done.stdout)
        self.place.config.write_text(bad.read_text())
        self.assertEqual(len(self.admin("stats", status=1).stderr.splitlines()), 3)
        self.admin("check-config", str(self.place.root / "missing.toml"), status=1)

    def test_superuser(self) -> None:
        """What root makes belongs to whom the folder belongs, so that the server can use it."""
        if os.geteuid():
            raise SkipTest("needs root")
        root = Path(tempfile.mkdtemp(prefix="superchat-admin-"))
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        self.place = Place(root)
        self.place.data_directory.mkdir(parents=True)
        for folder in (root, root / "data", self.place.data_directory):
            os.chown(folder, 12345, 12345)
        self.place.config.write_text(CONFIG)
        self.make_account("root-admin")
        self.assertEqual(files_of(self.place.data_directory), {"superchat.db": 12345, "superchat.db.lock": 12345})
        self.assertEqual(self.objects("audit")[0]["actor"], "operator uid 0")

    def test_no_such_folder(self) -> None:
        """A backup that cannot be written is a sentence and a status, and leaves nothing behind."""
        self.make_account("somebody")
        before = files_of(self.place.data_directory)
        self.assertIn("there is no folder", self.refused("backup", "missing/copy.db"))
        self.assertEqual(files_of(self.place.data_directory), before)


TYPED = ("--password-file", "-")
SECRET = password_of("anybody").encode()
