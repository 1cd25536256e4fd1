"""Profiles for people and for flame-graph programs."""

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling.profile import Frame, Measure, Profile
from superchat.ops.profiling.text import MAX_STACKS, folded, table
from tests.ops.profiling.profiles import MAIN, READ, WRITE, profile, profiles, sample


class FoldedTests(SynchronousTestCase):
    """One line per stack."""

    def test_lines(self) -> None:
        """Labels and callers stand before callees, and the value ends the line."""
        made = profile(sample(10, READ, MAIN, labels=(("thread", "reactor"),)), sample(20, WRITE))
        self.assertEqual(folded(made), "reactor;server.main;server.read 10000000\nserver.write 20000000\n")

    def test_separators(self) -> None:
        """A name cannot break a line or add a frame."""
        self.assertEqual(folded(profile(sample(10, Frame("a;b\nc")))), "a:b c 10000000\n")

    def test_less(self) -> None:
        """What became less is left out: there is no way to write it."""
        self.assertEqual(folded(profile(sample(-10, MAIN))), "")

    @given(profiles)
    def test_any(self, made: Profile) -> None:
        """Every line ends with a positive number."""
        lines = folded(made).split("\n")
        self.assertEqual(lines.pop(), "")
        for line in lines:
            self.assertGreater(int(line.rpartition(" ")[2]), 0)


class TableTests(SynchronousTestCase):
    """Text."""

    def test_functions(self) -> None:
        """A function has its own share and that of what it calls; recursion counts once."""
        text = table(profile(sample(10, READ, MAIN, MAIN), sample(30, MAIN)))
        self.assertIn("cpu, total 40.0 ms\ntaken 2023-11-14 22:13:20 UTC, covers 2.0 s\n", text)
        self.assertRegex(text, r"(?m)^ +30\.0 ms +40\.0 ms  server\.main$")
        self.assertRegex(text, r"(?m)^ +10\.0 ms +10\.0 ms  server\.read$")

    def test_stacks(self) -> None:
        """A stack is told with labels, files and lines, the heaviest first."""
        text = table(profile(sample(10, WRITE), sample(30, READ, MAIN, labels=(("thread", "reactor"),))))
        self.assertIn("30.0 ms thread=reactor\n    server.read server.py:25\n    server.main server.py:10\n", text)
        self.assertLess(text.index("    server.read"), text.index("    server.write"))

    def test_units(self) -> None:
        """Bytes are told in KiB, and what is counted by its name."""
        memory = Profile((Measure("inuse_space", "bytes"),), (), 0.0)
        self.assertIn("inuse_space, total 0.0 KiB", table(memory))
        self.assertIn("tasks, total 0 tasks", table(Profile((Measure("tasks", "count"),), (), 0.0)))

    def test_comments(self) -> None:
        """What is to be known about a profile stands above it."""
        self.assertIn("\nsince yesterday\n", table(profile(comments=("since yesterday",))))

    def test_bounded(self) -> None:
        """A long list says how much is missing."""
        many = (sample(10, Frame(f"function {number}")) for number in range(MAX_STACKS + 5))
        self.assertIn("and 5 lighter stacks\n", table(profile(*many)))
