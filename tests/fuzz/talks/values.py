"""What to put into messages: what exists by now, what nearly exists, and what is just at the edge of a field."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from superchat.wire.fields import Codec, Data, Fixed, Integer, Key, Text, Wrapped
from superchat.wire.fields import Sequence as Many
from superchat.wire.messages import FROM_CLIENT, PostMessage
from superchat.wire.records import Message, Record
from tests.auth.quick import secret_of
from tests.fuzz.talks.stage import PASSWORD, PEOPLE

_KEPT = 40
_SIZES: Final = (0, 1, 2, 3, 20, 21, 39, 43, 50, 51, 100, 101, 255, 256, 500, 501, 511, 600)
_LARGE: Final = (4096, 4097, 8192, 65_000, 65_001, 65_535)
_KIND_OF: Final = {
    "channel_id": "channel",
    "subchannel_id": "channel",
    "from_channel_id": "channel",
    "parent_id": "message",
    "message_id": "message",
    "thread_id": "message",
    "before_id": "message",
    "after_id": "message",
    "root_id": "message",
    "user_id": "user",
    "other_user_id": "user",
    "from_user_id": "user",
    "session_id": "session",
    "dm_channel_id": "invite",
    "key_id": "key",
    "nickname": "name",
    "other_nickname": "name",
    "target_nickname": "name",
    "author_nickname": "name",
}
_NAMES: Final = (
    *(name for name, _ in PEOPLE),
    "Anna",
    "newcomer",
    "newcomer2",
    "x_y-z",
    "ab",
    "a" * 20,
    "a" * 21,
    "~anna",
    "",
)
_NETWORKS: Final = ("192.0.2.0/28", "198.51.100.7", "::ffff:192.0.2.9", "2001:db8::/32", "0.0.0.0/0", "nonsense", "")
_KEYS: Final = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdoq label",
    "ssh-rsa AAAA",
    "",
)
_X25519: Final = (bytes(32), bytes(31) + b"\x01", bytes(range(32)), b"\xff" * 32, b"\x01" + bytes(31))
_TEXTS: Final = ("", "a", "hello", "söme tëxt", "\u202e", "a\x00b", "line\nline", "\udcff", "日本語", "$root", "'; --")


class Values:
    """Learns from what is heard, and makes messages of it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._known: dict[str, deque[Any]] = {
            "channel": deque((1, 2, 3, 4), maxlen=_KEPT),
            "user": deque((1, 2, 3, 4), maxlen=_KEPT),
            "name": deque(_NAMES, maxlen=_KEPT),
        }
        self._posts = 0

    def learn(self, record: Record) -> None:
        """Take note of every id and name in a message."""
        for name in record.FIELDS:
            value = getattr(record, name)
            if isinstance(value, tuple):
                for each in value:
                    self.learn(each)
            kind = _KIND_OF.get(name)
            if kind is not None and value is not None:
                known = self._known.setdefault(kind, deque(maxlen=_KEPT))
                if value not in known:
                    known.append(value)

    def message(self, kind: type[Message] | None = None) -> Message:
        """Any message of a client's, posts more often than others."""
        if kind is None:
            kinds = [*FROM_CLIENT.values()]
            kind = PostMessage if self._rng.random() < 0.3 else self._rng.choice(kinds)
        made: Message = self._record(kind)
        return made

    def secret(self, name: str) -> str:
        """What a client sends for somebody's password."""
        return secret_of(name, PASSWORD)

    def _record(self, kind: type[Any]) -> Any:
        made: dict[str, Any] = {}
        for name, codec in kind.FIELDS.items():
            if codec.when != "always" and not eval(codec.when, {}, made):  # as the declaration has it
                made[name] = codec.default
            else:
                made[name] = self._value(kind, name, codec, made)
        return kind(**made)

    def _value(self, kind: type[Any], name: str, codec: Codec, made: dict[str, Any]) -> Any:
        rng = self._rng
        if isinstance(codec, Wrapped) and codec.when == "always" and rng.random() < 0.6:
            return codec.default
        core = codec.core
        match core:
            case Integer():
                return self._number(name, core)
            case Key():
                return rng.choice((*_X25519, rng.randbytes(core.size)))
            case Fixed():
                return rng.random() < 0.5
            case Text():
                return self._text(kind, name, made)
            case Data():
                return self._content()
            case Many():
                number = rng.choice((0, 1, 1, 2, 3, 3, 20)) if rng.random() < 0.98 else rng.choice((499, 500, 501))
                return tuple(self._record(core.of) for _ in range(number))
        raise NotImplementedError(core)

    def _number(self, name: str, codec: Integer) -> int:
        rng = self._rng
        known: Sequence[int] = self._known.get(self._kind(name), ())
        if known and rng.random() < 0.8:
            number = rng.choice(known)
            return self._within(number + rng.choice((0, 0, 0, 0, 0, 0, 1, -1)), codec)
        if codec.maximum < 1 << 17 and rng.random() < 0.7:
            return rng.choice((0, 1, 1, 2, 3))
        edge = rng.choice((0, 1, 24, 168, 1000, 8760, 1 << 31, 1 << 32, 1 << 53, 1 << 63, codec.maximum, codec.minimum))
        return self._within(edge + rng.choice((0, 0, -1, 1)), codec)

    def _kind(self, name: str) -> str:
        """A target may be of several kinds, and people mix ids up."""
        if name == "target_id":
            return self._rng.choice(("user", "session"))
        if self._rng.random() < 0.05:
            return self._rng.choice([kind for kind in self._known if kind != "name"])
        return _KIND_OF.get(name, "")

    def _within(self, number: int, codec: Integer) -> int:
        return min(max(number, codec.minimum), codec.maximum)

    def _text(self, kind: type[Any], name: str, made: dict[str, Any]) -> str:
        rng = self._rng
        if "password" in name and rng.random() < 0.9:
            who = made.get("nickname") or rng.choice(_NAMES)
            return self.secret(who)
        if name == "public_key" and rng.random() < 0.9:
            return rng.choice(_KEYS)
        if name == "ip_cidr" and rng.random() < 0.9:
            return rng.choice(_NETWORKS)
        if name in _KIND_OF and rng.random() < 0.85:
            return str(rng.choice(self._known["name"]))
        if name in ("name", "display_name") and rng.random() < 0.7:
            return f"room-{rng.randrange(30)}"
        return self._some_text()

    def _some_text(self) -> str:
        rng = self._rng
        if rng.random() < 0.7:
            return rng.choice(_TEXTS)
        size = rng.choice(_SIZES if rng.random() < 0.97 else _LARGE)
        return rng.choice(("a", "é", "\udc80"))[:1] * size if rng.random() < 0.8 else rng.choice(_TEXTS) * 3

    def _content(self) -> bytes:
        """Different for every post, so that it can be told whose answer is whose."""
        rng = self._rng
        if rng.random() < 0.08:
            return rng.choice((b"", b"\xff\xfe", b"\x00\x01", b"\n", b"a\x07b"))
        self._posts += 1
        content = b"post %d " % self._posts
        size = rng.choice(_SIZES if rng.random() < 0.98 else _LARGE)
        return (
            (content + rng.choice((b"x", b"hello ", "ü".encode())) * (size // 4))[:65_535]
            .decode(errors="ignore")
            .encode()
        )
