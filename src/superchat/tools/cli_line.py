"""A line being typed: the text, the cursor, the history, and how it looks on one row of a terminal."""

from __future__ import annotations

from collections import deque
from typing import Final

from superchat.tools.cli_text import character_width, safe, width

HISTORY_LINES: Final = 100
LINE_CHARACTERS: Final = 65535  # no message can be longer
NEWLINE_MARK: Final = "\\n"


class Line:
    """What has been typed and not been sent. Every editing verb is one key of the usual shells."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._at = 0
        self._history: deque[str] = deque(maxlen=HISTORY_LINES)
        self._past = 0
        self._draft = ""

    @property
    def text(self) -> str:
        """The whole line."""
        return "".join(self._text)

    @property
    def cursor(self) -> int:
        """Where the next character goes, in characters."""
        return self._at

    def insert(self, text: str) -> None:
        """Type some text; what would make the line longer than any message is dropped."""
        room = LINE_CHARACTERS - len(self._text)
        self._text[self._at : self._at] = text[:room]
        self._at += len(text[:room])

    def take(self) -> str:
        """Return the line, remember it, and begin a new one."""
        text = self.text
        if text.strip() and (not self._history or self._history[-1] != text):
            self._history.append(text)
        self.replace("")
        self._past = 0
        return text

    def replace(self, text: str) -> None:
        """Begin anew with ``text``, the cursor behind it."""
        self._text = list(text)
        self._at = len(self._text)

    # Keys

    def left(self) -> None:
        """One character back; combining ones belong to the one before."""
        self._at = max(0, self._at - 1)
        while self._at > 0 and self._is_combining(self._at):
            self._at -= 1

    def right(self) -> None:
        """One character on."""
        self._at = min(len(self._text), self._at + 1)
        while self._at < len(self._text) and self._is_combining(self._at):
            self._at += 1

    def home(self) -> None:
        """To the beginning."""
        self._at = 0

    def end(self) -> None:
        """To the end."""
        self._at = len(self._text)

    def word_left(self) -> None:
        """To the beginning of the word."""
        while self._at > 0 and self._text[self._at - 1].isspace():
            self._at -= 1
        while self._at > 0 and not self._text[self._at - 1].isspace():
            self._at -= 1

    def word_right(self) -> None:
        """Behind the word."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        while self._at < len(self._text) and not self._text[self._at].isspace():
            self._at += 1

    def backspace(self) -> None:
        """Delete the character before the cursor."""
        end = self._at
        self.left()
        del self._text[self._at : end]

    def delete(self) -> None:
        """Delete the character at the cursor."""
        start = self._at
        self.right()
        del self._text[start : self._at]
        self._at = start

    def delete_word(self) -> None:
        """Delete back to the beginning of the word."""
        end = self._at
        self.word_left()
        del self._text[self._at : end]

    def delete_to_start(self) -> None:
        """Delete what stands before the cursor."""
        del self._text[: self._at]
        self._at = 0

    def delete_to_end(self) -> None:
        """Delete from the cursor on."""
        del self._text[self._at :]

    def older(self) -> None:
        """Show the line sent before; the one being typed is kept."""
        if self._past < len(self._history):
            if self._past == 0:
                self._draft = self.text
            self._past += 1
            self.replace(self._history[-self._past])

    def newer(self) -> None:
        """Show the line sent after that, or the one being typed."""
        if self._past > 0:
            self._past -= 1
            self.replace(self._history[-self._past] if self._past else self._draft)

    # Looks

    def row(self, prompt: str, columns: int) -> tuple[str, int]:
        """Return what fits on a row of ``columns``, prompt included, and the column of the cursor.

        A line that is too long is shown around the cursor. The last column stays empty, as terminals
        disagree on where the cursor is after it.
        """
        if width(prompt) > columns // 2:
            prompt = "> "
        room = max(1, columns - width(prompt) - 1)
        cells = [_visible(each) for each in self._text]
        fits = sum(map(width, cells)) <= room
        start = self._at
        before = 0
        while start > 0 and (fits or before + width(cells[start - 1]) <= room * 3 // 4):
            start -= 1
            before += width(cells[start])
        shown, used = [], 0
        for cell in cells[start:]:
            used += width(cell)
            if used > room:
                break
            shown.append(cell)
        return prompt + "".join(shown), width(prompt) + before

    def _is_combining(self, position: int) -> bool:
        return character_width(self._text[position]) == 0


def _visible(character: str) -> str:
    return NEWLINE_MARK if character == "\n" else safe(character)
