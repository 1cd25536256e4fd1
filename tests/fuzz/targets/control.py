"""The administration's socket: lines of JSON to a running chat, each answered once, or refused."""

# ruff: noqa: PT017  # what is wrong with an error is a failure, too

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, cast

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger

from superchat.chat.service import Chat
from superchat.config import Config, Limits, Server
from superchat.model import NewAccount, UserFlags
from superchat.ops.control.commands import Commands
from superchat.ops.control.messages import (
    LONGEST_REPLY_BYTES,
    LONGEST_REQUEST_BYTES,
    Answer,
    ControlError,
    Request,
    Unreadable,
    decoded_reply,
    decoded_request,
    encoded_request,
)
from superchat.ops.control.protocol import ControlFactory
from superchat.storage.memory import MemoryStorage
from tests.auth.quick import quick_passwords
from tests.fuzz.pipes import Pipe
from tests.fuzz.target import Target
from tests.fuzz.troubles import no_troubles

_DATABASE = Path("/srv/superchat.db")
_SECRET = "x" * 43
_IN_TIME_SECONDS = 60.0
_REQUESTS = (
    Request("account", {"nickname": "anna"}),
    Request("create-user", {"nickname": "newcomer", "secret": _SECRET, "role": "admin"}),
    Request("create-user", {"nickname": "newcomer", "secret": _SECRET, "role": None}),
    Request("grant", {"nickname": "anna", "role": "moderator"}),
    Request("revoke", {"nickname": "root", "role": "admin"}),
    Request("reset-password", {"user_id": 2, "nickname": "anna", "secret": _SECRET}),
    Request("users", {"limit": 100, "after": None}),
    Request("delete-user", {"nickname": "anna"}),
    Request("ban", {"user": "anna", "reason": "spam", "duration_seconds": 60, "shadow": True}),
    Request("ban", {"nickname": "somebody", "reason": "", "duration_seconds": None, "shadow": False}),
    Request("ban", {"ip_cidr": "198.51.100.0/24", "reason": "junk"}),
    Request("unban", {"ip_cidr": "198.51.100.7"}),
    Request("unban", {"nickname": "banned"}),
    Request("bans", {"limit": 10, "include_expired": True}),
    Request("audit", {"limit": 10, "before_id": 5}),
    Request("stats", {}, str(_DATABASE)),
    Request("note-backup", {"path": "/backup/superchat.db"}),
)


class Desk:
    """A chat with a few people, and the socket of its administration."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        storage = MemoryStorage()
        done(storage.open())
        config = Config(limits=Limits(message_rate_limit=0), server=Server(admin_users=("root",)))
        quiet = Logger(observer=cast(ILogObserver, lambda event: None))
        self.chat = Chat(config, storage, self.clock, self.now_ms, quiet, quick_passwords())
        for name, flags in (("root", UserFlags.ADMIN), ("anna", UserFlags.NONE)):
            done(storage.create_account(NewAccount(name, "stored", flags, self.now_ms())))
        done(Deferred.fromCoroutine(self.chat.start()))
        commands = Commands(self.chat, storage, self.clock, _DATABASE, is_server=True)
        self._factory = ControlFactory(commands, self.clock, lambda transport: None)

    def now_ms(self) -> int:
        """The date."""
        return int(self.clock.seconds() * 1000)

    def ask(self, pieces: Iterable[bytes]) -> tuple[bytes, bool]:
        """What a connection is answered, and whether it was closed by then; it ends in time in any case."""
        pipe = Pipe(self.clock, UNIXAddress(None))
        pipe.connect(self._factory.buildProtocol(None))
        for piece in pieces:
            pipe.arrive(piece)
            self.clock.advance(0)
        self.clock.pump([0.0] * 20)
        answered, is_closed = pipe.taken(), pipe.disconnecting
        self.clock.advance(_IN_TIME_SECONDS)
        assert pipe.is_over, "a connection that never ends"
        assert not self._factory.connections
        return answered, is_closed


class ControlTarget(Target):
    """`superchat.ops.control`: what a server answers, and how its answers are read."""

    name = "control"
    files = ("ops/control/",)
    longest_bytes = LONGEST_REQUEST_BYTES + 200
    words = (
        *(f'"{request.command}"'.encode() for request in _REQUESTS),
        *(f'"{name}":'.encode() for request in _REQUESTS for name in request.arguments),
        b'"command":',
        b'"arguments":',
        b'"database":',
        b'"anna"',
        b'"root"',
        b'"admin"',
        b'"::ffff:192.0.2.1/96"',
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"NaN",
        b"9" * 5_000,
        b"9223372036854775807",
        b"9223372036854775808",
        b'"\\u0000"',
        b'"\\ud800"',
        b'"' + b"a" * 300 + b'"',
        b"[" * 2_000,
        b"\n",
        b"\xff",
        b'{"done":{"text":"","fields":{}}}',
        b'{"error":{"kind":"usage","text":""}}',
        b'{"rows":[]}',
    )
    steps_at_least = 5_000
    steps_per_byte = 40

    def seeds(self) -> Iterable[bytes]:
        """Every command, good and with something missing."""
        for request in _REQUESTS:
            yield encoded_request(request) + b"\n"
            yield encoded_request(Request(request.command)) + b"\n"
        yield b'{"done":{"text":"ok","fields":{"a":1}}}\n'
        yield b'{"error":{"kind":"refused","text":"no"}}\n'
        yield b"{" * 5_000 + b"\n"

    def run(self, data: bytes) -> Hashable:
        """As a request, and as the lines of an answer."""
        with no_troubles():
            self._whole = Desk().ask([data])
        answered, is_closed = self._whole
        return _check_answer(data, answered, is_closed), *map(_read_reply, data.split(b"\n")[:3])

    def check(self, data: bytes, outcome: Hashable) -> None:
        """In two pieces it is answered the same, and what is no request was said to be none."""
        with no_troubles():
            cut = sum(data) % (len(data) + 1)
            assert Desk().ask([data[:cut], data[cut:]])[1] == self._whole[1]
        line, end, _ = data.partition(b"\n")
        if end and len(line) <= LONGEST_REQUEST_BYTES:
            try:
                request = decoded_request(line)
            except Unreadable:
                assert self._whole[0].startswith(b'{"error":{"kind":"usage"')
            else:
                assert decoded_request(json.dumps(_fields(request)).encode()) == request


def done(deferred: Deferred[Any]) -> Any:
    """What a Deferred has already. Raises what it failed with."""
    results: list[Any] = []
    errors: list[Any] = []
    deferred.addCallbacks(results.append, errors.append)
    for failure in errors:
        failure.raiseException()
    (result,) = results
    return result


def _check_answer(data: bytes, answered: bytes, is_closed: bool) -> Hashable:
    line, end, _ = data.partition(b"\n")
    if not end and len(line) <= LONGEST_REQUEST_BYTES:
        assert not answered
        return "waits"
    assert is_closed
    *rows, last = answered.removesuffix(b"\n").split(b"\n")
    assert all(len(row) <= LONGEST_REPLY_BYTES and isinstance(decoded_reply(row), list) for row in rows)
    try:
        answer = decoded_reply(last)
    except ControlError as error:
        assert "internal error" not in error.text
        return error.kind, "".join(letter for letter in error.text if letter.isalpha())[:40]
    assert isinstance(answer, Answer)
    return "done", bool(rows), answer.text[:4]


def _read_reply(line: bytes) -> Hashable:
    try:
        reply = decoded_reply(line)
    except (ControlError, Unreadable) as error:
        return type(error).__name__
    return type(reply).__name__


def _fields(request: Request) -> dict[str, object]:
    return {"command": request.command, "arguments": dict(request.arguments), "database": request.database}
