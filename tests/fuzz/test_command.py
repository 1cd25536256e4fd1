"""The command line of the fuzzer: what it says, what it writes, and how it ends."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Hashable, Iterator
from pathlib import Path

from twisted.logger import globalLogBeginner
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import command, corpus
from tests.fuzz.targets.keys import KeysTarget


class Broken(KeysTarget):
    """Fails for one kind of line."""

    def run(self, data: bytes) -> Hashable:
        """Where there is a line break."""
        if b"\n" in data:
            raise KeyError("line break")
        return len(data)


class CommandTests(SynchronousTestCase):
    """`python -m tests.fuzz`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.patch(globalLogBeginner, "beginLoggingTo", lambda observers, **more: None)

    @contextlib.contextmanager
    def heard(self) -> Iterator[io.StringIO]:
        """What is said to standard output; the rest is not of interest."""
        stdout = io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(io.StringIO()):
            yield stdout

    def test_passes(self) -> None:
        """A target without failures is one line, and the exit code is 0."""
        with self.heard() as said:
            code = command.main(["keys", "--seconds", "0.1", "--seed", "5", "--keep", str(self.folder)])
        first, last = said.getvalue().splitlines()
        self.assertRegex(first, r"^keys: \d+ inputs, \d+ ways through the code, \d+ new inputs$")
        self.assertEqual((code, last), (0, "1 targets passed, failed: none, seed 5"))

    def test_fails(self) -> None:
        """A failure is written down as small as it gets; the exit code is 1, and replaying it says the same."""
        self.patch(command, "TARGETS", {"keys": Broken()})
        with self.heard() as said:
            code = command.main(["keys", "--seconds", "60", "--seed", "5", "--keep", str(self.folder)])
        *_, how, last = said.getvalue().splitlines()
        self.assertEqual((code, last), (1, "0 targets passed, failed: keys, seed 5"))
        path = how.rpartition(" ")[2]
        self.assertEqual(how, f"keys failed, seed 5; replay it with: python -m tests.fuzz keys --replay {path}")
        self.assertEqual(Path(path).read_bytes(), b"\n")
        with self.heard() as said:
            self.assertEqual(command.main(["keys", "--replay", path]), 1)
        self.assertEqual(said.getvalue(), f"keys: {path} fails\n")

    def test_replay(self) -> None:
        """What does not fail any more is said to pass; which target it is for has to be said."""
        path = corpus.save("keys", b"ssh-rsa AAAA", self.folder)
        with self.heard() as said:
            self.assertEqual(command.main(["keys", "--replay", str(path)]), 0)
            self.assertEqual(command.main(["--replay", str(path)]), 2)
        self.assertEqual(said.getvalue(), f"keys: {path} passes\n")

    def test_list(self) -> None:
        """All targets have names."""
        with self.heard() as said:
            self.assertEqual(command.main(["--list"]), 0)
        self.assertEqual(said.getvalue().split(), [*command.ALL])
