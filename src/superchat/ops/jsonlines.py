"""Renders a log event as one line of JSON, for programs that would otherwise parse the text."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from math import isfinite
from string import Formatter
from typing import Any

from twisted.logger import LogEvent

from superchat.ops.loglines import event_traceback, level_name, safe

_FIELD_END = ".[!"
_encode = json.JSONEncoder(ensure_ascii=False).encode


class JsonFormat:
    """Turns events into lines; remembers the text of the current second, which most events share."""

    def __init__(self) -> None:
        self._second = -1
        self._stamp = self._zone = ""

    def line(self, event: LogEvent, text: str) -> str:
        """The event as one object with its newline; `text` is what the text log says of it.

        `time` is RFC 3339 with microseconds, `level` as in the text logs, `message` the text, `source` the part of
        the program. `fields` has the values that the text shows, and no others: what is kept from one log is kept
        from both. A failure has its `traceback`, one string per line.
        """
        line: dict[str, Any] = {
            "time": self._time(event.get("log_time", 0.0)),
            "level": level_name(event),
            "message": text,
            "source": str(event.get("log_namespace", "")),
        }
        if fields := {name: _value(event[name]) for name in _names(event.get("log_format")) if name in event}:
            line["fields"] = fields
        if traceback := list(event_traceback(event)):
            line["traceback"] = traceback
        return _encode(line) + "\n"

    def _time(self, moment: float) -> str:
        second = int(moment)
        if second != self._second:
            whole = datetime.fromtimestamp(second).astimezone().isoformat()
            self._stamp, self._zone = whole[:19], whole[19:]
            self._second = second
        return f"{self._stamp}.{int((moment - second) * 1e6):06d}{self._zone}"


def _names(template: object) -> Sequence[str]:
    return _parsed(template) if isinstance(template, str) else ()


@lru_cache(maxsize=500)
def _parsed(template: str) -> Sequence[str]:
    """The names a format shows as they are, without an attribute or an item of them, and none of Twisted's own."""
    try:
        return tuple(name for name in _shown(template) if not name.startswith("log_"))
    except ValueError:
        return ()  # a broken format, which the text explains


def _shown(template: str) -> Iterator[str]:
    for _, name, _, _ in Formatter().parse(template):
        if name and not any(character in name for character in _FIELD_END) and not name.endswith("()"):
            yield name


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    try:
        return safe(str(value))
    except Exception:  # noqa: BLE001 -- a value that cannot be shown must not cost the line
        return "?"
