"""Folds repeated lines: the first few within ten seconds are written, the others are counted."""

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs
from twisted.logger import LogEvent

WINDOW_SECONDS: Final = 10.0
"""How long, from its first line on, a text is watched."""
WRITTEN: Final = 5
"""Lines of the same text written in that time; so what people do twice is there twice."""
TEXTS_KEPT: Final = 1000
"""Texts remembered at once, whatever peers make the server say; the oldest goes first."""

_Text: TypeAlias = tuple[object, str]  # with its level


@attrs.frozen
class Repeated:
    """A text, the level it had, and how often it was not written."""

    level: object
    text: str
    count: int

    def event(self, now: float) -> LogEvent:
        """The event that tells it."""
        return {
            "log_time": now,
            "log_level": self.level,
            "log_namespace": __name__,
            "log_format": "{text} [and {count} more like this]",
            "text": self.text,
            "count": self.count,
        }


class Repeats:
    """What was said lately. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._lines: dict[_Text, int] = {}
        self._begun: deque[tuple[float, _Text]] = deque()
        self._ended: list[Repeated] = []

    @property
    def has_ended(self) -> bool:
        """Whether anything was counted in windows that are over."""
        return bool(self._ended)

    def folds(self, level: object, text: str, now: float) -> bool:
        """Whether the same was said often enough within the window; then it is counted instead of written."""
        self.expire(now)
        key = level, text
        number = self._lines.get(key, 0) + 1
        self._lines[key] = number
        if number > 1:
            return number > WRITTEN
        self._begun.append((now, key))
        if len(self._begun) > TEXTS_KEPT:
            self._end_oldest()
        return False

    @property
    def counts_some(self) -> bool:
        """Whether anything was counted that has not been given yet."""
        return bool(self._ended) or any(number > WRITTEN for number in self._lines.values())

    def ended(self) -> Sequence[Repeated]:
        """What was counted in windows that are over; each is given once."""
        ended, self._ended = self._ended, []
        return ended

    def end(self) -> Sequence[Repeated]:
        """What was counted so far, and begin anew."""
        while self._begun:
            self._end_oldest()
        return self.ended()

    def expire(self, now: float) -> None:
        """End the windows that are over."""
        # A clock that was set back ends windows early rather than never.
        while self._begun and not 0 <= now - self._begun[0][0] < WINDOW_SECONDS:
            self._end_oldest()

    def _end_oldest(self) -> None:
        _, key = self._begun.popleft()
        not_written = self._lines.pop(key) - WRITTEN
        if not_written > 0:
            self._ended.append(Repeated(*key, not_written))
