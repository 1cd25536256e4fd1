"""The protocol's stream: any bytes give messages or documented errors, the same ones however they are cut."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable

import lz4.block

from superchat.wire.connection import Connection
from superchat.wire.errors import Malformed, Unencodable, Unsupported
from superchat.wire.frames import COMPRESSED, HEADER, LENGTH, MAX_LENGTH, MAX_PAYLOAD, MIN_LENGTH, encode
from superchat.wire.messages import BY_CODE, FROM_CLIENT
from superchat.wire.records import Message
from tests import spec
from tests.fuzz.target import Target
from tests.wire.streams import Outcome, bytewise, outcomes, split

_MOST_FROM_ONE_BYTE = 255  # of an LZ4 block


class WireTarget(Target):
    """`superchat.wire`, as a server and as a client reads."""

    name = "wire"
    files = ("wire/",)
    words = (
        *(bytes((code,)) for code in BY_CODE),
        b"\x00\x00\x00\x00",
        b"\x00\x10\x00\x00",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x03\x02",
        b"\xff" * 8,
        b"\x80" + b"\x00" * 7,
    )
    steps_per_byte = 60

    def seeds(self) -> Iterable[bytes]:
        """All golden frames, bad ones included."""
        for name in ("wire_vectors.jsonl", "wire_frame_vectors.jsonl"):
            for vector in spec.vectors(name):
                yield bytes.fromhex(vector["hex_frame"])
        for vector in spec.vectors("wire_negative_vectors.jsonl"):
            yield framed(int(vector["code"], 16), bytes.fromhex(vector["hex_payload"]))

    def run(self, data: bytes) -> Hashable:
        """The stream in one piece."""
        connection = Connection(BY_CODE)
        seen = outcomes([data], connection)
        assert connection.buffered_bytes <= len(data)
        return tuple(map(_short, seen))

    def check(self, data: bytes, outcome: Hashable) -> None:
        """However it is cut, and whoever reads it."""
        check_stream(data)
        if data:
            check_payload(data[0], data[1:])

    def shape(self, data: bytes, rng: random.Random) -> bytes:
        """Lengths that are right, and payloads that are compressed."""
        if rng.random() < 0.4 or len(data) < HEADER.size:
            return data
        frames = [*_frames(data)]
        at = rng.randrange(len(frames))
        _, version, code, flags, payload = frames[at]
        if rng.random() < 0.2:
            block: bytes = lz4.block.compress(payload, store_size=False)
            size = len(payload) + rng.choice((0, 0, 0, 1, -1, 1 << 20))
            payload, flags = LENGTH.pack(max(0, size)) + block, flags | COMPRESSED
        frames[at] = MIN_LENGTH + len(payload), version, code, flags, payload
        return b"".join(HEADER.pack(*frame[:4]) + frame[4] for frame in frames)


def framed(code: int, payload: bytes, *, version: int = 2, flags: int = 0) -> bytes:
    """A frame, whatever is in it."""
    return HEADER.pack(MIN_LENGTH + len(payload), version, code, flags) + payload


def check_stream(data: bytes) -> None:
    """The stream gives the same in one piece, in two cuts that depend on it, and byte by byte."""
    for accepts in (FROM_CLIENT, BY_CODE):
        whole = outcomes([data], Connection(accepts))
        cuts = [len(data) // 3, sum(data) % (len(data) + 1)]
        assert outcomes(split(data, cuts), Connection(accepts)) == whole
        if len(data) <= 1024:
            assert outcomes(bytewise(data), Connection(accepts)) == whole
        assert len(whole) <= len(data) // HEADER.size + 1, "more events than frames"
        for each in whole:
            assert isinstance(each, (Message, Unsupported, tuple))
            if isinstance(each, Message):
                check_message(each, most_bytes=len(data) * _MOST_FROM_ONE_BYTE)


def check_payload(code: int, payload: bytes) -> None:
    """The payload is the message, or Malformed."""
    cls = BY_CODE.get(code)
    if cls is None:
        return
    try:
        message = cls.unpack(payload)
    except Malformed:
        return
    # A field that may be missing at the end is there once it is packed again.
    check_message(message, most_bytes=len(payload) + 1)


def check_message(message: Message, most_bytes: int) -> None:
    """A message off the wire can be shown, is no larger than it was, and encodes to a frame that gives it back.

    Only a payload that was just small enough may be too big to send plain.
    """
    assert str(message).isprintable()
    packed = message.pack()
    assert len(packed) <= min(most_bytes, MAX_PAYLOAD + 1), message
    assert type(message).unpack(packed) == message
    try:
        frame = encode(message, compress=True)
    except Unencodable as error:
        assert "exceeds" in str(error)  # noqa: PT017
        return
    assert len(frame) <= LENGTH.size + MAX_LENGTH
    assert outcomes([frame]) == [message], message


def _short(outcome: Outcome) -> Hashable:
    if isinstance(outcome, Message):
        return outcome.NAME
    if isinstance(outcome, Unsupported):
        return "unsupported"
    kind, reason = outcome
    return kind, "".join(letter for letter in reason if not letter.isdigit())


def _frames(data: bytes) -> Iterable[tuple[int, int, int, int, bytes]]:
    """Headers and payloads as they stand there; the last payload may be short, or too long."""
    at = 0
    while at + HEADER.size <= len(data):
        length, version, code, flags = HEADER.unpack_from(data, at)
        end = at + LENGTH.size + length
        payload = data[at + HEADER.size : end if length >= MIN_LENGTH else len(data)]
        yield length, version, code, flags, payload
        at = max(end, at + HEADER.size)
