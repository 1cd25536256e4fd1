"""Understanding the command line of superchat-admin."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import shlex
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.control.accounts import ROLES
from superchat.ops.control.commands import LONGEST_LIST
from superchat.tools import admin_grammar
from superchat.tools.admin_arguments import build, parse


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of every command."""
    [found] = [each for each in build()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


class ParseTests(SynchronousTestCase):
    """Options and arguments."""

    def wrong(self, *arguments: str) -> str:
        """What is said of a command line that is wrong."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            exit = self.assertRaises(SystemExit, parse, arguments)
        self.assertEqual(exit.code, 2)
        return errors.getvalue()

    def test_defaults(self) -> None:
        """Without options the server is found as the server finds itself."""
        options = parse(["stats"])
        self.assertEqual((options.config, options.data_directory, options.database), (None, None, None))
        self.assertEqual((options.json, options.arguments), (False, {}))

    def test_common_options(self) -> None:
        """The options of every command may stand before it and behind it."""
        given = ["--config", "a.toml", "--data-directory", "/srv", "--db", "b.db", "--json"]
        for arguments in ([*given, "stats"], ["stats", *given]):
            options = parse(arguments)
            self.assertEqual((options.config, options.json), (Path("a.toml"), True))
            overrides = {"server.data_directory": "/srv", "server.database_path": "b.db"}
            self.assertEqual(options.overrides(), overrides)

    def test_requests(self) -> None:
        """What is for the server goes to the server, and nothing else does."""
        for line, arguments in {
            "create-user bob --role admin --password-file x": {"nickname": "bob", "role": "admin"},
            "create-user bob": {"nickname": "bob"},
            "reset-password bob --password-file -": {"nickname": "bob"},
            "grant bob moderator": {"nickname": "bob", "role": "moderator"},
            "revoke bob admin": {"nickname": "bob", "role": "admin"},
            "delete-user bob": {"nickname": "bob"},
            "users": {"limit": 1000},
            "users --limit 5 --after bob": {"limit": 5, "after": "bob"},
            "ban --user bob --reason 'so what' --duration 7d": {
                "user": "bob",
                "reason": "so what",
                "duration_seconds": 604800,
                "shadow": False,
            },
            "ban --nickname bob --shadow": {"nickname": "bob", "shadow": True},
            "ban --ip 10.0.0.0/8": {"ip_cidr": "10.0.0.0/8", "shadow": False},
            "unban --ip ::1": {"ip_cidr": "::1"},
            "bans --all": {"include_expired": True, "limit": 1000},
            "audit --before 77 --limit 10000": {"before_id": 77, "limit": 10000},
            "stats": {},
        }.items():
            self.assertEqual(parse(shlex.split(line)).arguments, arguments, line)

    def test_files(self) -> None:
        """backup, restore and check-config have a file."""
        options = parse(["backup", "a.db", "--force"])
        self.assertEqual((options.file, options.force), (Path("a.db"), True))
        self.assertEqual(parse(["restore", "a.db"]).file, Path("a.db"))
        self.assertEqual(parse(["check-config"]).file, None)

    def test_mistakes(self) -> None:
        """What cannot be understood is named, and nothing is done."""
        self.assertIn("required", self.wrong())
        self.assertIn("required", self.wrong("ban"))
        self.assertIn("not allowed with", self.wrong("ban", "--user", "a", "--ip", "::1"))
        self.assertIn("invalid choice", self.wrong("grant", "bob", "king"))
        self.assertIn("not a duration", self.wrong("ban", "--user", "a", "--duration", "soon"))
        for number in ("-1", "x", "10001", "1" * 5000, "²"):
            self.assertIn("not within 0..10000", self.wrong("users", f"--limit={number}"))
        self.assertIn("not within", self.wrong("audit", "--before", str(2**63)))
        self.assertIn("required", self.wrong("backup"))

    def test_same_limits(self) -> None:
        """The tool asks for what the server gives."""
        self.assertEqual(admin_grammar.LONGEST_LIST, LONGEST_LIST)
        self.assertEqual(set(admin_grammar.ROLES), set(ROLES))

    def test_examples(self) -> None:
        """The help of every command has examples, and all of them are understood."""
        for name, command in commands().items():
            description = command.description or ""
            examples = [line for line in description.splitlines() if "superchat-admin" in line]
            self.assertGreater(len(examples), 0, name)
            for example in examples:
                line = example.partition("superchat-admin")[2].replace("$(date +%F)", "today")
                words = [*itertools.takewhile(lambda word: word not in ("|", "&&"), shlex.split(line))]
                self.assertEqual(parse(words).command, name, example)
