"""Prints for programs: one JSON object per line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from superchat.tools.cli_human import ENCRYPTION
from superchat.tools.cli_output import PLAIN, Account, Channel, Output, Shown, WriteLine
from superchat.wire import messages as wire


class JsonOutput(Output):
    """One object per line, as docs/cli.md describes them.

    Ids are strings: they are larger than the integers that most readers of JSON keep exactly.
    """

    def __init__(self, out: WriteLine, err: WriteLine) -> None:
        self._out = out
        self._err = err

    def message(self, entry: wire.MessageEntry, shown: Shown = PLAIN) -> None:
        encryption = None if shown.encryption is None else shown.encryption.value
        self._entry("message", entry, channel=shown.channel, encryption=encryption)

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
            self._result("channel", **_channel(each), user_count=each.user_count)

    def users(self, users: Iterable[wire.UserListEntry | wire.ChannelUserEntry]) -> None:
        for each in users:
            name = _text(each.nickname)
            self._result("user", nickname=name, registered=each.is_registered, user_id=_id(each.user_id))

    def account(self, account: Account) -> None:
        self._result(
            "account",
            nickname=_text(account.nickname),
            user_id=str(account.user_id),
            admin=account.is_admin,
            moderator=account.is_moderator,
            message=_text(account.message),
        )

    def created(self, channel: Channel, text: str) -> None:
        self._result("created", **_channel(channel), message=_text(text))

    def done(self, text: str) -> None:
        self._result("done", message=_text(text))

    def banned(self, ban_id: int, text: str) -> None:
        self._result("banned", ban_id=str(ban_id), message=_text(text))

    def bans(self, bans: Sequence[wire.BanEntry]) -> None:
        for each in bans:
            self._result(
                "ban",
                ban_id=str(each.ban_id),
                ban_type=_text(each.ban_type),
                user_id=_id(each.user_id),
                nickname=_optional(each.nickname),
                ip_cidr=_optional(each.ip_cidr),
                reason=_text(each.reason),
                shadow=each.shadowban,
                banned_at_ms=each.banned_at,
                banned_until_ms=each.banned_until,
                banned_by=_text(each.banned_by),
            )

    def unread(self, counts: Sequence[tuple[Channel, int]]) -> None:
        for channel, number in counts:
            name = _text(channel.label)
            self._result("unread", channel_id=str(channel.channel_id), name=name, unread_count=number)

    def request(self, request: wire.DMRequest) -> None:
        self._result(
            "request",
            invite_id=str(request.dm_channel_id),
            nickname=_text(request.from_nickname),
            user_id=_id(request.from_user_id),
            encryption=ENCRYPTION.get(request.encryption_status),
        )

    def conversation(self, ready: wire.DMReady, key: str | None) -> None:
        self._result(
            "conversation",
            channel_id=str(ready.channel_id),
            nickname=_text(ready.other_nickname),
            user_id=_id(ready.other_user_id),
            encrypted=ready.is_encrypted,
            key=key,
        )

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


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "channel_id": str(channel.channel_id),
        "name": _text(channel.label),
        "channel_type": {True: "forum", False: "chat", None: None}[channel.is_forum],
        "description": _text(channel.description),
        "retention_hours": channel.retention_hours,
    }


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=True)


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


def _text(text: str) -> str:
    """JSON has no way to write bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _optional(text: str | None) -> str | None:
    return None if text is None else _text(text)


def _content(content: bytes) -> dict[str, str]:
    text = content.decode("utf-8", "replace")
    if text.encode() == content:
        return {"content": text}
    return {"content": text, "content_base64": base64.b64encode(content).decode("ascii")}
