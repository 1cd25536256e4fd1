"""superchat-cli with accounts, private conversations and bans, against a real server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.cli import RunningCLI, TerminalCLI, run_cli
from tests.e2e.server import UNLIMITED, Finished, RunningServer

ADMIN_PASSWORD = "administrative secret"
CONFIG = f"{UNLIMITED.strip()}\nmax_auth_attempts_per_minute = 0\n"
ADMIN_CONFIG = f"""
[server]
admin_users = ["root-admin"]
admin_password = "{ADMIN_PASSWORD}"

{CONFIG}"""


class Person:
    """Somebody with a nickname, a password file and a key file of their own."""

    def __init__(self, case: SynchronousTestCase, server: RunningServer, nickname: str, password: str = "") -> None:
        self._case = case
        self._server = server
        self.nickname = nickname
        self.password_file = server.place.root / f"{nickname}.password"
        self.key_file = server.place.root / f"{nickname}.key"
        self.password_file.write_text((password or f"the password of {nickname}") + "\n")

    def arguments(self, *arguments: str) -> list[str]:
        """The command line of a command as this account."""
        given = ["--nick", self.nickname, "--password-file", str(self.password_file), *arguments]
        return [*given, "--key-file", str(self.key_file)] if {"dm", "accept"} & set(arguments) else given

    def do(self, *arguments: str, status: int = 0, typed: bytes = b"") -> Finished:
        """Run a command to its end."""
        done = run_cli(self._server, *self.arguments(*arguments), typed=typed)
        self._case.assertEqual(done.exit_code, status, done)
        return done

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command with --json; return what it printed."""
        return [json.loads(line) for line in self.do("--json", *arguments).stdout.splitlines()]

    def registered(self) -> Person:
        """Make the account."""
        self.do("register")
        return self


class PeopleTestCase(SynchronousTestCase):
    """A server with people."""

    config = CONFIG

    def setUp(self) -> None:
        self.server = RunningServer(self, self.config)

    def person(self, nickname: str, password: str = "") -> Person:
        return Person(self, self.server, nickname, password)


class AccountTests(PeopleTestCase):
    """Making an account and using it."""

    def test_register_and_login(self) -> None:
        """An account is made once; its password opens it, another one does not."""
        alice = self.person("alice-the-first")
        self.assertIn("registered alice-the-first", alice.do("register").stdout)
        self.assertIn("alice-the-first", alice.do("login").stdout)
        self.assertIn("already registered", alice.do("register", status=1).stderr)
        self.person("alice-the-first", "some other password").do("login", status=1)

    def test_short_nickname(self) -> None:
        """A nickname of three letters works as well as any (wire 9)."""
        self.person("bob").registered().do("login")

    def test_post(self) -> None:
        """What an account posts has its name without ``~``, and its id."""
        alice = self.person("alice").registered()
        alice.do("post", "general", "It is me.")
        [thread] = alice.objects("threads", "general")
        self.assertEqual(thread["author"], "alice")
        self.assertIsNotNone(thread["author_user_id"])

    def test_passwords_stay_secret(self) -> None:
        """Passwords are neither in what is printed nor in the server's log."""
        alice = self.person("alice", "hunter22-secret").registered()
        done = alice.do("login")
        self.assertNotIn("hunter22", done.stdout + done.stderr + self.server.log + self.server.errors)

    def test_passwd(self) -> None:
        """After the password was changed only the new one opens the account."""
        alice = self.person("alice").registered()
        new = self.server.place.root / "new"
        new.write_text("quite another password\n")
        alice.do("passwd", "--new-password-file", str(new))
        alice.do("login", status=1)
        self.person("alice", "quite another password").do("login")

    def test_password_from_standard_input(self) -> None:
        """A password can come from a pipe, with the message behind it."""
        alice = self.person("alice").registered()
        typed = alice.password_file.read_bytes() + b"from a pipe\n"
        done = run_cli(
            self.server, "--nick", "alice", "--password-file", "-", "post", "general", "-", typed=typed
        )
        self.assertEqual(done.exit_code, 0, done)
        self.assertEqual(alice.objects("threads", "general")[0]["content"], "from a pipe")

    def test_no_terminal(self) -> None:
        """Without a file and without a terminal there is no password: status 2, and nothing waits for one."""
        done = run_cli(self.server, "--nick", "alice", "--login", "users")
        self.assertEqual(done.exit_code, 2, done)

    def test_create_edit_delete(self) -> None:
        """An account creates a channel, and edits and deletes what it wrote there."""
        alice = self.person("alice").registered()
        [created] = alice.objects("create", "cooking", "--description", "Dinner", "--retention", "24")
        self.assertEqual((created["name"], created["retention_hours"]), ("cooking", 24))
        self.assertIn("already exists", alice.do("create", "cooking", status=1).stderr)
        message_id = alice.do("post", "cooking", "helo").stdout.strip()
        self.assertEqual(alice.objects("edit", message_id, "hello")[0]["content"], "hello")
        [thread] = alice.objects("threads", "cooking")
        self.assertEqual(thread["content"], "hello")
        self.assertIsNotNone(thread["edited_at_ms"])
        self.assertIn("is gone: [deleted by alice]", alice.do("delete", message_id).stdout)
        self.assertEqual(alice.objects("threads", "cooking"), [])

    def test_subchannel(self) -> None:
        """A channel's owner creates subchannels of it."""
        alice = self.person("alice").registered()
        alice.do("create", "cooking")
        alice.do("create", "bread", "--parent", "cooking")
        self.assertIn("cooking/bread", [each["name"] for each in alice.objects("channels")])

    def test_messages_of_others(self) -> None:
        """Others' messages are not one's own to edit or delete: status 1 and the server's words."""
        alice, bob = self.person("alice").registered(), self.person("bob").registered()
        message_id = alice.do("post", "general", "mine").stdout.strip()
        self.assertNotEqual(bob.do("edit", message_id, "yours", status=1).stderr, "")
        self.assertNotEqual(bob.do("delete", message_id, status=1).stderr, "")

    def test_unread(self) -> None:
        """What others wrote is unread until it was marked as read; --since counts for anybody."""
        alice, bob = self.person("alice").registered(), self.person("bob").registered()
        alice.do("unread", "--mark-read")
        bob.do("post", "general", "one")
        bob.do("post", "general", "two")
        alice.do("post", "general", "my own")

        def unread() -> int:
            [counted] = alice.objects("unread", "general")
            return int(counted["unread_count"])

        self.assertEqual(unread(), 2)
        alice.do("unread", "--mark-read", "general")
        self.assertEqual(unread(), 0)
        counted = json.loads(run_cli(self.server, "--json", "unread", "--since", "1h", "general").stdout)
        self.assertEqual(counted["unread_count"], 3)

    def test_chat(self) -> None:
        """On a terminal one logs in within a chat, unseen, and goes on as the account."""
        self.person("alice").registered()
        chat = TerminalCLI(self, self.server, "--nick", "guest", "chat", "general")
        chat.expect("guest> ")
        chat.type("/login alice\r")
        chat.expect("password of alice: ")
        chat.type("the password of alice\r")
        chat.expect("alice> ")
        chat.type("hello\r")
        shown = chat.expect(r"\[1\] \d\d:\d\d alice: hello")
        self.assertNotIn("the password", shown.string)
        chat.type("/edit 1 hello all\r")
        chat.expect(r"\* \[1\] now reads hello all")
        chat.type("/quit\r")
        self.assertEqual(chat.wait(), 0)


class PrivateTests(PeopleTestCase):
    """Talking to somebody alone."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.person("alice").registered(), self.person("bob").registered()

    def test_conversation(self) -> None:
        """Two processes talk encrypted once the other has accepted; the server's disk has no word of it."""
        alice = RunningCLI(self, self.server, *self.alice.arguments("--json", "dm", "bob"))
        alice.expect('"type": "notice"')  # bob has to accept
        [asked] = self.bob.objects("dms")
        self.assertEqual((asked["nickname"], asked["encryption"]), ("alice", "required"))
        [accepted] = self.bob.objects("accept", "alice")
        self.assertTrue(accepted["encrypted"])
        alice.expect(r'"type": "conversation".*"encrypted": true')
        self.bob.do("dm", "alice", "a word in private")
        alice.expect(r'"author": "bob".*"content": "a word in private".*"encryption": "sealed"')
        alice.interrupt()
        self.assertEqual(alice.wait(), 130)
        self.server.stop()
        for file in self.server.data_directory.rglob("*"):
            if file.is_file():
                self.assertNotIn(b"a word in private", file.read_bytes(), file)

    def test_terminal(self) -> None:
        """On a terminal a conversation reads like a chat, and its past can be read later."""
        waiting = RunningCLI(self, self.server, *self.alice.arguments("dm", "bob", "lunch?"))
        waiting.expect("bob")
        self.bob.do("accept", "alice")
        self.assertEqual(waiting.wait(), 0)
        bob = TerminalCLI(self, self.server, *self.bob.arguments("dm", "alice"))
        bob.expect(r"\[1\] \d\d:\d\d alice: lunch\?")
        bob.expect("bob to alice> ")
        bob.type("yes\r")
        bob.expect(r"\[2\] \d\d:\d\d bob: yes")
        bob.type("/edit 2 yes, at noon\r")
        bob.expect(r"\* \[2\] now reads yes, at noon")
        self.alice.do("dm", "bob", "good")
        bob.expect(r"\[3\] \d\d:\d\d alice: good")
        bob.type("/quit\r")
        self.assertEqual(bob.wait(), 0)

    def test_restart(self) -> None:
        """A conversation goes on after the server was restarted (decisions 6.1)."""
        self.bob.do("dm", "alice", "--wait", "0", "x", status=1)
        self.alice.do("accept", "bob")
        self.server.terminate()
        self.server = self.server.restarted()
        alice, bob = self.person("alice"), self.person("bob")
        bob.do("dm", "alice", "after the restart")
        done = run_cli(self.server, *alice.arguments("--json", "dm", "bob"))
        self.assertIn("after the restart", done.stdout)

    def test_declined(self) -> None:
        """A request that is declined ends the waiting with status 1."""
        waiting = RunningCLI(self, self.server, *self.alice.arguments("dm", "bob", "lunch?"))
        waiting.expect("bob")
        self.bob.do("decline", "alice")
        waiting.expect("bob declined")
        self.assertEqual(waiting.wait(), 1)

    def test_unknown(self) -> None:
        """There is no talking to somebody who does not exist."""
        self.assertIn("not found", self.alice.do("dm", "nobody-here", "hello", status=1).stderr)

    def test_key_file(self) -> None:
        """The key is readable for its owner only."""
        self.alice.do("dm", "bob", "--wait", "0", "x", status=1)
        self.assertEqual(os.stat(self.alice.key_file).st_mode & 0o777, 0o600)
        self.assertIn(b"PRIVATE KEY", Path(self.alice.key_file).read_bytes())


class ModerationTests(PeopleTestCase):
    """Keeping somebody out."""

    config = ADMIN_CONFIG

    def test_ban(self) -> None:
        """An admin bans an account, which is disconnected and cannot come back until the ban is ended."""
        admin, spammer = self.person("root-admin", ADMIN_PASSWORD), self.person("spammer").registered()
        tail = RunningCLI(self, self.server, *spammer.arguments("--no-reconnect", "tail", "-n", "1", "general"))
        spammer.do("post", "general", "buy")
        tail.expect("buy")
        [banned] = admin.objects("ban", "spammer", "--reason", "advertising", "--duration", "1h")
        tail.expect("advertising")
        self.assertEqual(tail.wait(), 3)
        self.assertIn("advertising", spammer.do("login", status=1).stderr)
        [listed] = admin.objects("bans")
        self.assertEqual((listed["ban_id"], listed["nickname"]), (banned["ban_id"], "spammer"))
        self.assertEqual(listed["banned_until_ms"] - listed["banned_at_ms"], 3_600_000)
        admin.do("unban", "spammer")
        spammer.do("login")
        self.assertEqual(admin.objects("bans"), [])

    def test_addresses(self) -> None:
        """Ranges of addresses are banned and unbanned; what is none is refused."""
        admin = self.person("root-admin", ADMIN_PASSWORD)
        admin.do("ban", "--ip", "192.0.2.0/24")
        self.assertEqual([each["ip_cidr"] for each in admin.objects("bans")], ["192.0.2.0/24"])
        admin.do("unban", "--ip", "192.0.2.0/24")
        self.assertIn("Invalid IP", admin.do("ban", "--ip", "junk", status=1).stderr)

    def test_without_rights(self) -> None:
        """Who is no moderator bans nobody."""
        alice = self.person("alice").registered()
        self.person("bob").registered()
        self.assertIn("denied", alice.do("ban", "bob", status=1).stderr)
        alice.do("bans", status=1)
