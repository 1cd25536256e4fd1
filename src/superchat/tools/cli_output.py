"""What the command line prints: for people, or as one JSON object per line."""

from __future__ import annotations

import base64
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from typing import Any, Final

import attrs

from superchat.tools.cli_text import Palette, clip, clock_time, decoded, pad, safe, safe_lines, width
from superchat.wire import messages as wire

WriteLine = Callable[[str], None]

NO_COLOUR: Final = Palette(False)


@attrs.frozen
class Channel:
    """A place to read or write in, as far as the server told."""

    channel_id: int
    label: str
    """Its name, with that of its parent if it is a subchannel; else its id."""
    is_forum: bool | None = None
    """Whether it has threads; None if unknown."""
    description: str = ""
    user_count: int | None = None
    """Subscribers; None for subchannels, of which no count is told."""
    retention_hours: int = 0


@attrs.frozen(kw_only=True)
class Shown:
    """What to say around a message."""

    channel: str | None = None
    """The channel's name, where it is not obvious."""
    number: int | None = None
    """A short number to reply to."""
    reply_to: str | None = None
    """A safe text that says to what it replies."""
    depth: int = 0
    """How far to indent it."""


PLAIN = Shown()


class Output(ABC):
    """Where results, notices and errors go. Results are on standard output, the rest on standard error."""

    @abstractmethod
    def message(self, entry: wire.MessageEntry, shown: Shown = PLAIN) -> None:
        """A message, new or from the past."""

    @abstractmethod
    def thread(self, entry: wire.MessageEntry) -> None:
        """A root message in a list of threads."""

    @abstractmethod
    def edited(self, event: wire.MessageEdited, number: int | None = None) -> None:
        """A message has another text now."""

    @abstractmethod
    def deleted(self, event: wire.MessageDeleted, number: int | None = None) -> None:
        """A message was deleted."""

    @abstractmethod
    def presence(self, event: wire.ChannelPresence) -> None:
        """Somebody entered or left."""

    @abstractmethod
    def posted(self, message_id: int) -> None:
        """One's own message is stored."""

    @abstractmethod
    def channels(self, channels: Sequence[Channel]) -> None:
        """A list of channels."""

    @abstractmethod
    def users(self, users: Iterable[wire.UserListEntry | wire.ChannelUserEntry]) -> None:
        """A list of people."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Something worth knowing that is no result."""

    @abstractmethod
    def error(self, kind: str, text: str, code: int | None = None) -> None:
        """Why it did not work; ``kind`` is one of those in docs/cli.md."""


class HumanOutput(Output):
    """Text for people. Whatever comes from the server is made safe for terminals."""

    def __init__(
        self,
        out: WriteLine,
        err: WriteLine,
        palette: Palette = NO_COLOUR,
        err_palette: Palette = NO_COLOUR,
        *,
        columns: Callable[[], int] = lambda: 80,
        now: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        self._out = out
        self._err = err
        self._palette = palette
        self._err_palette = err_palette
        self._columns = columns
        self._now = now
        self._zone = zone

    def message(self, entry: wire.MessageEntry, shown: Shown = PLAIN) -> None:
        paint = self._palette
        indent = "  " * shown.depth
        head = [paint.dim(self._time(entry.created_at))]
        if shown.number is not None:
            head.insert(0, paint.dim(f"[{shown.number}]"))
        if shown.channel is not None:
            head.append(paint.bold(f"#{safe(shown.channel)}"))
        head.append(self._author(entry, shown))
        first, *rest = safe_lines(decoded(entry.content))
        edited = paint.dim(" (edited)") if entry.edited_at is not None else ""
        self._out(f"{indent}{' '.join(head)} {first}{'' if rest else edited}")
        for line in rest:
            self._out(f"{indent}    {line}")
        if rest and edited:
            self._out(f"{indent}   {edited}")

    def thread(self, entry: wire.MessageEntry) -> None:
        paint = self._palette
        author = safe(entry.author_nickname)
        replies = f"{entry.reply_count} repl{'y' if entry.reply_count == 1 else 'ies'}"
        start = f"{entry.message_id}  {self._time(entry.created_at)}  {author}  {replies}  "
        first = clip(safe_lines(decoded(entry.content))[0], max(20, self._columns() - width(start)))
        head = f"{paint.bold(str(entry.message_id))}  {paint.dim(self._time(entry.created_at))}"
        self._out(f"{head}  {paint.name(author)}  {paint.dim(replies)}  {first}")

    def edited(self, event: wire.MessageEdited, number: int | None = None) -> None:
        self._change(event.message_id, number, "now reads", event.new_content or b"")

    def deleted(self, event: wire.MessageDeleted, number: int | None = None) -> None:
        self._change(event.message_id, number, "is gone:", event.message)

    def presence(self, event: wire.ChannelPresence) -> None:
        self._out(self._palette.dim(f"* {safe(event.nickname)} {'joined' if event.joined else 'left'}"))

    def posted(self, message_id: int) -> None:
        self._out(str(message_id))

    def channels(self, channels: Sequence[Channel]) -> None:
        ids = max((len(str(each.channel_id)) for each in channels), default=0)
        names = max((width(safe(each.label)) for each in channels), default=0) + 1
        for each in channels:
            kind = {True: "forum", False: "chat ", None: "?    "}[each.is_forum]
            users = "" if each.user_count is None else str(each.user_count)
            kept = f"{each.retention_hours} h" if each.retention_hours else "for ever"
            name = self._palette.bold(pad("#" + safe(each.label), names))
            facts = f"{each.channel_id:>{ids}}  {name}  {kind}  {users:>5}  {kept:>8}"
            self._out(f"{facts}  {safe(each.description)}".rstrip())

    def users(self, users: Iterable[wire.UserListEntry | wire.ChannelUserEntry]) -> None:
        for each in users:
            name = safe(each.nickname) or "(no name)"
            self._out(self._palette.name(name) if each.is_registered else f"{name} (anonymous)")

    def notice(self, text: str) -> None:
        self._err(self._err_palette.dim(f"* {safe(text)}"))

    def error(self, kind: str, text: str, code: int | None = None) -> None:
        self._err(self._err_palette.warning(f"superchat-cli: {safe(text)}"))

    def _time(self, timestamp_ms: int) -> str:
        return clock_time(timestamp_ms, self._now(), self._zone)

    def _author(self, entry: wire.MessageEntry, shown: Shown) -> str:
        if not entry.author_nickname:
            return "*"  # the server itself (wire 0x89)
        name = self._palette.name(safe(entry.author_nickname))
        to = "" if shown.reply_to is None else self._palette.dim(f" (to {shown.reply_to})")
        return f"{name}{to}:"

    def _change(self, message_id: int, number: int | None, what: str, content: bytes) -> None:
        name = f"[{number}]" if number is not None else f"message {message_id}"
        text = " ".join(safe_lines(decoded(content)))
        self._out(f"{self._palette.dim(f'* {name} {what}')} {text}")


class JsonOutput(Output):
    """One object per line, as docs/cli.md describes them.

    Ids are strings: they are larger than the integers that most readers of JSON keep exactly.
    """

    def __init__(self, out: WriteLine, err: WriteLine) -> None:
        self._out = out
        self._err = err

    def message(self, entry: wire.MessageEntry, shown: Shown = PLAIN) -> None:
        self._entry("message", entry, channel=shown.channel)

    def thread(self, entry: wire.MessageEntry) -> None:
        self._entry("thread", entry)

    def edited(self, event: wire.MessageEdited, number: int | None = None) -> None:
        content = _content(event.new_content or b"")
        self._result("edited", message_id=str(event.message_id), edited_at_ms=event.edited_at, **content)

    def deleted(self, event: wire.MessageDeleted, number: int | None = None) -> None:
        content = _content(event.message)
        self._result("deleted", message_id=str(event.message_id), deleted_at_ms=event.deleted_at, **content)

    def presence(self, event: wire.ChannelPresence) -> None:
        self._result(
            "presence",
            channel_id=str(event.channel_id),
            nickname=_text(event.nickname),
            registered=event.is_registered,
            user_id=_id(event.user_id),
            joined=event.joined,
        )

    def posted(self, message_id: int) -> None:
        self._result("posted", message_id=str(message_id))

    def channels(self, channels: Sequence[Channel]) -> None:
        for each in channels:
            self._result(
                "channel",
                channel_id=str(each.channel_id),
                name=_text(each.label),
                channel_type={True: "forum", False: "chat", None: None}[each.is_forum],
                description=_text(each.description),
                user_count=each.user_count,
                retention_hours=each.retention_hours,
            )

    def users(self, users: Iterable[wire.UserListEntry | wire.ChannelUserEntry]) -> None:
        for each in users:
            name = _text(each.nickname)
            self._result("user", nickname=name, registered=each.is_registered, user_id=_id(each.user_id))

    def notice(self, text: str) -> None:
        self._err(_line({"type": "notice", "message": _text(text)}))

    def error(self, kind: str, text: str, code: int | None = None) -> None:
        self._err(_line({"type": "error", "error": kind, "code": code, "message": _text(text)}))

    def _entry(self, kind: str, entry: wire.MessageEntry, **more: Any) -> None:
        self._result(
            kind,
            message_id=str(entry.message_id),
            channel_id=str(entry.channel_id),
            parent_id=_id(entry.parent_id),
            author=_text(entry.author_nickname),
            author_user_id=_id(entry.author_user_id),
            created_at_ms=entry.created_at,
            edited_at_ms=entry.edited_at,
            reply_count=entry.reply_count,
            **_content(entry.content),
            **more,
        )

    def _result(self, kind: str, **fields: Any) -> None:
        self._out(_line({"type": kind, **fields}))


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=True)


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


def _text(text: str) -> str:
    """JSON has no way to write bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _content(content: bytes) -> dict[str, str]:
    text = content.decode("utf-8", "replace")
    if text.encode() == content:
        return {"content": text}
    return {"content": text, "content_base64": base64.b64encode(content).decode("ascii")}
