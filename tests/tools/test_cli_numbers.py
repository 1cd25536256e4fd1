"""Small numbers for messages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_numbers import NUMBERS_REMEMBERED, Noted, Numbers


class NumbersTests(SynchronousTestCase):
    """Small numbers for messages."""

    def test_numbers(self) -> None:
        """Each message has its own number, which stays."""
        numbers = Numbers()
        first, second = Noted(500, 1), Noted(700, 2)
        self.assertEqual([numbers.give(each) for each in (first, second, first)], [1, 2, 1])
        self.assertEqual((numbers.message("2"), numbers.message("[2]")), (second, second))
        self.assertEqual((numbers.of(700), numbers.of(900)), (2, None))

    def test_nonsense(self) -> None:
        """What is no number of a message is none."""
        numbers = Numbers()
        for text in ("", "0", "1", "-1", "x", "²", "[", "1" * 50):
            self.assertIsNone(numbers.message(text), text)

    def test_memory_is_bounded(self) -> None:
        """The oldest numbers are forgotten, the others stay."""
        numbers = Numbers()
        for message_id in range(1, NUMBERS_REMEMBERED + 2):
            numbers.give(Noted(message_id, 1))
        self.assertIsNone(numbers.message("1"))
        self.assertEqual(numbers.message("2"), Noted(2, 1))
        self.assertIsNone(numbers.of(1))
