"""Where a bad peer comes in, and what a well-behaved one would say there."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.records import Message

HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SCRAPE: Final = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %b\r\n\r\n" % (b"x" * 200)


@attrs.frozen
class Way:
    """One of the server's ports, by name, and how to talk there.

    A connection begins with `opening`. `sample` is a whole request, which may be repeated where the protocol has
    more than one. `wrap` makes what is sent of any number of whole protocol frames.
    """

    port: str
    sample: bytes
    opening: bytes = b""
    wrap: Callable[[bytes], bytes] = bytes

    def says(self, *messages: Message) -> bytes:
        """What a client of version 1, which gets nothing compressed, sends to say this."""
        return self.wrap(b"".join(frames.encode(message, version=1) for message in messages))


def masked(payload: bytes, first: int = 0x82) -> bytes:
    """A client's WebSocket frame with a mask of zeros; a binary message unless *first* says otherwise."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


PING: Final = frames.encode(wire.Ping(timestamp=1), version=1)

WAYS: Final[Mapping[str, Way]] = {
    "tcp": Way("tcp", PING),
    "websocket": Way("http", masked(PING), HANDSHAKE, masked),
    "http": Way("http", HANDSHAKE),
    "metrics": Way("metrics", SCRAPE),
}
