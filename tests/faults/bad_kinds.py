"""All that peers do who mean no good."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Final

import lz4.block

from superchat.wire import messages as wire
from superchat.wire.frames import COMPRESSED, HEADER, LENGTH, MAX_LENGTH, MAX_PAYLOAD
from tests.faults.bad_peer import BadPeer
from tests.faults.ways import masked

CHANNEL: Final = 2
"""Where the others talk."""
ALL_CHANNELS: Final = range(1, 6)


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
