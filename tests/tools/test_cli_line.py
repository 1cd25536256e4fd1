"""Editing a line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_line import HISTORY_LINES, LINE_CHARACTERS, Line
from superchat.tools.cli_text import width


class LineTests(SynchronousTestCase):
    """Keys do what they do in the usual shells."""

    def setUp(self) -> None:
        self.line = Line()

    def typed(self, text: str) -> None:
        self.line.insert(text)

    def assert_line(self, text: str, cursor: int) -> None:
        self.assertEqual((self.line.text, self.line.cursor), (text, cursor))

    def test_insert_in_the_middle(self) -> None:
        """Text goes where the cursor is."""
        self.typed("hllo")
        self.line.home()
        self.line.right()
        self.typed("e")
        self.assert_line("hello", 2)

    def test_delete(self) -> None:
        """Backspace takes the character before the cursor, delete that under it; at the ends nothing happens."""
        self.typed("abc")
        self.line.left()
        self.line.backspace()
        self.assert_line("ac", 1)
        self.line.delete()
        self.assert_line("a", 1)
        self.line.delete()
        self.line.home()
        self.line.backspace()
        self.assert_line("a", 0)

    def test_words(self) -> None:
        """Words can be passed and deleted as a whole."""
        self.typed("one two  three")
        self.line.word_left()
        self.assert_line("one two  three", 9)
        self.line.delete_word()
        self.assert_line("one three", 4)
        self.line.word_left()
        self.line.word_right()
        self.assert_line("one three", 3)

    def test_delete_to_the_ends(self) -> None:
        """Everything before or behind the cursor can be deleted."""
        self.typed("hello world")
        self.line.word_left()
        self.line.delete_to_start()
        self.assert_line("world", 0)
        self.line.right()
        self.line.delete_to_end()
        self.assert_line("w", 1)

    def test_combining(self) -> None:
        """A letter and its accent are passed and deleted together."""
        self.typed("ae\u0301b")
        self.line.left()
        self.line.left()
        self.assertEqual(self.line.cursor, 1)
        self.line.right()
        self.assertEqual(self.line.cursor, 3)
        self.line.backspace()
        self.assert_line("ab", 1)

    def test_take(self) -> None:
        """Sending a line leaves an empty one."""
        self.typed("hi")
        self.assertEqual(self.line.take(), "hi")
        self.assert_line("", 0)

    def test_history(self) -> None:
        """Lines sent before come back, and the one being typed is not lost over it."""
        for text in ("one", "two", "two", "  "):
            self.typed(text)
            self.line.take()
        self.typed("dra")
        self.line.older()
        self.assert_line("two", 3)
        self.line.older()
        self.line.older()
        self.assert_line("one", 3)
        self.line.newer()
        self.line.newer()
        self.line.newer()
        self.assert_line("dra", 3)

    def test_history_is_bounded(self) -> None:
        """Only so many lines are kept."""
        for number in range(HISTORY_LINES + 5):
            self.typed(str(number))
            self.line.take()
        for _ in range(HISTORY_LINES + 5):
            self.line.older()
        self.assertEqual(self.line.text, "5")

    def test_length_is_bounded(self) -> None:
        """Nobody can paste more than a message holds."""
        self.typed("x" * (LINE_CHARACTERS + 10))
        self.typed("y")
        self.assertEqual(len(self.line.text), LINE_CHARACTERS)


class RowTests(SynchronousTestCase):
    """How a line looks."""

    def test_short(self) -> None:
        """A short line stands behind the prompt, with the cursor where it belongs."""
        line = Line()
        line.insert("hello")
        line.left()
        self.assertEqual(line.row("bob> ", 40), ("bob> hello", 9))

    def test_long(self) -> None:
        """Wherever the cursor is in a long line, the row fits and the cursor is on it."""
        line = Line()
        line.insert("世a" * 40)
        for _ in range(80):
            row, cursor = line.row("bob> ", 30)
            self.assertLess(width(row), 30)
            self.assertLess(cursor, 30)
            line.left()
        self.assertTrue(line.row("bob> ", 30)[0].startswith("bob> 世a"))

    def test_narrow_terminal(self) -> None:
        """The prompt gives way before the text does."""
        line = Line()
        line.insert("abc")
        self.assertEqual(line.row("somebody-with-a-name> ", 12), ("> abc", 5))

    def test_pasted_lines(self) -> None:
        """A line feed within the line does not break the row, nor does anything else."""
        line = Line()
        line.insert("a\nb\x1b")
        self.assertEqual(line.row("> ", 40)[0], "> a\\nb\\x1b")
