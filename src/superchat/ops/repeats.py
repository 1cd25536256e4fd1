"""Folds repeated lines: the first few within ten seconds are written, the others are counted."""

from collections.abc import Sequence
from typing import Final

import attrs
from twisted.logger import LogEvent

WINDOW_SECONDS: Final = 10.0
"""How long, from its first line on, a text is watched."""
WRITTEN: Final = 5
"""Lines of the same text written in that time; so what people do twice is there twice."""
TEXTS_KEPT: Final = 1000
"""Texts remembered at once, whatever peers make the server say; the oldest goes first."""


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


@attrs.define
class _Window:
    since: float
    lines: int = 1

    @property
    def count(self) -> int:
        """How many lines were not written."""
        return max(0, self.lines - WRITTEN)


class Repeats:
    """What was said lately. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._windows: dict[tuple[object, str], _Window] = {}
        self._ended: list[Repeated] = []

    @property
    def has_ended(self) -> bool:
        """Whether anything was counted in windows that are over."""
        return bool(self._ended)

    def folds(self, level: object, text: str, now: float) -> bool:
        """Whether the same was said often enough within the window; then it is counted instead of written."""
        self.expire(now)
        window = self._windows.get((level, text))
        if window is not None:
            window.lines += 1
            return window.lines > WRITTEN
        self._windows[level, text] = _Window(now)
        if len(self._windows) > TEXTS_KEPT:
            self._end_oldest()
        return False

    @property
    def counts_some(self) -> bool:
        """Whether anything was counted that has not been given yet."""
        return bool(self._ended) or any(window.count for window in self._windows.values())

    def ended(self) -> Sequence[Repeated]:
        """What was counted in windows that are over; each is given once."""
        ended, self._ended = self._ended, []
        return ended

    def end(self) -> Sequence[Repeated]:
        """What was counted so far, and begin anew."""
        while self._windows:
            self._end_oldest()
        return self.ended()

    def expire(self, now: float) -> None:
        """End the windows that are over."""
        # A clock that was set back ends windows early rather than never.
        while self._windows and not 0 <= now - next(iter(self._windows.values())).since < WINDOW_SECONDS:
            self._end_oldest()

    def _end_oldest(self) -> None:
        level, text = key = next(iter(self._windows))
        if count := self._windows.pop(key).count:
            self._ended.append(Repeated(level, text, count))
