"""Peers that mean no good, all in one process of their own: ``python -m tests.faults.bad_peers PORTS``

PORTS is a JSON object with the server's ports: tcp, http, metrics. Each line of standard input is a JSON value: a list
of `Order`s lets peers loose, an empty one ends them all. Each is answered with a line: what the peers did so far.

The process has the lowest priority and bounded rates, so that whoever suffers, suffers by the server.
"""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Any, ClassVar, Final

import attrs
import lz4.block

from superchat.loadtest.loop import READ, WRITE, Loop, now_us
from superchat.wire import messages as wire
from superchat.wire.frames import COMPRESSED, HEADER, LENGTH, MAX_LENGTH, MAX_PAYLOAD
from tests.faults.ways import WAYS, Way, masked

CHANNEL: Final = 2
"""Where the others talk."""
ALL_CHANNELS: Final = range(1, 6)
AGAIN_SECONDS: Final = 1.0
"""After this long a peer whose connection has ended comes back."""


@attrs.frozen
class Order:
    """Let `peers` of one kind loose, from the address `source`."""

    kind: str
    way: str
    peers: int
    source: str


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


class Stuck(BadPeer):
    """Subscribes to where the others talk, and never reads."""

    takes_bytes = 0

    def says(self) -> Iterator[bytes]:
        yield self.way.says(wire.SubscribeChannel(channel_id=CHANNEL))


class Sipping(Stuck):
    """Subscribes, and reads a byte a second."""

    takes_bytes = 1
    takes_seconds = 1.0


class Straw(Stuck):
    """Subscribes, and reads all the time, but a little at once, with the smallest of buffers."""

    takes_bytes = 64
    takes_seconds = 0.02
    receive_buffer_bytes = 2048


class Dribble(BadPeer):
    """Sends what is right, byte by byte."""

    ways = ("tcp", "websocket", "http", "metrics")
    gives_bytes = 1
    gives_seconds = 0.01

    def says(self) -> Iterator[bytes]:
        return repeat(self.way.sample)


class Half(BadPeer):
    """Sends a half, and then nothing."""

    ways = ("tcp", "websocket", "http", "metrics")

    def says(self) -> Iterator[bytes]:
        yield self.way.sample[: len(self.way.sample) // 2]


class Announced(BadPeer):
    """Announces a megabyte, which then comes byte by byte."""

    gives_bytes = 1
    gives_seconds = 0.01

    def says(self) -> Iterator[bytes]:
        head = HEADER.pack(MAX_LENGTH, 1, wire.PostMessage.CODE, 0)
        # A WebSocket announces it a second time. More than the beginning is never sent.
        yield self.way.wrap(head + bytes(MAX_LENGTH + LENGTH.size - len(head)))[:65_536]


class Silent(BadPeer):
    """Says nothing at all."""

    ways = ("tcp", "websocket", "http", "metrics")


class Tiny(BadPeer):
    """Sends a million tiny frames, and reads the answers."""

    def says(self) -> Iterator[bytes]:
        return repeat(self.way.sample, 1_000_000)


class Deaf(Tiny):
    """Sends a million tiny frames, and never reads the answers."""

    takes_bytes = 0


class Unreadable(BadPeer):
    """Sends a million frames that are whole, and no messages."""

    def says(self) -> Iterator[bytes]:
        nonsense = [HEADER.pack(3, 1, code, 0) for code in (wire.PostMessage.CODE, wire.StartDM.CODE, 0xFE, 0x00)]
        return repeat(b"".join(map(self.way.wrap, nonsense)), 250_000)


class Controls(BadPeer):
    """Sends WebSocket frames that carry nothing: pings, pongs, and empty parts of a message that never ends."""

    ways = ("websocket",)

    def says(self) -> Iterator[bytes]:
        yield masked(b"", 0x02)
        yield from repeat(masked(b"", 0x89) + masked(b"", 0x8A) + masked(b"", 0x00), 333_333)


class Churn(BadPeer):
    """Connects and closes at once, 25 times a second."""

    ways = ("tcp", "websocket", "http", "metrics")
    again_seconds = 0.04

    def has_said_all(self) -> None:
        self.close("left")


class Resetting(BadPeer):
    """Subscribes, and breaks the connection off with a reset, in the midst of a frame."""

    again_seconds = 0.1

    def says(self) -> Iterator[bytes]:
        yield self.way.says(wire.SubscribeChannel(channel_id=CHANNEL))
        yield self.way.sample[:7]

    def has_said_all(self) -> None:
        self.reset()


class HalfClosed(BadPeer):
    """Asks for something, closes its half of the connection, and reads on."""

    ways = ("tcp", "websocket", "http", "metrics")
    again_seconds = 0.1

    def says(self) -> Iterator[bytes]:
        return repeat(self.way.sample, 10)

    def has_said_all(self) -> None:
        self.say_no_more()


class Garbage(BadPeer):
    """Sends random bytes, again and again."""

    ways = ("tcp", "websocket", "http", "metrics")
    again_seconds = 0.1

    def says(self) -> Iterator[bytes]:
        yield self.ground.dice.randbytes(4096)


class Greedy(BadPeer):
    """Asks for what is dearest, again and again, and never reads the answers."""

    takes_bytes = 0

    def says(self) -> Iterator[bytes]:
        yield self.way.says(*(wire.SubscribeChannel(channel_id=number) for number in ALL_CHANNELS))
        everything = tuple(wire.UnreadTarget(channel_id=CHANNEL) for _ in range(500))
        dear = self.way.says(
            wire.ListMessages(channel_id=CHANNEL, limit=200),
            wire.ListChannels(from_channel_id=0, limit=0),
            wire.GetUnreadCounts(since_timestamp=0, targets=everything),
            wire.ListUsers(limit=0),
        )
        yield from repeat(dear, 250_000)


class Hungry(Greedy):
    """Asks for what is dearest, again and again, and reads the answers."""

    takes_bytes = 262_144


class Bombs(BadPeer):
    """Sends frames of 4 KiB that are a megabyte once they are decompressed."""

    def says(self) -> Iterator[bytes]:
        packed = struct.pack(">I", MAX_PAYLOAD) + lz4.block.compress(bytes(MAX_PAYLOAD), store_size=False)
        return repeat(self.way.wrap(HEADER.pack(3 + len(packed), 1, wire.Ping.CODE, COMPRESSED) + packed), 10_000)


class Scrapes(BadPeer):
    """Asks for the metrics as often as it can, and reads the answer byte by byte."""

    ways = ("metrics",)
    takes_bytes = 1
    takes_seconds = 0.01
    again_seconds = 0.1

    def says(self) -> Iterator[bytes]:
        yield self.way.sample


class Gorging(Scrapes):
    """Asks for the metrics as often as it can, and reads them at once."""

    takes_bytes = 262_144
    takes_seconds = 0.0
    again_seconds = 0.01


KINDS: Final[Mapping[str, type[BadPeer]]] = {
    kind.__name__.lower(): kind
    for kind in (
        Stuck,
        Sipping,
        Straw,
        Dribble,
        Half,
        Announced,
        Silent,
        Tiny,
        Deaf,
        Unreadable,
        Controls,
        Churn,
        Resetting,
        HalfClosed,
        Garbage,
        Greedy,
        Hungry,
        Bombs,
        Scrapes,
        Gorging,
    )
}


class Crowd:
    """All bad peers there are at the moment, and the line to whoever ordered them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._peers: list[BadPeer] = []
        self._received = b""

    def listen(self) -> None:
        """Take orders until their source is closed."""
        self._ground.loop.watch(sys.stdin.fileno(), READ, self._ordered)

    def _ordered(self, events: int) -> None:
        data = os.read(sys.stdin.fileno(), 65_536)
        if not data:
            self._ground.loop.stop()
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._obey([Order(**order) for order in json.loads(line)])
            print(json.dumps(self._ground.done), flush=True)

    def _obey(self, orders: list[Order]) -> None:
        if not orders:
            for peer in self._peers:
                peer.end()
            self._peers = []
        for order in orders:
            kind, way = KINDS[order.kind], WAYS[order.way]
            peers = [kind(self._ground, way, order.source) for _ in range(order.peers)]
            self._peers += peers
            for peer in peers:
                peer.begin()


def main(ports: str, seed: str) -> None:
    """Do as told."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    ground = Ground(Loop(), json.loads(ports), Counter(), random.Random(int(seed)))
    Crowd(ground).listen()
    ground.loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
