"""The beginnings of messages, to say what a reply answers."""

from __future__ import annotations

from typing import Final

from superchat.tools.cli_text import clip, decoded, safe_lines
from superchat.wire.messages import MessageEntry

EXCERPTS_REMEMBERED: Final = 1000
EXCERPT_COLUMNS: Final = 30


class Excerpts:
    """Remembers how the latest messages begin."""

    def __init__(self) -> None:
        self._of: dict[int, str] = {}

    def remember(self, entry: MessageEntry) -> None:
        """Take note of a message; the oldest note is dropped."""
        while len(self._of) >= EXCERPTS_REMEMBERED:
            del self._of[next(iter(self._of))]
        first = safe_lines(decoded(entry.content))[0]
        self._of[entry.message_id] = f'"{clip(first, EXCERPT_COLUMNS)}"'

    def of(self, message_id: int) -> str:
        """Return the beginning in quotes, or the id where it is not known."""
        return self._of.get(message_id, str(message_id))
