"""The manual of superchat-cli says what the program does."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_arguments import build
from superchat.tools.cli_chat_commands import CHAT_COMMANDS, HELP
from superchat.tools.cli_json import JsonOutput
from tests.tools.test_cli_output import say_everything

MANUAL = Path(__file__).parents[2] / "docs" / "cli.md"


class ManualTests(SynchronousTestCase):
    """Nothing is missing in docs/cli.md."""

    def setUp(self) -> None:
        self.manual = MANUAL.read_text("utf-8")

    def test_commands_and_options(self) -> None:
        """Every command and every option is there."""
        parser = build({})
        [commands] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
        for name, command in commands.choices.items():
            self.assertIn(f"| `{name}", self.manual)
            for action in command._actions:
                self.assertTrue(
                    not action.option_strings or any(each in self.manual for each in action.option_strings),
                    f"{name}: {action.option_strings}",
                )

    def test_chat(self) -> None:
        """Every command of a chat is there and in its own help."""
        for name in CHAT_COMMANDS:
            self.assertIn(f"| `/{name}", self.manual)
        for name in CHAT_COMMANDS.keys() - {"help"}:
            self.assertIn(f"/{name}", " ".join(HELP))

    def test_json(self) -> None:
        """Every type and field of an object is there."""
        lines: list[str] = []
        output = JsonOutput(lines.append, lines.append)
        say_everything(output, "\udcff")
        output.posted(1)
        for line in lines:
            fields = json.loads(line)
            for word in [fields.pop("type"), *fields]:
                self.assertIn(f"`{word}`", self.manual)
