"""WebSocket frames: read as RFC 6455 says, whatever they are cut into, or the connection is closed for a reason."""

from __future__ import annotations

import random
import struct
from collections.abc import Hashable, Iterable, Iterator
from itertools import pairwise

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request
from wsproto.frame_protocol import CloseReason

from superchat.net.websocket_frames import as_messages
from tests.fuzz.pipes import Pipe
from tests.fuzz.target import Target
from tests.fuzz.troubles import no_troubles
from tests.net.websocket_peer import RecorderFactory, client_frame, site_for

_PEER = IPv4Address("TCP", "192.0.2.7", 40_000)
_MOST_MESSAGE_BYTES = 2_000
"""Less than the real limit, so that inputs reach it."""
_CLOSED_IN_TIME_SECONDS = 10.0
_NO_TEXT = (CloseReason.UNSUPPORTED_DATA, CloseReason.INVALID_FRAME_PAYLOAD_DATA)


class Conversation:
    """What the protocol above a WebSocket got, what the client was told, and how it ended."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        clock = Clock()
        factory = RecorderFactory()
        site = site_for(factory, clock, max_message_bytes=_MOST_MESSAGE_BYTES)
        self._client = WSConnection(ConnectionType.CLIENT)
        pipe = Pipe(clock, _PEER)
        pipe.connect(site.buildProtocol(_PEER))
        pipe.arrive(self._client.send(Request(host="chat.example", target="/ws")))
        (accepted,) = self._heard(pipe.taken())
        assert isinstance(accepted, AcceptConnection)
        for piece in pieces:
            pipe.arrive(piece)
            clock.advance(0)
        clock.advance(1)  # whoever was too fast has waited for long enough
        self.payload: bytes = factory.recorder.data
        said = pipe.taken()
        self.said_bytes = len(said)
        self.told = [*map(_short, self._heard(said))]
        self.is_open = not pipe.disconnecting
        pipe.hang_up()
        clock.advance(_CLOSED_IN_TIME_SECONDS)
        self.lost = len(factory.recorder.lost)
        self.left = len(clock.getDelayedCalls())

    @property
    def result(self) -> tuple[bytes, bool, list[Hashable]]:
        """What must be the same however the input is cut."""
        return self.payload, self.is_open, self.told

    def _heard(self, data: bytes) -> list[object]:
        self._client.receive_data(data)
        return [*self._client.events()]


class WebSocketTarget(Target):
    """`superchat.net.websocket` after the handshake, and what it writes."""

    name = "websocket"
    files = ("net/websocket_frames.py", "net/websocket_transport.py", "/wsproto/frame_protocol.py")
    longest_bytes = 2_500
    words = (b"\x82\x80\x00\x00\x00\x00", b"\x89\x80", b"\x88\x82", b"\x00\x80", b"\xfe", b"\xff" * 9, b"\x03\xe8")
    steps_at_least = 8_000
    steps_per_byte = 60

    def seeds(self) -> Iterable[bytes]:
        """Frames of each kind, good and bad."""
        hello = client_frame(0x82, b"hello")
        yield hello
        yield client_frame(0x82)
        yield client_frame(0x02, b"in ") + client_frame(0x00, b"three ") + client_frame(0x80, b"parts")
        yield client_frame(0x02, b"a") + client_frame(0x89, b"ping") + client_frame(0x80, b"b") + hello
        yield client_frame(0x82, bytes(200)) + client_frame(0x8A, b"pong")
        yield client_frame(0x88, b"\x03\xe8bye") + hello
        yield client_frame(0x88)
        yield client_frame(0x81, b"text")
        yield client_frame(0x82, b"too big", announced_length=1 << 40)
        yield client_frame(0xC2, b"reserved bit")
        yield client_frame(0x83, b"reserved code")
        yield client_frame(0x09, b"fragmented ping")
        yield client_frame(0x88, b"\x00\x00")
        yield client_frame(0x80, b"nothing to continue")
        yield b"\x82\x05hello"
        yield client_frame(0x88, b"\x03\xe8\xff\xfe")

    def run(self, data: bytes) -> Hashable:
        """All of it in one piece."""
        with no_troubles():
            seen = Conversation([data])
        self._whole = data, seen
        assert seen.lost == 1, "the protocol must hear of the end, once"
        assert not seen.left, "something is still going to happen"
        assert len(seen.payload) <= len(data)
        assert seen.said_bytes <= len(data) + 150, "more was said than the input explains"
        return seen.is_open, tuple(_kind(one) for one in seen.told), bool(seen.payload)

    def check(self, data: bytes, outcome: Hashable) -> None:
        """As an independent reader of the frames has it, in other pieces too; and what is written can be read."""
        _, whole = self._whole
        payload, is_good = read_frames(data)
        if is_good:
            assert whole.is_open
            assert whole.payload == payload
        else:
            assert payload.startswith(whole.payload[: len(payload)])
        cuts = sorted((len(data) // 3, sum(data) % (len(data) + 1)))
        with no_troubles():
            in_three = Conversation(data[start:end] for start, end in pairwise((0, *cuts, len(data))))
            assert in_three.result == whole.result
            if len(data) <= 80:
                assert Conversation(data[at : at + 1] for at in range(len(data))).result == whole.result
        _check_written(data)

    def shape(self, data: bytes, rng: random.Random) -> bytes:
        """A good frame before, after, or around it."""
        match rng.randint(0, 5):
            case 0:
                return client_frame(0x82, data[:1000])
            case 1:
                return client_frame(rng.choice((0x02, 0x82, 0x89, 0x8A)), data[:100]) + data
            case 2:
                return data + client_frame(rng.choice((0x80, 0x82, 0x88, 0x89)), data[:60])
        return data


def _check_written(frames: bytes) -> None:
    """Any bytes go out complete and in order, in messages of one protocol frame each as far as they are whole."""
    written = as_messages(frames)
    assert _payloads(written) == frames
    assert len(written) <= len(frames) + 10 * (len(frames) // 5 + 2)


def _payloads(data: bytes) -> bytes:
    """What stands in unmasked frames."""
    return b"".join(payload for _, _, payload in _frames(data, masked=False))


def read_frames(data: bytes) -> tuple[bytes, bool]:
    """The payload of the binary messages in *data*, and whether all of it is as RFC 6455 wants it and none of it ends
    the connection. Written from the RFC, to be compared with."""
    payload = b""
    message_bytes = 0
    in_message = False
    try:
        for first, length, part in _frames(data, masked=True):
            code, final = first & 0x0F, bool(first & 0x80)
            if code >= 0x8:
                if not final or length > 125:
                    return payload, False
                continue
            if (code == 0x0) != in_message:
                return payload, False
            message_bytes = message_bytes + length if in_message else length
            if message_bytes > _MOST_MESSAGE_BYTES:
                return payload, False
            in_message = not final
            payload += part
    except ValueError:
        return payload, False
    return payload, True


def _frames(data: bytes, *, masked: bool) -> Iterator[tuple[int, int, bytes]]:
    """First byte, announced length and payload, as far as it is there. Raises ValueError."""
    at = 0
    while at < len(data):
        first = data[at]
        if masked and (first & 0x70 or first & 0x0F not in (0x0, 0x2, 0x9, 0xA)):
            raise ValueError(first)
        if at + 2 > len(data):
            return
        length, at = data[at + 1] & 0x7F, at + 2
        if bool(data[at - 1] & 0x80) != masked:
            raise ValueError("mask")
        for announced, layout, least in ((126, "!H", 126), (127, "!Q", 1 << 16)):
            if length == announced:
                if at + struct.calcsize(layout) > len(data):
                    if first & 0x08:
                        raise ValueError("long control frame")
                    return
                ((length,), at) = struct.unpack_from(layout, data, at), at + struct.calcsize(layout)
                if not least <= length < 1 << 63:
                    raise ValueError("not the shortest")
                break
        mask = data[at : at + 4] if masked else bytes(4)
        at += 4 if masked else 0
        part = data[at : at + length]
        at += length
        yield first, length, bytes(byte ^ mask[index % 4] for index, byte in enumerate(part)) if len(mask) == 4 else b""


def _short(event: object) -> Hashable:
    if isinstance(event, CloseConnection):
        # Text that is no text is refused as such, or as text: that depends on how much of it came first.
        return "close", "text" if event.code in _NO_TEXT else (int(event.code), event.reason)
    if isinstance(event, Pong):
        return "pong", bytes(event.payload)
    assert not isinstance(event, BytesMessage | Ping), event
    return type(event).__name__


def _kind(told: Hashable) -> Hashable:
    if isinstance(told, tuple) and told[0] == "close":
        return told[1] if isinstance(told[1], str) else told[1][0]
    return "pong"
