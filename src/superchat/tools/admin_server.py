"""Asks a running server, through its control socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import attrs

from superchat.ops.control.addresses import SOCKET, Whereabouts, address_of
from superchat.ops.control.messages import (
    LONGEST_REPLY_BYTES,
    Answer,
    Request,
    Unreadable,
    decoded_reply,
    encoded_request,
)

T = TypeVar("T")

ANSWER_SECONDS: Final = 120.0
"""How long an answer may take; everything takes far less, but for a server that is very busy."""


class NoServer(Exception):
    """Nobody answers; the text says where and why."""


class NotListening(NoServer):
    """Nobody listens, so nothing was asked."""


@attrs.frozen
class Server:
    """A server with *database* that listens on *path*."""

    path: Path
    database: Path

    async def ask(self, command: str, **arguments: object) -> Answer:
        """Have something done. Raises `NoServer`, and `ControlError` when the server says no."""
        line = encoded_request(Request(command, arguments, str(self.database.resolve())))
        with self._connected() as connection:
            try:
                connection.sendall(line + b"\n")
                with connection.makefile("rb") as replies:
                    return _answer(replies)
            except Unreadable:
                raise NoServer(f"{self.path}: what answers is no SuperChat server of this release") from None
            except OSError as error:
                raise NoServer(f"{self.path}: {error.strerror or error}") from None

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_SECONDS)
        try:
            with address_of(self.path) as address:
                connection.connect(address)
        except OSError as error:
            connection.close()
            if isinstance(error, ConnectionRefusedError | FileNotFoundError):
                raise NotListening(f"{self.path}: no server listens there") from None
            why = error.strerror or error
            if isinstance(error, PermissionError):
                why = "only the user that the server runs as, and root, may administer it"
            raise NoServer(f"{self.path}: {why}") from None
        return connection


def find(database: Path, data_directory: Path, note: str) -> Server:
    """Where the server of a database would be: where the note in its lock says, else in the data directory."""
    found = Whereabouts.read(note)
    return Server(data_directory / SOCKET if found is None else found.socket, database)


def run(action: Callable[..., Coroutine[Any, Any, T]], server: Server) -> T:
    """Run a coroutine that waits for nothing but `Server.ask`, which blocks."""
    coroutine = action(server.ask)
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something else")


def _answer(replies: IO[bytes]) -> Answer:
    rows: list[Any] = []
    while line := replies.readline(LONGEST_REPLY_BYTES):
        reply = decoded_reply(line)
        if isinstance(reply, Answer):
            return attrs.evolve(reply, rows=rows)
        rows += reply
    raise ConnectionError("the connection was closed before the answer was complete")
