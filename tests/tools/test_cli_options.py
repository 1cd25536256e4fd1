"""Understanding the command line."""

from __future__ import annotations

import contextlib
import getpass
import io

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_options import address, parse


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
        self.assertEqual(parse(["users"], {}).login, "")

    def test_post(self) -> None:
        """A post has a channel, a text and perhaps what it replies to."""
        options = parse(["post", "general", "hi", "--reply-to", "1189023874112"], {})
        self.assertEqual((options.channel, options.text, options.message_id), ("general", "hi",
        1189023874112))

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
        for command in ("tail", "post", "threads", "read", "channels", "users", "chat"):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(self.assertRaises(SystemExit, parse, [command, "--help"], {}).code, 0)
            self.assertIn("superchat-cli", out.getvalue())
            self.assertIn("examples:", out.getvalue())
