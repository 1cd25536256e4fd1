"""`scd` takes the reference's flags (reference section 10) and is `twistd -n superchat` (decisions 9.7)."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

import superchat
from superchat import __version__
from superchat.config import FLAGS
from superchat.tools.scd import double_dashed, help_text


class FlagTests(SynchronousTestCase):
    """Spellings."""

    def same(self, *arguments: str) -> list[str]:
        """The arguments as twistd gets them."""
        return list(double_dashed(arguments))

    def test_values(self) -> None:
        """One dash or two, with a space or an equals sign, are the same."""
        for spelling in (["-port", "7000"], ["--port", "7000"], ["-port=7000"], ["--port=7000"]):
            self.assertEqual(self.same(*spelling), ["--port=7000"])

    def test_value_like_a_flag(self) -> None:
        """What follows a flag with a value is the value, whatever it looks like."""
        self.assertEqual(self.same("-server-name", "-port"), ["--server-name=-port"])
        self.assertEqual(self.same("-server-name=a=b"), ["--server-name=a=b"])

    def test_switches(self) -> None:
        """A switch may be given true or false."""
        self.assertEqual(self.same("-debug", "--debug=true", "-debug=False"), ["--debug", "--debug"])

    def test_help(self) -> None:
        """All spellings of help."""
        self.assertEqual(self.same("-h", "-help", "--help"), ["--help"] * 3)

    def test_mistakes(self) -> None:
        """Unknown flags, stray words, missing and wrong values are refused."""
        for arguments in (["-prt", "1"], ["word"], ["--port"], ["-debug=maybe"], ["-"], [""]):
            self.assertRaises(usage.UsageError, self.same, *arguments)

    def test_help_text(self) -> None:
        """The help lists every flag."""
        for flag in FLAGS:
            self.assertIn(f"--{flag.name}", help_text())


class CommandTests(SynchronousTestCase):
    """The command as a user runs it."""

    def scd(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and error output."""
        home = Path(self.mktemp()).absolute()
        home.mkdir()
        environ = {"HOME": str(home), "PATH": os.defpath, "PYTHONPATH": str(Path(superchat.__file__).parents[1])}
        command = [sys.executable, "-m", "superchat.tools.scd", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=home, env=environ, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def test_version(self) -> None:
        """--version prints the name and the version (reference section 10)."""
        self.assertEqual(self.scd("-version"), (0, f"SuperChat Server {__version__}\n", ""))

    def test_help(self) -> None:
        """--help shows the flags and starts nothing."""
        code, output, errors = self.scd("--help")
        self.assertEqual((code, output, errors), (0, help_text() + "\n", ""))

    def test_unknown_flag(self) -> None:
        """A wrong flag is one line and exit code 2."""
        code, output, errors = self.scd("-prt", "1")
        self.assertEqual((code, output, errors), (2, "", "scd: unknown argument '-prt', see scd --help\n"))

    def test_wrong_value(self) -> None:
        """A wrong value is one line and a non-zero exit, before anything is served (decisions 9.6)."""
        code, _, errors = self.scd("-port", "99999")
        self.assertEqual(
            (code, errors),
            (
                1,
                "superchat: --port: server.tcp_port: 99999 is out of range, "
                "allowed is a whole number from 0 to 65535\n",
            ),
        )
