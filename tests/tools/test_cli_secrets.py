"""Where passwords come from."""

from __future__ import annotations

import getpass
import os
import warnings
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.tools import cli_secrets
from superchat.tools.cli_secrets import NoPassword, Secrets, existing, hash_here, new


class SecretsTests(SynchronousTestCase):
    """A file, standard input, or somebody at a terminal."""

    def setUp(self) -> None:
        self.prompts: list[str] = []

    def typed(self, *lines: str) -> None:
        """Let somebody type these lines when asked."""
        left = list(lines)

        def ask(prompt: str) -> str:
            self.prompts.append(prompt)
            return left.pop(0)

        self.patch(getpass, "getpass", ask)

    def file(self, content: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def standard_input(self, content: bytes) -> int:
        """Put something on standard input; return where the rest of it can be read."""
        readable, writable = os.pipe()
        os.write(writable, content)
        os.close(writable)
        self.addCleanup(os.close, readable)
        self.patch(cli_secrets, "STANDARD_INPUT_DESCRIPTOR", readable)
        return readable

    def problem(self, file: str | None = None, fresh: bool = False) -> str:
        return str(self.assertRaises(NoPassword, new if fresh else existing, file))

    def test_file(self) -> None:
        """The first line of a file is the password, blanks included, the line end of either kind not."""
        for content in (b" secret word \n", b" secret word \r\nmore\n", b" secret word "):
            self.assertEqual(existing(self.file(content)), " secret word ")

    def test_other_encodings(self) -> None:
        """A password that is no UTF-8 stays what it is, byte for byte."""
        self.assertEqual(existing(self.file(b"caf\xe9\n")).encode("utf-8", "surrogateescape"), b"caf\xe9")

    def test_standard_input(self) -> None:
        """``-`` takes one line of standard input and leaves the rest to the command."""
        rest = self.standard_input(b"secret\nthe message\n")
        self.assertEqual(existing("-"), "secret")
        self.assertEqual(os.read(rest, 100), b"the message\n")

    def test_no_file(self) -> None:
        """A file that cannot be read is named; what is in files is never shown."""
        self.assertIn("/nonexistent: No such file", self.problem("/nonexistent"))

    def test_empty(self) -> None:
        """Nothing is no password."""
        self.assertIn("empty", self.problem(self.file(b"\nsecond line")))
        self.typed("")
        self.assertIn("empty", self.problem())

    def test_asked(self) -> None:
        """Without a file somebody is asked, once."""
        self.typed("secret")
        self.assertEqual(existing(None), "secret")
        self.assertEqual(self.prompts, ["Password: "])

    def test_asked_twice(self) -> None:
        """A new password is asked for twice, and must be the same."""
        self.typed("long enough", "long enough")
        self.assertEqual(new(None), "long enough")
        self.assertEqual(self.prompts, ["New password: ", "The same again: "])
        self.typed("long enough", "long enouhg")
        self.assertIn("two different", self.problem(fresh=True))

    def test_length(self) -> None:
        """A new password has 8 to 128 characters, not bytes; an old one may have any (reference 5)."""
        for password, good in {"seven77": False, "eight888": True, "世" * 128: True, "x" * 129: False}.items():
            file = self.file(password.encode())
            self.assertEqual(existing(file), password)
            if good:
                self.assertEqual(new(file), password)
            else:
                self.assertIn("8 to 128", self.problem(file, fresh=True))

    def test_no_terminal(self) -> None:
        """Where a password could only be typed visibly, nobody is asked."""

        def visible(prompt: str) -> str:
            warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
            return "seen by everybody"

        self.patch(getpass, "getpass", visible)
        self.assertIn("--password-file", self.problem())

    def test_ended(self) -> None:
        """Who ends the input instead gives none."""

        def end(prompt: str) -> str:
            raise EOFError

        self.patch(getpass, "getpass", end)
        self.assertEqual(self.problem(), "no password was given")

    def test_not_shown(self) -> None:
        """What a command knows does not appear where it is logged."""
        shown = repr(Secrets(password="hunter22", new_password="hunter23"))
        self.assertNotIn("hunter", shown)

    def test_hash(self) -> None:
        """The hash can be made at once where nothing waits."""
        made = self.successResultOf(Deferred.fromCoroutine(hash_here("long-nickname", "secret")))
        self.assertEqual(len(made), 43)
