"""RFC 6455 frames as this server writes them, and the limits it sets on those it reads with wsproto."""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

_FINAL_BINARY: Final = 0x82
_LENGTH_IN_TWO_BYTES: Final = 126
_LENGTH_IN_EIGHT_BYTES: Final = 127

_frame_length = struct.Struct("!I").unpack_from
_medium_header = struct.Struct("!BBH").pack
_large_header = struct.Struct("!BBQ").pack

PARTS_OF_A_FRAME: Final = 5
"""So many WebSocket frames may carry one frame of the protocol: a peer may write it as the reference server does, in
up to 5 messages (wire 2)."""
THROTTLE_SECONDS: Final = 0.1
"""How long reading rests once a peer has used up its WebSocket frames."""


@attrs.frozen
class WebSocketLimits:
    """What one peer may ask of its WebSocket.

    `max_message_bytes` covers all fragments of a message; the default holds the protocol's largest frame.
    `max_frames_per_second` counts WebSocket frames of any kind (0 = unlimited), pings and empty ones for
    `PARTS_OF_A_FRAME`; above it, reading rests and nobody else notices (decisions 1.9). `close_timeout_seconds` is
    what a close may take, from its first step to the end of the connection, before it is aborted.
    """

    max_message_bytes: int = 1_048_580
    max_frames_per_second: int = 500
    close_timeout_seconds: float = 5.0


@lru_cache(maxsize=1)
def as_messages(frames: bytes) -> bytes:
    """Return the WebSocket frames that carry `frames`: one binary message per protocol frame (decisions 1.3).

    What goes to many, one after the other, is made for the first of them.

    `frames` is any number of whole protocol frames, joined. A part of a frame still goes out complete and in
    order, as a message of its own, because message boundaries carry no meaning for the peer (wire 2).
    """
    total = len(frames)
    if total <= 4 + int.from_bytes(frames[:4], "big"):
        return _binary_header(total) + frames
    chunks: list[bytes] = []
    start = 0
    while total - start > 4:
        end = start + 4 + _frame_length(frames, start)[0]
        if end > total:
            break
        chunks.append(_binary_header(end - start))
        chunks.append(frames[start:end])
        start = end
    if start < total:
        chunks.append(_binary_header(total - start))
        chunks.append(frames[start:])
    return b"".join(chunks)


def _binary_header(length: int) -> bytes:
    if length < _LENGTH_IN_TWO_BYTES:
        return bytes((_FINAL_BINARY, length))
    if length < 1 << 16:
        return _medium_header(_FINAL_BINARY, _LENGTH_IN_TWO_BYTES, length)
    return _large_header(_FINAL_BINARY, _LENGTH_IN_EIGHT_BYTES, length)


class MessageSizeLimit(Extension):
    """Refuses (1009) a data frame by its header, before its payload arrives.

    `limit_bytes` covers all fragments of a message together. wsproto has no limit of its own but shows every
    header to its extensions; this one is never negotiated. A header that arrives in pieces is shown more than
    once, so only payload that has arrived is added up.
    """

    name = "message-size-limit"

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._received_bytes = 0
        self._control = False

    def enabled(self) -> bool:
        """Always: the limit is not up for negotiation."""
        return True

    def offer(self) -> bool:
        """Never offered to a peer."""
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Refuse the frame if the message would grow over the limit; no reserved bit is ever in use."""
        self._control = opcode.iscontrol()
        if not self._control and self._received_bytes + payload_length > self._limit_bytes:
            return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(False, False, False)

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes:
        """Add up what has arrived of the message."""
        if not self._control:
            self._received_bytes += len(data)
        return data

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> None:
        """Start anew after the last fragment."""
        if fin and not self._control:
            self._received_bytes = 0


class FrameAllowance:
    """A token bucket of WebSocket frames that looks at the clock only when it is empty.

    It holds one second's worth; `frames_per_second` 0 means unlimited. Once empty, it gives nothing until
    `THROTTLE_SECONDS` worth of frames have come together, so that a flood is read in few, bounded turns.
    """

    def __init__(self, clock: IReactorTime, frames_per_second: int) -> None:
        self._clock = clock
        self._rate = frames_per_second
        self._left = frames_per_second or math.inf
        self._filled_at = clock.seconds()

    def take(self, frames: int = 1) -> bool:
        """Use up so many frames, some of them in advance; False if there is none at the moment."""
        if self._left < 1 and not self._fill():
            return False
        self._left -= frames
        return True

    def _fill(self) -> bool:
        now = self._clock.seconds()
        # The reactor's clock can be set back; the distance, whichever way, still ends the wait in a second.
        earned = min(abs(now - self._filled_at), 1.0) * self._rate
        if earned < max(1.0, self._rate * THROTTLE_SECONDS):
            return False
        self._left = min(self._left, 0) + earned
        self._filled_at = now
        return self._left >= 1
