"""Renders a log event as exactly one line, in the format operators grep for.

`2025/10/08 14:30:15.123456 [INFO] text`, local time. Nothing in the text can break or forge a line.
"""

import re
import time
from collections.abc import Iterator

from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.python.reflect import qual

MAX_TEXT_CHARS = 3000
"""Longer texts are cut, so that a line in UTF-8 stays small whatever a peer sent."""
MAX_TRACEBACK_LINES = 200

# Controls, line and paragraph separators, surrogates (they cannot be encoded), and the marks that turn the
# direction of text around and so could make a terminal show one line as another.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNABLE = "Unable to format event"  # formatEvent begins so too
_NAMES = {
    LogLevel.debug: "DEBUG",
    LogLevel.info: "INFO",
    LogLevel.warn: "WARN",
    LogLevel.error: "ERROR",
    LogLevel.critical: "ERROR",
}


class LineFormat:
    """Turns events into lines; remembers the text of the current second, which most events share."""

    def __init__(self) -> None:
        self._second = -1
        self._stamp = ""

    def stamped(self, event: LogEvent, text: str) -> str:
        """A line with the event's time and level, and a text that is safe; its newline included."""
        return f"{self._prefix(event)}{text}\n"

    def traceback_lines(self, event: LogEvent) -> Iterator[str]:
        """The traceback of the event's failure, each line with the event's time and level."""
        for line in event_traceback(event):
            yield self.stamped(event, f"  {line}")

    def _prefix(self, event: LogEvent) -> str:
        moment = event.get("log_time", 0.0)
        second = int(moment)
        if second != self._second:
            self._stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(second))
            self._second = second
        return f"{self._stamp}.{int((moment - second) * 1e6):06d} [{level_name(event)}] "


def event_text(event: LogEvent) -> str:
    """What an event says, cut to length and safe; "" for nothing.

    A failure is told by its type and message; its traceback is what `event_traceback` is for.
    """
    text = _text(event)
    failure = event.get("log_failure")
    if failure is not None:
        text = f"{text.rstrip(': ')}: {_summary(failure)}" if text else _summary(failure)
    return safe(text)


def event_traceback(event: LogEvent) -> Iterator[str]:
    """The lines of the traceback of an event's failure, the last ones of a long one, each safe."""
    failure = event.get("log_failure")
    if failure is not None:
        for line in failure.getTraceback().splitlines()[-MAX_TRACEBACK_LINES:]:
            yield safe(line)


def level_name(event: LogEvent) -> str:
    """DEBUG, INFO, WARN or ERROR."""
    return _NAMES.get(event.get("log_level"), "INFO")


def _text(event: LogEvent) -> str:
    """What `formatEvent` gives, but ten times as fast for all formats without a call in them.

    Of an event that cannot be formatted only the format is shown: its values might be anybody's secrets.
    """
    template = event.get("log_format")
    if isinstance(template, str) and "()" not in template:
        try:
            return template.format_map(event)
        except Exception as error:  # noqa: BLE001 -- a broken format, or a value that cannot be shown
            return f"{_UNABLE} {template!r}: {qual(type(error))}"
    text = formatEvent(event)
    return f"{_UNABLE} {template!r}" if text.startswith(_UNABLE) else text


def _summary(failure: Failure) -> str:
    return f"{qual(failure.type) if failure.type else 'Failure'}: {failure.getErrorMessage()}"


def safe(text: str) -> str:
    """The text cut to length, with everything unsafe written as its escape."""
    if len(text) > MAX_TEXT_CHARS:
        text = f"{text[:MAX_TEXT_CHARS]} [cut, {len(text)} characters]"
    if text.isprintable():
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
