"""Making text fit for a terminal."""

from __future__ import annotations

import io
from datetime import UTC

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_text import Palette, clip, clock_time, decoded, pad, safe, safe_lines, wants_colour, width

NOON = 1_700_000_000  # 2023-11-14 22:13:20 UTC


class SafeTests(SynchronousTestCase):
    """No byte of somebody else's text is obeyed by the terminal."""

    def test_plain(self) -> None:
        """Letters of any language, signs and emoji stay as they are."""
        text = "Grüße, 世界 👩\u200d💻 ¿qué?"
        self.assertEqual(safe(text), text)

    def test_escape_sequences(self) -> None:
        """Escape sequences are shown, in their 7-bit and their 8-bit form."""
        self.assertEqual(safe("\x1b[2Jboo\x07"), "\\x1b[2Jboo\\x07")
        self.assertEqual(safe("\x9b2Jboo"), "\\x9b2Jboo")

    def test_every_control_character(self) -> None:
        """Nothing below blank, no DEL and nothing of the C1 range gets through."""
        for code in [*range(0x20), 0x7F, *range(0x80, 0xA0)]:
            self.assertTrue(safe(chr(code)).isprintable(), hex(code))

    def test_bidirectional(self) -> None:
        """Text cannot reorder what stands around it."""
        self.assertEqual(safe("\u202eevil"), "\\u202eevil")
        self.assertEqual(safe("a\u2028b"), "a\\u2028b")

    def test_bytes_that_are_no_text(self) -> None:
        """Bytes that are no UTF-8 are shown as such (wire 3)."""
        self.assertEqual(safe(decoded(b"\xff\xfe ok")), "\\xff\\xfe ok")

    def test_lines(self) -> None:
        """Line feeds separate lines; a lone carriage return does not overwrite one."""
        self.assertEqual(safe_lines("a\r\nb\n\rc"), ["a", "b", "\\x0dc"])

    def test_tab(self) -> None:
        """Tabs become blanks, so that widths can be reckoned."""
        self.assertEqual(safe("a\tb"), "a    b")


class WidthTests(SynchronousTestCase):
    """Columns are reckoned as terminals do."""

    def test_width(self) -> None:
        """East Asian characters take two columns, combining ones none."""
        self.assertEqual(width("abc"), 3)
        self.assertEqual(width("世界"), 4)
        self.assertEqual(width("e\u0301"), 1)

    def test_clip(self) -> None:
        """A text that is too long ends in dots and never takes more room than there is."""
        self.assertEqual(clip("hello", 5), "hello")
        self.assertEqual(clip("hello world", 8), "hello...")
        self.assertLessEqual(width(clip("世界世界世界", 8)), 8)

    def test_pad(self) -> None:
        """Columns line up under wide characters too."""
        self.assertEqual(pad("世", 4), "世  ")


class TimeTests(SynchronousTestCase):
    """Times are short where that is enough."""

    def test_today(self) -> None:
        """Today's times need no date."""
        self.assertEqual(clock_time((NOON - 60) * 1000, NOON, UTC), "22:12")

    def test_other_day(self) -> None:
        """Other days are named."""
        self.assertEqual(clock_time((NOON - 86400) * 1000, NOON, UTC), "2023-11-13 22:13")

    def test_beyond_the_calendar(self) -> None:
        """A hostile time is no reason to fail."""
        self.assertEqual(clock_time(2**63 - 1, NOON, UTC), "??:??")
        self.assertEqual(clock_time(-(2**63), NOON, UTC), "??:??")


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class ColourTests(SynchronousTestCase):
    """Colour is for terminals only."""

    def test_wanted(self) -> None:
        """A terminal with a known type gets colour."""
        self.assertTrue(wants_colour(Tty(), {"TERM": "xterm"}))

    def test_unwanted(self) -> None:
        """Pipes, NO_COLOR and dumb terminals get none."""
        self.assertFalse(wants_colour(io.StringIO(), {"TERM": "xterm"}))
        self.assertFalse(wants_colour(Tty(), {"TERM": "xterm", "NO_COLOR": "1"}))
        self.assertFalse(wants_colour(Tty(), {"TERM": "dumb"}))

    def test_palette(self) -> None:
        """Without colour text stays alone; with it a name is always painted the same."""
        self.assertEqual(Palette(False).name("bob"), "bob")
        self.assertEqual(Palette(True).name("bob"), Palette(True).name("bob"))
        self.assertIn("\x1b[", Palette(True).warning("bob"))
