"""Feeds a Connection in pieces and notes what comes out, so that two ways of feeding can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from superchat.wire.connection import Connection
from superchat.wire.errors import Broken, Malformed, Unsupported
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message

Outcome = Message | Unsupported | tuple[str, str]


def outcomes(pieces: Iterable[bytes], connection: Connection | None = None) -> list[Outcome]:
    """Everything the pieces give, in order; errors as values, because exceptions never equal each other."""
    connection = connection or Connection(BY_CODE)
    seen: list[Outcome] = []
    try:
        for piece in pieces:
            connection.receive_data(piece)
            seen.extend(events(connection))
        connection.receive_eof()
    except Broken as error:
        seen.append(("Broken", error.reason))
    return seen


def events(connection: Connection) -> Iterator[Outcome]:
    """The events that can be had without more bytes, one by one."""
    while (event := connection.next_event()) is not None:
        yield ("Malformed", str(event)) if isinstance(event, Malformed) else event


def bytewise(stream: bytes) -> list[bytes]:
    """The stream in pieces of one byte."""
    return [stream[at : at + 1] for at in range(len(stream))]


def split(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream cut at these offsets, in any order; those past its end give empty pieces."""
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]
