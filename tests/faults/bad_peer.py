"""What all peers that mean no good have in common: a connection, and the next one once that has ended."""

from __future__ import annotations

import errno
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar, Final

import attrs

from superchat.loadtest.loop import READ, WRITE, Loop, now_us
from tests.faults.ways import Way

AGAIN_SECONDS: Final = 1.0
"""After this long a peer whose connection has ended comes back."""


@attrs.frozen
class Ground:
    """What all peers of the process have in common."""

    loop: Loop
    ports: Mapping[str, int]
    done: Counter[str]
    """What the peers did, and what became of them."""
    dice: random.Random


class BadPeer:
    """One connection, and the next one once that has ended. Subclasses say what is bad about it.

    It sends what `says` yields, `gives_bytes` at a time, and reads `takes_bytes` at a time (0: never); each as soon
    as it can or, where that is not 0, once in `gives_seconds` or `takes_seconds`.
    """

    ways: ClassVar[tuple[str, ...]] = ("tcp", "websocket")
    gives_bytes: ClassVar[int] = 16_384
    gives_seconds: ClassVar[float] = 0.0
    takes_bytes: ClassVar[int] = 65_536
    takes_seconds: ClassVar[float] = 0.0
    receive_buffer_bytes: ClassVar[int] = 0
    again_seconds: ClassVar[float] = AGAIN_SECONDS

    def __init__(self, ground: Ground, way: Way, source: str) -> None:
        self.ground = ground
        self.way = way
        self._source = source
        self._connection = 0
        self._is_over = False
        self._socket: socket.socket | None = None

    # For subclasses

    def says(self) -> Iterator[bytes]:
        """What it sends on one connection, after `Way.opening`; a million pieces are well possible."""
        return iter(())

    def has_said_all(self) -> None:
        """All was sent."""

    # Its life

    def begin(self) -> None:
        """Connect."""
        if self._is_over:
            return
        self._connection += 1
        self._pieces = chain([self.way.opening], self.says())
        self._unsent = b""
        self._has_said_all = False
        self._socket = connection = socket.socket()
        connection.setblocking(False)
        if self.receive_buffer_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer_bytes)
        connection.bind((self._source, 0))
        code = connection.connect_ex(("127.0.0.1", self.ground.ports[self.way.port]))
        if code not in (0, errno.EINPROGRESS):
            self.close("unreachable")
            return
        self.ground.loop.watch(connection, WRITE, self._connected)

    def end(self) -> None:
        """Vanish, and do not come back."""
        self._is_over = True
        if self._socket is not None:
            self.close("vanished")

    def close(self, outcome: str) -> None:
        """End the connection, and come back later."""
        assert self._socket is not None
        self.ground.done[outcome] += 1
        self.ground.loop.forget(self._socket)
        self._socket.close()
        self._socket = None
        if not self._is_over:
            self._later(self.again_seconds, self.begin)

    def reset(self) -> None:
        """End the connection with a reset."""
        assert self._socket is not None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close("reset")

    def say_no_more(self) -> None:
        """Close one half of the connection, and read on."""
        assert self._socket is not None
        self._socket.shutdown(socket.SHUT_WR)

    # The socket

    def _later(self, seconds: float, call: Any) -> None:
        self.ground.loop.at(now_us() + int(seconds * 1_000_000), call)

    def _connected(self, events: int) -> None:
        if self._socket is None:
            return  # ended by what happened in the same turn
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close("unreachable")
            return
        self.ground.done["connected"] += 1
        self._watch()
        for seconds, act in ((self.gives_seconds, self._give), (self.takes_seconds, self._take)):
            if seconds:
                self._every(self._connection, seconds, act)

    def _every(self, connection: int, seconds: float, act: Any) -> None:
        """Act now and then until this connection is over."""
        if self._socket is None or connection != self._connection:
            return
        self._guarded(act)
        # Not all in step: the server shall not get a volley of what is meant to trickle.
        self._later(seconds * self.ground.dice.uniform(0.5, 1.5), lambda: self._every(connection, seconds, act))

    def _watch(self) -> None:
        if self._socket is None:
            return
        reads = self.takes_bytes and not self.takes_seconds
        writes = not self._has_said_all and not self.gives_seconds
        events = (READ if reads else 0) | (WRITE if writes else 0)
        if events:
            self.ground.loop.watch(self._socket, events, self._happened)
        else:
            self.ground.loop.forget(self._socket)

    def _happened(self, events: int) -> None:
        if events & WRITE and self._socket is not None:
            self._guarded(self._give)
        if events & READ and self._socket is not None:
            self._guarded(self._take)

    def _guarded(self, act: Any) -> None:
        try:
            act()
        except BlockingIOError:
            pass
        except OSError:
            self.close("cut")

    def _give(self) -> None:
        assert self._socket is not None
        if self._has_said_all:
            return
        while len(self._unsent) < self.gives_bytes and (piece := next(self._pieces, None)) is not None:
            self._unsent += piece
            self.ground.done["pieces"] += 1
        if self._unsent:
            sent = self._socket.send(self._unsent[: self.gives_bytes])
            self._unsent = self._unsent[sent:]
            self.ground.done["sent_bytes"] += sent
        else:
            self._has_said_all = True
            self.has_said_all()
            self._watch()

    def _take(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(self.takes_bytes)
        self.ground.done["received_bytes"] += len(data)
        if not data:
            self.close("ended")
