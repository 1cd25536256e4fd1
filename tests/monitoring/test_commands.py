"""Every command of the guides, run in a shell beside a server that has users."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.server import PATIENCE_SECONDS
from tests.monitoring.documents import ETC, commands, corrections, guide, improvements, ours
from tests.monitoring.stage import Result, stage
from tests.monitoring.tools import PACKAGES, needs

CHANGES_THE_MACHINE: Final = (
    "sudo apt-get",
    "sudo add-apt-repository",
    "sudo systemctl enable",
    "sudo systemctl start",
    "docker run",
)
"""What installs other people's software; tests do not, so it is only read."""
_SILENT: Final = re.compile(r"chmod|^cp |systemctl reload|check metrics|> \S+$| -o \S+|while true")
"""Does something, and says nothing."""
ENDLESS: Final = ("tail -f", "watch", "while true", "sudo journalctl -u superchat -f")
GO_SECONDS: Final = 240.0
"""Go builds its pprof when it is used for the first time."""
PROFILE: Final = "seconds=30", "seconds=1"
"""Half a minute of profile looks no different."""
JSON_HEALTH: Final = {"status": str, "uptime": int, "sessions": int, "database": str, "directory_enabled": bool}


class CommandsTestCase(SynchronousTestCase):
    """A test that runs commands, all in one directory."""

    def setUp(self) -> None:
        """The tools, the server, and the directory of whoever types."""
        needs(*(program for program in PACKAGES if program not in ("rsyslogd", "systemd-analyze", "shellcheck")))
        self.stage = stage()
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        (self.directory / "etc").symlink_to(ETC)

    def run_command(self, command: str) -> Result:
        """Run one. What would go on for ever is ended once it has printed, or written to a file here."""
        if command.startswith(ENDLESS):
            before = set(self.directory.iterdir())

            def has_done_something(output: str) -> bool:
                return bool(output) or any(file.stat().st_size for file in set(self.directory.iterdir()) - before)

            return self.stage.run_until(command, has_done_something, self.directory)
        seconds = GO_SECONDS if command.startswith("go ") else PATIENCE_SECONDS
        return self.stage.run(command.replace(*PROFILE), seconds, self.directory)

    def complaint(self, command: str) -> str:
        """Run a command; what is wrong with it, "" for nothing.

        It must succeed or still be running, and print something, unless its job is to do something; where it
        counts lines it must have found some.
        """
        result = self.run_command(command)
        expected = None if command.startswith(ENDLESS) else 0
        if result.code != expected:
            return f"{command}\n  exit code {result.code}\n{result.output[-500:]}{result.errors[-500:]}"
        if not _SILENT.search(command) and not result.output.strip():
            return f"{command}\n  prints nothing\n{result.errors[-500:]}"
        if re.search(r"wc -l$|grep -c ", command) and not int(result.output):
            return f"{command}\n  finds nothing"
        return ""

    def assert_work(self, all_commands: list[str]) -> None:
        """Run them one after the other; each must do what it is for."""
        complaints = [complaint for command in all_commands if (complaint := self.complaint(command))]
        self.assertEqual(complaints, [], "\n".join(complaints))


class GuideCommandsTests(CommandsTestCase):
    """The guide's own, as they are but for the ports."""

    def setUp(self) -> None:
        """The guide, and its health check where it says to create it."""
        super().setUp()
        self.guide = guide()
        self.corrected = {code for row in corrections() for code in row.says}
        script = self.stage.ports.in_place(self.guide.files["healthcheck.sh"])
        (self.directory / "healthcheck.sh").write_text(script)

    def test_commands(self) -> None:
        """Every command does what it is for, or our table has a better one."""
        self.assertEqual(len(self.guide.commands), 43)
        tried = [
            command
            for command in self.guide.commands
            if not command.startswith(CHANGES_THE_MACHINE)
            and command not in self.corrected
            and command != "scd --debug"
        ]
        self.assert_work(tried)

    def test_installation(self) -> None:
        """What would change the machine is at least shell."""
        read = [command for command in self.guide.commands if command.startswith(CHANGES_THE_MACHINE)]
        self.assertEqual(len(read), 7)
        for command in read:
            subprocess.run(["bash", "-n", "-c", command], check=True, timeout=10)

    def test_scd_debug(self) -> None:
        """`scd --debug` writes debug.log with a line for each frame; the server on the stage has none."""
        home = self.directory / "home"
        log = home / ".local/share/superchat/debug.log"
        ports = ("SERVER_TCP", "SERVER_HTTP", "MONITORING_METRICS", "MONITORING_PROFILING")
        anywhere = " ".join(f"SUPERCHAT_{port}_PORT=0" for port in ports)
        started = "Server started on port"
        result = self.stage.run_until(
            f"HOME={home} {anywhere} scd --debug",
            lambda _: log.exists() and started in log.read_text(),
            self.directory,
        )
        self.assertIsNone(result.code, result.errors)
        self.assertIn(started, log.read_text())
        self.assertFalse((self.stage.data / "debug.log").exists())

    def test_pprof(self) -> None:
        """What the guide types into pprof works; `web` and `pdf` draw what `dot` prints."""
        work = "(for _ in $(seq 100); do curl -s http://localhost:9090/metrics; done) > /dev/null &"
        profile = "http://localhost:6060/debug/pprof/profile?seconds=2"
        typed = [("top10", "flat%"), ("list main", "ROUTINE ="), *([("dot", "digraph")] if self.stage.has_go else [])]
        for command, expected in typed:
            result = self.stage.run(f"{work} echo '{command}' | go tool pprof {profile}", GO_SECONDS, self.directory)
            self.assertEqual(result.code, 0, result.errors)
            self.assertIn(expected, result.output + result.errors)

    def test_log_format(self) -> None:
        """The lines that the guide shows are there, with other numbers in them."""
        log = self.stage.log("server.log")
        for line in self.guide.log_lines:
            text = line.split("] ", 1)[1]
            shape = re.sub(r"\d+", "[0-9]+", re.escape(text)).replace("alice", "[a-z0-9]+")
            self.assertRegex(log, rf"(?m)^\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{{6}} \[[A-Z]+\] {shape}")

    def test_spammer(self) -> None:
        """The search for the most active senders names the one who posted most, and nothing but senders."""
        (command,) = (command for command in self.guide.commands if "POST_MESSAGE" in command)
        rows = [line.split() for line in self.run_command(command).output.splitlines()]
        self.assertEqual(rows[0][1], "~user0")
        self.assertTrue(all(re.fullmatch(r"~user\d+", name) for _, name in rows), rows)

    def test_health(self) -> None:
        """The health endpoint has the guide's fields, with values of their kinds."""
        answer: Any = json.loads(self.run_command("curl -s http://localhost:9090/health").output)
        example = json.loads(self.guide.files["health.json"])
        self.assertEqual(set(example) - set(answer), set())
        for key, kind in JSON_HEALTH.items():
            self.assertIs(type(answer[key]), kind, key)
        self.assertEqual((answer["status"], answer["database"]), ("ok", "ok"))


class OurCommandsTests(CommandsTestCase):
    """Those of docs/monitoring.md."""

    def test_commands(self) -> None:
        """Every command in a block does what it is for."""
        found = [command for block in ours("sh") for command in commands(block.text)]
        self.assertGreater(len(found), 30)
        self.assert_work(found)

    def test_corrections(self) -> None:
        """Every command that our table has in the place of one of the guide does what it is for."""
        first = ("curl", "go ", "grep", "xdg-open")
        found = [code for row in corrections() + improvements() for code in row.use if code.startswith(first)]
        self.assertGreater(len(found), 4)
        heap = "curl -s -o before.pb.gz http://localhost:6060/debug/pprof/heap"
        self.assert_work([heap, "cp before.pb.gz after.pb.gz", *found])
