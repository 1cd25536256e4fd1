"""The fuzzer itself: it finds what is hidden, makes it small, and does the same again for the same seed."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Hashable, Iterable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire.connection import Connection
from superchat.wire.messages import Ping
from tests.fuzz import corpus
from tests.fuzz.edges import Edges, TooMuchWork
from tests.fuzz.loop import Failed, Loop, run_once, shrink, shrink_failure
from tests.fuzz.mutation import mutate
from tests.fuzz.patience import Hangs, patience
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS, wire
from tests.fuzz.targets.wire import WireTarget, framed

MAGIC = b"PRO"


class Hidden(Target):
    """Fails behind a word that is found letter by letter, if one is told that a letter was right."""

    name = "hidden"
    files = ("/tests/fuzz/test_loop.py",)
    words = (b"P", b"R", b"O")

    def seeds(self) -> Iterable[bytes]:
        """Nothing near it."""
        yield b"......"

    def run(self, data: bytes) -> Hashable:
        """Another outcome for each letter."""
        right = 0
        while right < len(MAGIC) and data[right : right + 1] == MAGIC[right : right + 1]:
            right += 1
        if right == len(MAGIC):
            raise KeyError(data)
        return right


class Slow(Hidden):
    """Works for much longer than its input explains, and says nothing about it."""

    name = "slow"

    def run(self, data: bytes) -> Hashable:
        """More for each byte than for the one before."""
        try:
            for each in range(len(data) ** 2):
                _ = each
        except AssertionError:
            pass
        return 0


class OnePing(WireTarget):
    """Begins with one good frame only."""

    def seeds(self) -> Iterable[bytes]:
        """That one."""
        yield framed(Ping.CODE, bytes(8))


class LoopTests(SynchronousTestCase):
    """`Loop`."""

    def test_finds(self) -> None:
        """What is hidden behind three right letters is found, since each of them is noticed."""
        failed = self.assertRaises(Failed, Loop(Hidden(), [], 1).run, 3600, 200_000)
        self.assertEqual(failed.data[: len(MAGIC)], MAGIC)
        self.assertIsInstance(failed.__cause__, KeyError)
        self.assertEqual(shrink_failure(Hidden(), failed.data), MAGIC)

    def test_repeats(self) -> None:
        """The same seed takes the same way."""
        found = [self.assertRaises(Failed, Loop(Hidden(), [], 3).run, 3600, 200_000).data for _ in range(2)]
        self.assertEqual(found[0], found[1])

    def test_keeps(self) -> None:
        """What shows something new is written down, as small as it gets."""
        folder = Path(self.mktemp())
        self.assertRaises(Failed, Loop(Hidden(), [], 1, folder).run, 3600, 200_000)
        kept = corpus.load("hidden", folder)
        self.assertIn(b"PR", kept)
        self.assertEqual(sorted(kept), [MAGIC[:length] for length in range(1, len(MAGIC))])

    def test_work(self) -> None:
        """Work that grows faster than the input is a failure, also when the code hides that."""
        run_once(Slow(), bytes(10))
        self.assertRaises(TooMuchWork, run_once, Slow(), bytes(2000))

    def test_shrinking(self) -> None:
        """What is not needed is left out, wherever it stands."""
        self.assertEqual(shrink(b"..a....b...", lambda data: b"a" in data and b"b" in data, 1000), b"ab")

    def test_planted(self) -> None:
        """A decoder that fails for some bytes in one place is found in no time."""

        def plant(connection: Connection, code: int, payload: bytes) -> object:
            if code == Ping.CODE and payload[:1] >= b"\x10":
                raise KeyError(payload)
            return decode(connection, code, payload)

        decode = Connection._decode
        self.patch(Connection, "_decode", plant)
        failed = self.assertRaises(Failed, Loop(OnePing(), [], 1).run, 3600, 20_000)
        self.assertIsInstance(failed.__cause__, KeyError)

    def test_different(self) -> None:
        """A message that would not come back equal is noticed."""
        self.patch(wire, "outcomes", lambda pieces: [Ping(timestamp=2)])
        self.assertRaises(AssertionError, wire.check_message, Ping(timestamp=1), 100)


class EdgesTests(SynchronousTestCase):
    """`Edges`."""

    def test_files(self) -> None:
        """Only what was asked for is looked at, generated code included; whoever traced before goes on."""
        before = sys.gettrace()
        data = framed(Ping.CODE, bytes(8))
        for files, is_seen in ((("wire/",), True), (("net/",), False)):
            edges = Edges(files)
            outcome, seen = edges.of(lambda: TARGETS["wire"].run(data), 100_000)
            self.assertEqual(outcome, ("PING",))
            self.assertEqual(bool(seen), is_seen)
            self.assertEqual(bool(edges.steps), is_seen)
        self.assertIs(sys.gettrace(), before)


class MutationTests(SynchronousTestCase):
    """`mutate`."""

    def test_length(self) -> None:
        """Nothing gets longer than allowed, whatever it is made of."""
        rng = random.Random(1)
        made = {mutate(b"abc", [b"others" * 9], [b"word"], rng, 20) for _ in range(500)}
        self.assertLessEqual(max(map(len, made)), 20)
        self.assertGreater(len(made), 100)
        self.assertTrue(any(b"word" in each for each in made))
        self.assertTrue(any(b"oth" in each for each in made))

    def test_empty(self) -> None:
        """Something comes of nothing."""
        rng = random.Random(1)
        self.assertTrue(any(mutate(b"", [], [], rng, 20) for _ in range(50)))


class PatienceTests(SynchronousTestCase):
    """`patience`."""

    def test_hangs(self) -> None:
        """What does not end is ended."""
        with self.assertRaises(Hangs), patience(0.05):
            while True:
                time.sleep(0.01)
