"""What superchat-admin prints: tables for people, or one JSON object per line for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, Protocol

from superchat.tools.cli_text import pad, safe, width

Row = Mapping[str, Any]
WriteLine = Callable[[str], object]

_BYTE_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Output(Protocol):
    """Where results and complaints go."""

    def rows(self, rows: Sequence[Row], text: str) -> None:
        """A list of rows of one type, see docs/admin.md; *text* says how many there are."""

    def result(self, kind: str, text: str, fields: Row) -> None:
        """What was done, or found out."""

    def notice(self, text: str) -> None:
        """Something by the way."""

    def error(self, kind: str, text: str) -> None:
        """Why something was not done."""


class JsonOutput:
    """One object per line, results on standard output, notices and errors on standard error."""

    def __init__(self, out: WriteLine, err: WriteLine) -> None:
        self._out = out
        self._err = err

    def rows(self, rows: Sequence[Row], text: str) -> None:
        for row in rows:
            self._out(json.dumps(row))

    def result(self, kind: str, text: str, fields: Row) -> None:
        self._out(json.dumps({"type": kind, "message": text, **fields}))

    def notice(self, text: str) -> None:
        self._err(json.dumps({"type": "notice", "message": text}))

    def error(self, kind: str, text: str) -> None:
        self._err(json.dumps({"type": "error", "error": kind, "message": text}))


class HumanOutput:
    """Tables and sentences, with local times. What others wrote is made safe for terminals."""

    def __init__(self, out: WriteLine, err: WriteLine, zone: tzinfo | None = None) -> None:
        self._out = out
        self._err = err
        self._zone = zone

    def rows(self, rows: Sequence[Row], text: str) -> None:
        if not rows:
            self._out(text)
            return
        columns = _COLUMNS[rows[0]["type"]]
        cells = [[safe(cell(self, row)) for cell in columns.values()] for row in rows]
        widths = [max(map(width, column)) for column in zip(columns, *cells, strict=True)]
        for line in ([*columns], *cells):
            self._out("  ".join(map(pad, line, widths)).rstrip())

    def result(self, kind: str, text: str, fields: Row) -> None:
        show = _RESULTS.get(kind)
        lines = [text] if show is None else [f"{name:<12}{value}" for name, value in show(fields).items()]
        for line in lines:
            self._out(safe(line))

    def notice(self, text: str) -> None:
        self._err(f"* {safe(text)}")

    def error(self, kind: str, text: str) -> None:
        for line in text.splitlines():
            self._err(f"superchat-admin: {safe(line)}")

    def time(self, milliseconds: int | None) -> str:
        """A time in the local zone."""
        if milliseconds is None:
            return ""
        try:
            moment = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(self._zone)
        except (OverflowError, OSError, ValueError):
            return "?"  # no calendar reaches that far
        return f"{moment:%Y-%m-%d %H:%M}"


def size(number: int) -> str:
    """A number of bytes, in units that leave few digits."""
    amount = float(number)
    for unit in _BYTE_UNITS:
        if amount < 1024 or unit == _BYTE_UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("the last unit holds everything")


def lapse(seconds: int) -> str:
    """A time that has passed."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    clock = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def _roles(row: Row) -> str:
    return ", ".join(role for role in ("admin", "moderator") if row[role])


def _until(output: HumanOutput, row: Row) -> str:
    if row["banned_until_ms"] is None:
        return "for ever"
    end = output.time(row["banned_until_ms"])
    return end if row["active"] else f"{end} (over)"


def _whom(row: Row) -> str:
    return row["ip_cidr"] or row["nickname"] or f"account {row['user_id']}"


def _login_name(row: Row) -> str:
    other = row["login_name"]
    return f" (logs in as {other})" if other not in (None, row["nickname"]) else ""


_COLUMNS: Final[Mapping[str, Mapping[str, Callable[[HumanOutput, Row], str]]]] = {
    "user": {
        "ID": lambda output, row: row["user_id"],
        "NAME": lambda output, row: row["nickname"] + _login_name(row),
        "RIGHTS": lambda output, row: _roles(row),
        "SESSIONS": lambda output, row: str(row["sessions"]),
        "MADE": lambda output, row: output.time(row["created_at_ms"]),
        "LAST SEEN": lambda output, row: output.time(row["last_seen_ms"]),
    },
    "ban": {
        "ID": lambda output, row: row["ban_id"],
        "WHOM": lambda output, row: _whom(row),
        "SINCE": lambda output, row: output.time(row["banned_at_ms"]),
        "UNTIL": _until,
        "KIND": lambda output, row: "shadow" if row["shadow"] else row["ban_type"],
        "BY": lambda output, row: row["banned_by"],
        "REASON": lambda output, row: row["reason"],
    },
    "act": {
        "ID": lambda output, row: row["act_id"],
        "TIME": lambda output, row: output.time(row["performed_at_ms"]),
        "WHO": lambda output, row: row["actor"],
        "FROM": lambda output, row: row["address"],
        "ACTION": lambda output, row: row["action"],
        "TARGET": lambda output, row: row["target"] or row["target_id"] or "",
        "DETAILS": lambda output, row: row["details"],
    },
}


def _stats(fields: Row) -> Mapping[str, str]:
    running = fields["running"]
    return {
        "server": f"running for {lapse(fields['uptime_seconds'])}, process {fields['pid']}" if running else "stopped",
        "version": fields["version"],
        "sessions": str(fields["sessions"]),
        "accounts": str(fields["accounts"]),
        "channels": str(fields["channels"]),
        "messages": str(fields["messages"]),
        "bans": f"{fields['user_bans']} of users, {fields['ip_bans']} of addresses",
        "database": f"{fields['database']}, {size(fields['database_bytes'])}",
    }


_RESULTS: Final[Mapping[str, Callable[[Row], Mapping[str, str]]]] = {"stats": _stats}
