"""Very many clients in one process, which read whatever they are sent and keep none of it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence

from superchat.wire import frames
from superchat.wire.records import Message

ADDRESSES = 200
"""So many source addresses of the loopback network: one has too few ports for the largest crowds."""
WAITING = 1000
"""Connections that are made before their greeting is there; fewer than the kernel lets wait for `accept`."""
PATIENCE_SECONDS = 120.0
_BUFFER_BYTES = 1 << 18


class Crowd:
    """Clients by number, from 0, of a server on the loopback interface."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._poll = select.epoll()
        self._sockets: list[socket.socket] = []
        self._numbers: dict[int, int] = {}
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._awaited: dict[int, bytes] = {}
        self._rest: dict[int, bytes] = {}
        self.bytes_read = 0

    def __len__(self) -> int:
        return len(self._sockets)

    def connect(self, number: int, greeting: bytes) -> float:
        """Open so many connections more, and wait for each one's greeting; the seconds until the last was there."""
        start = time.monotonic()
        for _ in range(number):
            self._awaited[len(self)] = greeting
            self._open()
            while len(self._awaited) >= WAITING:
                self.read(1.0)
        self._wait_for_all()
        return time.monotonic() - start

    def ask(
        self, request: Callable[[int], Message], answer: Callable[[int], Message], numbers: Sequence[int] | None = None
    ) -> float:
        """Let everybody, or those, send a request at once; the seconds until everybody has the whole of its answer.

        An answer that is known beforehand is found among all else without taking that apart.
        """
        numbers = range(len(self)) if numbers is None else numbers
        self._awaited = {number: frames.encode(answer(number)) for number in numbers}
        start = time.monotonic()
        for number in numbers:
            self.send(number, frames.encode(request(number)))
            if number % WAITING == 0:
                self.read(0)
        self._wait_for_all()
        return time.monotonic() - start

    def send(self, number: int, data: bytes) -> None:
        """Let one client send bytes."""
        self._sockets[number].sendall(data)

    def read_until_quiet(self, seconds: float) -> None:
        """Read until nothing has come for so many seconds."""
        while self.read(seconds):
            pass

    def read(self, seconds: float) -> bool:
        """Wait so long for anything, and read it; whether something came."""
        events = self._poll.poll(seconds)
        for descriptor, _ in events:
            number = self._numbers[descriptor]
            rest = self._rest.pop(number, b"")
            self._buffer[: len(rest)] = rest
            size = self._sockets[number].recv_into(self._buffer[len(rest) :])
            if not size:
                raise SystemExit("the server has closed a connection")
            self.bytes_read += size
            awaited = self._awaited.get(number)
            if awaited is not None:
                self._look_for(number, awaited, len(rest) + size)
        return bool(events)

    def close(self) -> None:
        """Hang up."""
        for connection in self._sockets:
            connection.close()
        self._poll.close()

    def _open(self) -> None:
        connection = socket.socket()
        connection.bind((f"127.0.1.{1 + len(self) % ADDRESSES}", 0))
        connection.connect(("127.0.0.1", self._port))
        connection.setblocking(False)
        self._numbers[connection.fileno()] = len(self)
        self._sockets.append(connection)
        self._poll.register(connection, select.EPOLLIN)

    def _wait_for_all(self) -> None:
        patience_ends = time.monotonic() + PATIENCE_SECONDS
        while self._awaited:
            self.read(1.0)
            if time.monotonic() > patience_ends:
                raise SystemExit(f"{len(self._awaited)} of {len(self)} have no answer")

    def _look_for(self, number: int, awaited: bytes, end: int) -> None:
        data = bytes(self._buffer[:end])
        if awaited in data:
            del self._awaited[number]
        else:
            self._rest[number] = data[-len(awaited) + 1 :]
