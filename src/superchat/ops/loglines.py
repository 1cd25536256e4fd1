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

    def line(self, event: LogEvent) -> str:
        """The event as one line with its newline, "" for an event without text.

        A failure is told by its type and message; its traceback is what `traceback_lines` is for.
        """
        text = _text(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text.rstrip(': ')}: {_summary(failure)}" if text else _summary(failure)
        return self._prefix(event) + _safe(text) + "\n" if text else ""

    def traceback_lines(self, event: LogEvent) -> Iterator[str]:
        """The traceback of the event's failure, each line with the event's time and level."""
        failure = event.get("log_failure")
        if failure is None:
            return
        prefix = self._prefix(event)
        lines = failure.getTraceback().splitlines()
        for line in lines[-MAX_TRACEBACK_LINES:]:
            yield f"{prefix}  {_safe(line)}\n"

    def _prefix(self, event: LogEvent) -> str:
        moment = event.get("log_time", 0.0)
        second = int(moment)
        if second != self._second:
            self._stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(second))
            self._second = second
        level = _NAMES.get(event.get("log_level"), "INFO")
        return f"{self._stamp}.{int((moment - second) * 1e6):06d} [{level}] "


def _text(event: LogEvent) -> str:
    """What `formatEvent` gives, but ten times as fast for all formats without a call in them."""
    template = event.get("log_format")
    if isinstance(template, str) and "()" not in template:
        try:
            return template.format_map(event)
        except Exception:  # noqa: BLE001 -- a broken format or value: formatEvent says what it can
            return formatEvent(event)
    return formatEvent(event)


def _summary(failure: Failure) -> str:
    return f"{qual(failure.type) if failure.type else 'Failure'}: {failure.getErrorMessage()}"


def _safe(text: str) -> str:
    """The text cut to length, with everything unsafe written as its escape."""
    if len(text) > MAX_TEXT_CHARS:
        text = f"{text[:MAX_TEXT_CHARS]} [cut, {len(text)} characters]"
    if text.isprintable():
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
