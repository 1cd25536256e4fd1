"""The manual of superchat-admin says what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.control.messages import ErrorKind
from superchat.tools import admin
from superchat.tools.admin_arguments import EPILOG
from superchat.tools.admin_output import JsonOutput
from superchat.tools.admin_requests import REQUESTS
from tests.tools.test_admin_arguments import commands
from tests.tools.test_admin_output import say_everything

ROOT = Path(__file__).parents[2]


class ManualTests(SynchronousTestCase):
    """Nothing is missing in docs/admin.md."""

    def setUp(self) -> None:
        self.manual = (ROOT / "docs" / "admin.md").read_text("utf-8")

    def test_commands_and_options(self) -> None:
        """Every command has its row, and every option of it is there; and there is no row of anything else."""
        table = self.manual.partition("\n\n| command ")[2].partition("\n\n")[0]
        rows = dict(re.findall(r"^\| `([a-z-]+)(.*?)` \|", table, re.MULTILINE))
        known = commands()
        self.assertEqual(rows.keys(), known.keys())
        for name, command in known.items():
            own = {flag for action in command._actions for flag in action.option_strings}
            common = {"-h", "--help", "--config", "--data-directory", "--db", "--json"}
            self.assertEqual(own - common, set(re.findall(r"--[a-z-]+", rows[name])), name)
            for flag in common - {"-h"}:
                self.assertIn(flag, self.manual)

    def test_carried_out(self) -> None:
        """Every command is one that the program carries out."""
        self.assertEqual(REQUESTS.keys() | {"backup", "restore", "check-config"}, commands().keys())

    def test_status(self) -> None:
        """The exit codes of the manual are those of the program, and of its help."""
        documented = {int(code) for code in re.findall(r"^\| (\d+) \| ", self.manual, re.MULTILINE)}
        self.assertEqual(documented, {admin.DONE, admin.REFUSED, admin.WRONG_USAGE, admin.NO_SERVER, 130})
        self.assertEqual({int(code) for code in re.findall(r"\b(\d+) [a-z]", EPILOG)}, documented)

    def test_json(self) -> None:
        """Every type and field of an object is there, and every kind of error."""
        lines: list[str] = []
        say_everything(JsonOutput(lines.append, lines.append))
        for line in lines:
            fields = json.loads(line)
            for word in [fields.pop("type"), *fields, *ErrorKind]:
                self.assertIn(f"`{word}`", self.manual)

    def test_actions(self) -> None:
        """Every action of the audit log is there."""
        sources = ROOT / "src" / "superchat"
        files = [*(sources / "chat").glob("*.py"), *(sources / "ops" / "control").glob("*.py")]
        written = {
            action
            for file in [*files, sources / "tools" / "admin_files.py"]
            for action in re.findall(r'(?:action=|_act\((?:actor, |session, )?)"([a-z_]+)"', file.read_text("utf-8"))
        }
        self.assertGreater(len(written), 8)
        for action in written:
            self.assertIn(f"`{action}`", self.manual)
