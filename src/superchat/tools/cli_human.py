"""Prints for people. Whatever comes from the server is made safe for terminals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from typing import Final

from superchat.tools.cli_output import PLAIN, Account, Channel, Encryption, Output, Shown, WriteLine
from superchat.tools.cli_text import Palette, clip, clock_time, decoded, pad, safe, safe_lines, width
from superchat.wire import messages as wire

NO_COLOUR: Final = Palette(False)
ENCRYPTION: Final = {0: "impossible", 1: "required", 2: "optional"}
"""Values of dm_encryption_status (wire 5)."""
BROKEN: Final = "(cannot be decrypted)"


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
            place = f"private with {shown.channel}" if shown.is_private else f"#{shown.channel}"
            head.append(paint.bold(safe(place)))
        head.append(self._author(entry, shown))
        if shown.encryption is Encryption.CLEAR:
            head.append(paint.warning("(not encrypted)"))
        broken = shown.encryption is Encryption.BROKEN
        first, *rest = [BROKEN] if broken else safe_lines(decoded(entry.content))
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

    def account(self, account: Account) -> None:
        role = " (admin)" if account.is_admin else " (moderator)" if account.is_moderator else ""
        self._out(f"{safe(account.message)}{role}")

    def created(self, channel: Channel, text: str) -> None:
        self._out(str(channel.channel_id))

    def done(self, text: str) -> None:
        self._out(safe(text))

    def banned(self, ban_id: int, text: str) -> None:
        self._out(f"{safe(text)} (ban {ban_id})")

    def bans(self, bans: Sequence[wire.BanEntry]) -> None:
        for each in bans:
            whom = each.ip_cidr or each.nickname or f"account {each.user_id}"
            until = "for ever" if each.banned_until is None else f"until {self._time(each.banned_until)}"
            kind = "  shadow" if each.shadowban else ""
            self._out(
                f"{each.ban_id}  {self._palette.bold(safe(whom))}  {until}  by {safe(each.banned_by)}{kind}"
                f"  {safe(each.reason)}".rstrip()
            )

    def unread(self, counts: Sequence[tuple[Channel, int]]) -> None:
        for channel, number in counts:
            line = f"{number:>6}  #{safe(channel.label)}"
            self._out(self._palette.bold(line) if number else line)

    def request(self, request: wire.DMRequest) -> None:
        encryption = ENCRYPTION.get(request.encryption_status, "unknown")
        name = self._palette.name(safe(request.from_nickname))
        self._out(f"{request.dm_channel_id}  {name}  encryption {encryption}")

    def conversation(self, ready: wire.DMReady, key: str | None) -> None:
        with_whom = f"private conversation {ready.channel_id} with {ready.other_nickname}"
        if key is None:
            self._err(self._err_palette.warning(f"* {safe(with_whom)}, NOT encrypted: the server can read it"))
        else:
            self.notice(f"{with_whom}, encrypted; the other's key is {key}")

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
