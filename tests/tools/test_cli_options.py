"""Understanding the command line."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import io
import re
import shlex
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_arguments import NEEDS_ACCOUNT, address, build, parse
from superchat.tools.cli_commands import COMMANDS


class AddressTests(SynchronousTestCase):
    """A server is a host and perhaps a port."""

    def test_forms(self) -> None:
        """Names, addresses of both families, with and without a port."""
        for text, expected in {
            "localhost": ("localhost", 6465),
            "chat.example.org:7000": ("chat.example.org", 7000),
            "192.0.2.1:1": ("192.0.2.1", 1),
            "2001:db8::1": ("2001:db8::1", 6465),
            "[2001:db8::1]": ("2001:db8::1", 6465),
            "[2001:db8::1]:7000": ("2001:db8::1", 7000),
        }.items():
            self.assertEqual(address(text), expected, text)

    def test_mistakes(self) -> None:
        """What is no address is refused, not guessed."""
        for text in ("", ":7000", "host:", "host:0", "host:65536", "host:http", "[::1", "[::1]7000", "a b"):
            self.assertRaises(ValueError, address, text)


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of every command."""
    [found] = [each for each in build({})._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


class ParseTests(SynchronousTestCase):
    """Options and arguments."""

    def wrong(self, *arguments: str) -> str:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            exit = self.assertRaises(SystemExit, parse, arguments, {})
        self.assertEqual(exit.code, 2)
        return errors.getvalue()

    def test_defaults(self) -> None:
        """Without options the server is the local one and connections are restored."""
        options = parse(["channels"], {})
        self.assertEqual((options.host, options.port, options.nickname), ("localhost", 6465, None))
        self.assertTrue(options.reconnect)
        self.assertFalse(options.json)
        self.assertEqual(options.timeout_seconds, 10)

    def test_before_and_after(self) -> None:
        """Common options may stand on either side of the command."""
        before = parse(["--json", "--nick", "bob", "tail", "a", "b"], {})
        after = parse(["tail", "a", "b", "--json", "--nick", "bob"], {})
        self.assertEqual(before, after)
        self.assertEqual(before.channels, ("a", "b"))

    def test_environment(self) -> None:
        """The environment gives defaults that options override."""
        environ = {"SCCLI_SERVER": "example.org:7", "SCCLI_NICK": "eve"}
        options = parse(["users"], environ)
        self.assertEqual((options.host, options.port, options.nickname), ("example.org", 7, "eve"))
        self.assertEqual(parse(["users", "--nick", "bob"], environ).nickname, "bob")

    def test_unknown_user(self) -> None:
        """A system that does not know who runs it is no obstacle."""

        def unknown() -> str:
            raise KeyError("getpwuid(): uid not found")

        self.patch(getpass, "getuser", unknown)
        self.assertEqual(parse(["users"], {}).system_user, "")

    def test_post(self) -> None:
        """A post has a channel, a text and perhaps what it replies to."""
        options = parse(["post", "general", "hi", "--reply-to", "1189023874112"], {})
        self.assertEqual((options.channel, options.text, options.message_id), ("general", "hi",
        1189023874112))

    def test_login(self) -> None:
        """--login acts as the account --nick, else as that of the login name; --password-file implies it."""
        self.assertFalse(parse(["post", "general", "hi"], {}).login)
        options = parse(["--nick", "alice", "--login", "post", "general", "hi"], {})
        self.assertEqual((options.login, options.nickname, options.password_file), (True, "alice", None))
        options = parse(["post", "general", "hi", "--nick", "alice", "--password-file", "-"], {})
        self.assertEqual((options.login, options.password_file), (True, "-"))
        self.patch(getpass, "getuser", lambda: "root")
        self.assertEqual(parse(["--login", "users"], {}).nickname, "root")
        self.patch(getpass, "getuser", lambda: "x")
        self.assertIn("--nick", self.wrong("--login", "users"))

    def test_password_file_of_the_environment(self) -> None:
        """SCCLI_PASSWORD_FILE says where the password is, not that one wants to log in."""
        environ = {"SCCLI_NICK": "alice", "SCCLI_PASSWORD_FILE": "/a"}
        self.assertFalse(parse(["users"], environ).login)
        options = parse(["users", "--login"], environ)
        self.assertEqual((options.login, options.password_file), (True, "/a"))
        self.assertEqual(parse(["users", "--password-file", "/b"], environ).password_file, "/b")

    def test_commands_of_accounts(self) -> None:
        """What servers grant to accounts only logs in unasked."""
        for command in NEEDS_ACCOUNT:
            arguments = {
                "edit": ["5", "x"],
                "delete": ["5"],
                "create": ["news"],
                "accept": ["bob"],
                "decline": ["bob"],
                "ban": ["bob"],
                "unban": ["bob"],
            }.get(command, [])
            self.assertTrue(parse(["--nick", "alice", command, *arguments], {}).login, command)

    def test_no_password_as_argument(self) -> None:
        """There is no way to put a password where every process list shows it."""
        for text in (build({}).format_help(), *(each.format_help() for each in commands().values())):
            self.assertNotRegex(text, "--password[ =]")
        self.assertIn("unrecognized", self.wrong("register", "secret"))

    def test_create(self) -> None:
        """A channel has a name, and perhaps more."""
        options = parse(["--nick", "alice", "create", "news"], {})
        self.assertEqual((options.text, options.is_forum, options.retention_hours), ("news", True, 168))
        more = ["--display", "News", "--description", "All", "--type", "chat", "--retention", "24", "--parent", "x"]
        options = parse(["--nick", "alice", "create", "news", *more], {})
        self.assertEqual((options.display_name, options.description, options.parent), ("News", "All", "x"))
        self.assertEqual((options.is_forum, options.retention_hours), (False, 24))

    def test_ban(self) -> None:
        """Somebody or an address is banned, never both, never neither."""
        options = parse(["--nick", "a-mod", "ban", "bob", "--duration", "2h", "--reason", "spam", "--shadow"], {})
        self.assertEqual((options.user, options.duration_seconds, options.reason), ("bob", 7200, "spam"))
        self.assertTrue(options.shadow)
        self.assertEqual(parse(["--nick", "a-mod", "unban", "--ip", "192.0.2.1"], {}).ip_cidr, "192.0.2.1")
        for wrong in (["ban"], ["unban"], ["ban", "bob", "--ip", "192.0.2.1"]):
            self.assertIn("either USER or --ip", self.wrong("--nick", "a-mod", *wrong))
        self.assertIn("--shadow", self.wrong("--nick", "a-mod", "ban", "--ip", "192.0.2.1", "--shadow"))

    def test_durations(self) -> None:
        """A duration is a number with a unit, of seconds without one."""
        for text, seconds in {"90": 90, "90s": 90, "30m": 1800, "12h": 43200, "7d": 604800}.items():
            self.assertEqual(parse(["--nick", "a-mod", "ban", "bob", "--duration", text], {}).duration_seconds, seconds)
        for text in ("0", "-1", "1w", "", "h", "1.5h", "99999999999d", "²h"):
            self.assertIn("duration", self.wrong("--nick", "a-mod", "ban", "bob", f"--duration={text}"))

    def test_moments(self) -> None:
        """A time is a date of ISO 8601, local without a zone, or so long ago."""
        self.patch(time, "time", lambda: 10_000.0)
        for text, milliseconds in {
            "1970-01-01T01:00:00+00:00": 3_600_000,
            "1970-01-01T01:00:00Z": 3_600_000,
            "2h": 2_800_000,
        }.items():
            self.assertEqual(parse(["unread", "--since", text], {}).since_ms, milliseconds)
        for text in ("yesterday", "", "2025-13-01", "0h"):
            self.assertIn("--since", self.wrong("unread", f"--since={text}"))

    def test_unread(self) -> None:
        """Only accounts have something unread, anybody can count since a time."""
        self.assertIn("only accounts", self.wrong("unread"))
        self.assertIn("only accounts", self.wrong("unread", "--since", "2h", "--mark-read"))
        self.assertEqual(parse(["unread", "--since", "2h", "a", "b"], {}).channels, ("a", "b"))
        self.assertTrue(parse(["--nick", "alice", "--login", "unread", "--mark-read"], {}).mark_read)

    def test_dm(self) -> None:
        """A private conversation has somebody to talk to and perhaps a text."""
        options = parse(["dm", "bob"], {"XDG_DATA_HOME": "/data"})
        self.assertEqual((options.user, options.text, options.login), ("bob", "", False))
        self.assertEqual((options.unencrypted, options.wait_seconds, options.limit), (False, None, 20))
        self.assertEqual(options.key_file, Path("/data/superchat-cli/dm.key"))
        options = parse(["dm", "--wait", "0", "--unencrypted", "--key-file", "k", "bob", "Hi!"], {})
        self.assertEqual((options.text, options.unencrypted, options.wait_seconds), ("Hi!", True, 0.0))
        self.assertEqual(options.key_file, Path("k"))
        self.assertIn("--always", self.wrong("--nick", "alice", "accept", "bob", "--always"))

    def test_mistakes(self) -> None:
        """Wrong usage is explained and has status 2."""
        self.assertIn("required", self.wrong())
        self.assertIn("invalid choice", self.wrong("dance"))
        self.assertIn("TEXT", self.wrong("post", "general"))
        self.assertIn("not an id", self.wrong("read", "-5", "--", "x") + self.wrong("read", "x"))
        self.assertIn("not within", self.wrong("threads", "general", "--limit", "100000"))
        self.assertIn("not a time", self.wrong("--timeout", "0", "users"))
        self.assertIn("not a port", self.wrong("--server", "host:x", "users"))

    def test_help(self) -> None:
        """Every command explains itself with examples."""
        self.assertEqual(set(commands()), {*COMMANDS, "tail", "chat"})
        for command in commands():
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(self.assertRaises(SystemExit, parse, [command, "--help"], {}).code, 0)
            self.assertIn("superchat-cli", out.getvalue())
            self.assertIn("examples:", out.getvalue())

    def test_options_between_arguments(self) -> None:
        """Options may stand between the arguments of a command, and ``--`` ends them."""
        options = parse(["dm", "bob", "--wait", "5", "hi", "--key-file", "k"], {})
        self.assertEqual((options.user, options.text, options.wait_seconds), ("bob", "hi", 5.0))
        options = parse(["post", "general", "--reply-to", "7", "hi", "--json"], {})
        self.assertEqual((options.channel, options.text, options.message_id), ("general", "hi", 7))
        self.assertEqual(parse(["tail", "a", "-n", "5", "b"], {}).channels, ("a", "b"))
        self.assertEqual(parse(["post", "general", "--", "--json"], {}).text, "--json")
        self.assertEqual(parse(["post", "--", "general", "-x"], {}).text, "-x")
        self.assertEqual(parse(["post", "general", "-"], {}).text, "-")

    def test_examples(self) -> None:
        """The examples of the helps are understood."""
        for name, command in commands().items():
            examples = re.findall(r"superchat-cli (.*)", (command.description or "").partition("examples:")[2])
            self.assertTrue(examples, name)
            arguments = [shlex.split(re.split(r" [|<] ", each)[0]) for each in examples]
            understood = {parse(each, {"SCCLI_NICK": "somebody"}).command for each in arguments}
            self.assertIn(name, understood)
