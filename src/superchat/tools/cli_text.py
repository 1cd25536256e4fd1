"""Makes other people's text fit for a terminal: without control characters, in known widths, in colour."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import IO, Final

# They reorder what stands around them, so that text could pose as something else.
BIDIRECTIONAL: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
TAB: Final = "    "
NAME_COLOURS: Final = (31, 32, 33, 34, 35, 36)


def safe(text: str) -> str:
    """Return ``text`` on one line, with everything a terminal might obey written out as ``\\x1b`` or ``\\u202e``.

    Bytes that were no UTF-8 become ``\\xff``. Tabs become four blanks.
    """
    if text.isprintable():
        return text
    return "".join(_safe_character(each) for each in text)


def safe_lines(text: str) -> list[str]:
    """Split at line feeds, each line made ``safe``."""
    return [safe(line) for line in text.replace("\r\n", "\n").split("\n")]


def _safe_character(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return TAB
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, see wire 3
        return f"\\x{code - 0xDC00:02x}"
    if character in BIDIRECTIONAL or unicodedata.category(character) in UNSAFE_CATEGORIES:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character


def decoded(content: bytes) -> str:
    """Return a message's content as text; ``safe`` knows how to show the bytes that are no UTF-8."""
    return content.decode("utf-8", "surrogateescape")


def character_width(character: str) -> int:
    """How many columns a printable character takes: 0, 1 or 2."""
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def width(text: str) -> int:
    """How many columns a safe text takes."""
    return sum(map(character_width, text))


def clip(text: str, columns: int) -> str:
    """Return as much of a safe text as fits, with ``...`` where something is missing."""
    if width(text) <= columns:
        return text
    taken, left = [], columns - 3
    for character in text:
        left -= character_width(character)
        if left < 0:
            break
        taken.append(character)
    return "".join(taken) + "..."


def pad(text: str, columns: int) -> str:
    """Fill a safe text up with blanks."""
    return text + " " * (columns - width(text))


def clock_time(timestamp_ms: int, now_seconds: float, zone: tzinfo | None = None) -> str:
    """Return a time in ``zone`` (None: the local one): ``14:05`` today, ``2025-11-24 14:05`` on other days."""
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return "??:??"  # no calendar reaches that far
    today = datetime.fromtimestamp(now_seconds, UTC).astimezone(zone).date()
    return moment.strftime("%H:%M" if moment.date() == today else "%Y-%m-%d %H:%M")


def wants_colour(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Colour is for terminals that know it, unless NO_COLOR says otherwise (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"


class Palette:
    """Paints safe text; without colour it leaves text alone."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def bold(self, text: str) -> str:
        """For what matters."""
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        """For what can be overlooked."""
        return self._paint("2", text)

    def warning(self, text: str) -> str:
        """For what went wrong."""
        return self._paint("31", text)

    def name(self, text: str) -> str:
        """A nickname has the same colour every time."""
        colour = NAME_COLOURS[zlib.crc32(text.encode("utf-8", "replace")) % len(NAME_COLOURS)]
        return self._paint(str(colour), text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._enabled else text
