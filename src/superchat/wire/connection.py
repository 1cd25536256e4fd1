"""One peer's byte stream, cut into messages."""

from __future__ import annotations

from collections.abc import Mapping

from superchat.wire import frames
from superchat.wire.errors import Broken, Malformed, Unsupported
from superchat.wire.frames import COMPRESSED, HEADER, LENGTH, MAX_LENGTH, MIN_LENGTH, Header
from superchat.wire.messages import FROM_CLIENT
from superchat.wire.records import Message

Event = Message | Malformed | Unsupported


class Connection:
    """The state of one connection: bytes that wait, and the version its peer speaks.

    ``accepts`` says which messages may come in. A server takes ``FROM_CLIENT``; a client passes ``BY_CODE``.

    - MUST hold no more memory than the bytes that arrived and still wait: a length reserves nothing, and where
      nothing waits there is no buffer. What came last is parsed where it is; only the beginning of a frame is copied.
    - MUST parse one frame per ``next_event``, so that whoever reads decides the pace.
    - MUST raise Broken for ever once framing is lost (decisions 1.5).
    """

    __slots__ = ("_accepts", "_at", "_broken", "_buffer", "_last", "last_payload_bytes", "peer_version")

    def __init__(self, accepts: Mapping[int, type[Message]] = FROM_CLIENT) -> None:
        self._accepts = accepts
        self._buffer: bytes | bytearray = b""
        self._at = 0  # how much of the buffer has been parsed
        self._broken: str | None = None
        self._last: tuple[int, int, int, int] | None = None
        self.peer_version = 0
        """The first version byte received that is not 0; until then 0 (decisions 1.2)."""
        self.last_payload_bytes = 0
        """How long the payload behind the latest event is, decompressed."""

    @property
    def buffered_bytes(self) -> int:
        """How many bytes wait to be parsed."""
        return len(self._buffer) - self._at

    @property
    def last_frame(self) -> Header | None:
        """The header of the frame behind the event that ``next_event`` has just returned, for debug lines."""
        if self._last is None:
            return None
        length, version, code, flags = self._last
        return Header(version, code, flags, length - MIN_LENGTH)

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they come; after Broken they are dropped."""
        if self._broken is not None:
            return
        if not self._buffer:
            self._buffer = data
            return
        self._keep_the_rest()
        self._buffer += data

    def next_event(self) -> Event | None:
        """Parse the next frame; None means that more bytes are needed. Raises Broken when framing is lost."""
        if self._broken is not None:
            raise Broken(self._broken)
        if not self._buffer:
            self._last = None
            return None
        try:
            return self._parse(self._buffer, self._at)
        except Broken as error:
            self._broken = error.reason
            self._drop()
            raise

    def receive_eof(self) -> None:
        """Take note that nothing more will come. Raises Broken if that cuts a frame in two."""
        end = self._at
        while end + LENGTH.size <= len(self._buffer):
            (length,) = LENGTH.unpack_from(self._buffer, end)
            end += LENGTH.size + length
        if end != len(self._buffer):
            raise Broken("the stream ends inside a frame")

    def encode(self, message: Message) -> bytes:
        """Return the frame of ``message`` for this peer. Raises Unencodable as ``frames.encode`` does."""
        return frames.encode(message, compress=self.peer_version == frames.VERSION)

    def _parse(self, buffer: bytes | bytearray, at: int) -> Event | None:
        if len(buffer) - at < LENGTH.size:
            self._keep_the_rest()
            return None
        (length,) = LENGTH.unpack_from(buffer, at)
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            raise Broken(f"frame length {length} is not within {MIN_LENGTH}..{MAX_LENGTH}")
        end = at + LENGTH.size + length
        if len(buffer) < end:
            self._keep_the_rest()
            return None
        self._last = header = HEADER.unpack_from(buffer, at)
        _, version, code, flags = header
        payload = bytes(buffer[at + HEADER.size : end])
        if end == len(buffer):
            self._drop()
        else:
            self._at = end
        if version and not self.peer_version:
            self.peer_version = version
        if flags & COMPRESSED and payload:
            payload = frames.decompress(payload)
        self.last_payload_bytes = len(payload)
        return self._decode(code, payload)

    def _keep_the_rest(self) -> None:
        """Let go of what has been parsed; what waits grows in place, however many pieces it comes in."""
        if not isinstance(self._buffer, bytearray):
            self._buffer = bytearray(memoryview(self._buffer)[self._at :])
        elif self._at:
            del self._buffer[: self._at]
        self._at = 0

    def _drop(self) -> None:
        self._buffer = b""
        self._at = 0

    def _decode(self, code: int, payload: bytes) -> Event:
        known = self._accepts.get(code)
        if known is None:
            return Unsupported(code)
        try:
            return known.accept(payload)
        except Malformed as error:
            return error
