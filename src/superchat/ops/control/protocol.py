"""The server's side of the control socket: one request a connection, few connections, no line without bounds."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from superchat.ops.control.commands import Commands, operator
from superchat.ops.control.messages import (
    LONGEST_REQUEST_BYTES,
    ROWS_PER_LINE,
    Answer,
    ControlError,
    ErrorKind,
    Unreadable,
    decoded_request,
    encoded_end,
    encoded_error,
    encoded_rows,
)

T = TypeVar("T")

MOST_CONNECTIONS: Final = 8
REQUEST_SECONDS: Final = 10.0
"""How long a request may take to arrive, and then its answer to be read."""

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid; see unix(7)

PeerOf = Callable[[Any], int | None]
"""The user id of the process at the other end of a transport, if the system tells."""


def peer_uid(transport: Any) -> int | None:
    """Whose process is at the other end of a Unix socket, as the kernel saw it connect."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    connection: socket.socket = transport.getHandle()
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)


class ControlProtocol(LineOnlyReceiver):
    """One connection: reads one request, answers it, and closes."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_REQUEST_BYTES
    _log = Logger()

    def __init__(self, commands: Commands, clock: IReactorTime, peer_of: PeerOf) -> None:
        self._commands = commands
        self._clock = clock
        self._peer_of = peer_of
        self._asked = False
        self._gone = False
        self._deadline: IDelayedCall | None = None
        self._who = ""
        self.factory: ControlFactory
        self.transport: Any

    def connectionMade(self) -> None:
        """Only the server's own user and the superuser may ask, whatever became of the socket's mode."""
        self._wait()
        self.factory.connections.add(self)
        uid = self._peer_of(self.transport)
        if uid not in (None, 0, os.geteuid()):
            self._log.warn("refused control connection from uid {uid}", uid=uid)
            self._refuse(ErrorKind.REFUSED, "only the user that the server runs as, and root, may do that")
        elif len(self.factory.connections) > MOST_CONNECTIONS:
            self._refuse(ErrorKind.FAILED, "too many control connections; try again")
        self._who = "operator" if uid is None else operator(uid)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """What was asked for is done all the same."""
        self._gone = True
        self.factory.connections.discard(self)
        self._stop_waiting()

    def dataReceived(self, data: bytes) -> None:
        """What comes behind the request is dropped, not kept."""
        if not self._asked:
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Answer the first line."""
        if self._asked:
            return
        self._asked = True
        self._stop_waiting()
        answering = Deferred.fromCoroutine(self._answer(line))
        answering.addErrback(self._broken)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Say so, and close."""
        if not self._asked:
            self._refuse(ErrorKind.USAGE, "the request is too long")

    async def _answer(self, line: bytes) -> None:
        try:
            answer = await self._commands.perform(self._who, decoded_request(line))
        except Unreadable as unreadable:
            self._refuse(ErrorKind.USAGE, str(unreadable))
        except ControlError as error:
            self._refuse(error.kind, error.text)
        else:
            await self._send(answer)

    async def _send(self, answer: Answer) -> None:
        """Send a list in parts, a turn of the reactor for each: clients of the chat come between."""
        self._wait()
        for rows in _parts(answer.rows, ROWS_PER_LINE):
            if self._gone:
                return
            self.sendLine(encoded_rows(rows))
            await deferLater(self._clock, 0)
        self._close(encoded_end(answer))

    def _refuse(self, kind: ErrorKind, text: str) -> None:
        self._asked = True
        self._close(encoded_error(ControlError(kind, text)))

    def _close(self, line: bytes) -> None:
        if self._gone:
            return
        if self._deadline is None:
            self._wait()
        self.sendLine(line)
        self.transport.loseConnection()

    def _broken(self, failure: Failure) -> None:
        self._log.failure("a control request failed", failure)
        self._refuse(ErrorKind.FAILED, "internal error; the server's log has the details")

    def _wait(self) -> None:
        if not self._gone:
            self._deadline = self._clock.callLater(REQUEST_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _give_up(self) -> None:
        self.transport.abortConnection()


class ControlFactory(Factory):
    """Makes the protocols, and knows the connections there are."""

    noisy = False

    def __init__(self, commands: Commands, clock: IReactorTime, peer_of: PeerOf = peer_uid) -> None:
        self.connections: set[ControlProtocol] = set()
        self._commands = commands
        self._clock = clock
        self._peer_of = peer_of

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:  # type: ignore[override]  # of any factory
        protocol = ControlProtocol(self._commands, self._clock, self._peer_of)
        protocol.factory = self
        return protocol


def _parts(rows: Sequence[T], size: int) -> Iterable[list[T]]:
    iterator = iter(rows)
    return iter(lambda: [*islice(iterator, size)], [])
