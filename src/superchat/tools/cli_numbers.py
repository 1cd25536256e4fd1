"""Small numbers for messages: ids are too long to type."""

from __future__ import annotations

from typing import Final

import attrs

NUMBERS_REMEMBERED: Final = 5000


@attrs.frozen
class Noted:
    """A message, and where it is."""

    message_id: int
    channel_id: int


class Numbers:
    """Gives each message a number; the oldest are forgotten."""

    def __init__(self) -> None:
        self._messages: dict[int, Noted] = {}
        self._numbers: dict[int, int] = {}
        self._last = 0

    def give(self, noted: Noted) -> int:
        """Return the number of a message, a new one if it has none."""
        if noted.message_id not in self._numbers:
            self._last += 1
            self._numbers[noted.message_id] = self._last
            self._messages[self._last] = noted
            forgotten = self._messages.pop(self._last - NUMBERS_REMEMBERED, None)
            if forgotten is not None:
                del self._numbers[forgotten.message_id]
        return self._numbers[noted.message_id]

    def of(self, message_id: int) -> int | None:
        """Return the number of a message, None if it has none."""
        return self._numbers.get(message_id)

    def message(self, number: str) -> Noted | None:
        """Return the message with the number that ``number`` spells, in brackets or not; None if there is none."""
        digits = number.removeprefix("[").removesuffix("]")
        return self._messages.get(int(digits)) if digits.isascii() and digits.isdigit() else None
