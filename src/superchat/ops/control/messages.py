"""What goes through the control socket: requests and answers as lines of JSON, each of bounded size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import attrs

LONGEST_REQUEST_BYTES: Final = 16_384
LONGEST_REPLY_BYTES: Final = 1_048_576
ROWS_PER_LINE: Final = 200
"""Rows have some hundred bytes, two of a thousand at most; encoding so many holds the reactor for a millisecond."""


class ErrorKind(StrEnum):
    """Why a request was not carried out."""

    USAGE = "usage"  # it makes no sense
    REFUSED = "refused"  # a rule says no
    FAILED = "failed"  # something broke
    WRONG_DATABASE = "wrong_database"  # it was meant for another server


class ControlError(Exception):
    """A request was not carried out; the text says why."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class Unreadable(Exception):
    """A line is none of ours; the text says why."""


@attrs.frozen
class Request:
    """What an operator wants done. *database* is the one the tool believes the server to have."""

    command: str
    arguments: Mapping[str, object] = attrs.field(factory=dict, repr=False)  # may hold what stands for a password
    database: str = ""


@attrs.frozen
class Answer:
    """What was done, in words and as named values; lists have *rows*."""

    text: str
    fields: Mapping[str, object] = attrs.field(factory=dict)
    rows: Sequence[Mapping[str, object]] = ()


def encode(value: object) -> bytes:
    """A value as one line, without its end."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def encoded_request(request: Request) -> bytes:
    """The line that asks for something. Raises `ControlError` when it would be too long."""
    line = encode(attrs.asdict(request))
    if len(line) > LONGEST_REQUEST_BYTES:
        raise ControlError(ErrorKind.USAGE, "the request is too long")
    return line


def decoded_request(line: bytes) -> Request:
    """What a line asks for. Raises `Unreadable`."""
    fields = _object(line)
    command, arguments, database = (fields.get(name) for name in ("command", "arguments", "database"))
    if not (isinstance(command, str) and isinstance(arguments, dict) and isinstance(database, str)):
        raise Unreadable("no request")
    return Request(command, arguments, database)


def encoded_rows(rows: Sequence[Mapping[str, object]]) -> bytes:
    """The line with a part of a list."""
    return encode({"rows": list(rows)})


def encoded_end(answer: Answer) -> bytes:
    """The line that ends an answer, its rows being sent."""
    return encode({"done": {"text": answer.text, "fields": dict(answer.fields)}})


def encoded_error(error: ControlError) -> bytes:
    """The line that is the answer when nothing was done."""
    return encode({"error": {"kind": error.kind, "text": error.text}})


def decoded_reply(line: bytes) -> Sequence[Mapping[str, Any]] | Answer:
    """What a line of an answer says: more rows, or its end. Raises `ControlError`, or `Unreadable`."""
    try:
        match _object(line):
            case {"rows": [*rows]}:
                return rows
            case {"done": {"text": str(text), "fields": dict(fields)}}:
                return Answer(text, fields)
            case {"error": {"kind": kind, "text": str(text)}}:
                raise ControlError(ErrorKind(kind), text)
    except ValueError:
        pass
    raise Unreadable("no answer")


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None
    if not isinstance(value, dict):
        raise Unreadable("no JSON object")
    return value
