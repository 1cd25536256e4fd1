"""The texts of the load say what they are, and nothing else passes for one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.texts import POSTERS_MAXIMUM, STAMP_BYTES, Stamp, Texts, run_name


class TextsTests(SynchronousTestCase):
    """Making and reading."""

    def setUp(self) -> None:
        self.texts = Texts(run_name(7), 60)

    @given(st.integers(0, POSTERS_MAXIMUM), st.integers(0, 2**32 - 1), st.integers(0, 2**56 - 1))
    def test_round_trip(self, poster: int, sequence: int, due_us: int) -> None:
        """A text has the size asked for and is read as it was made."""
        texts = Texts(run_name(0xFFFFFF), 100)
        text = texts.make(poster, sequence, due_us)
        self.assertEqual(len(text), 100)
        self.assertTrue(texts.is_ours(text))
        self.assertEqual(texts.read(text), Stamp(poster, sequence, due_us))

    def test_smallest(self) -> None:
        """The smallest text is the stamp alone."""
        texts = Texts(run_name(1), STAMP_BYTES)
        self.assertEqual(len(texts.make(1, 2, 3)), STAMP_BYTES)
        self.assertEqual(texts.read(texts.make(1, 2, 3)), Stamp(1, 2, 3))

    def test_plain(self) -> None:
        """A server need not change it: it is printable ASCII (decisions 4.4)."""
        self.assertTrue(self.texts.make(1, 2, 3).decode("ascii").isprintable())

    def test_other_run(self) -> None:
        """The texts of another run are not taken for ours."""
        self.assertFalse(self.texts.is_ours(Texts(run_name(8), 60).make(1, 2, 3)))

    def test_damaged(self) -> None:
        """A text that lost, gained or changed a byte anywhere is not read."""
        text = self.texts.make(1, 2, 3)
        for at in range(8, len(text)):
            for instead in (text[at + 1 :], b"!" + text[at + 1 :], b"x" + text[at:]):
                self.assertRaises(ValueError, self.texts.read, text[:at] + instead)
