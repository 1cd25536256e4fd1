"""Every golden vector, in both directions, in one piece, byte by byte and with something behind it."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import frames
from superchat.wire.connection import Connection
from superchat.wire.errors import Broken, Malformed, Unsupported
from superchat.wire.messages import BY_CODE, Ping
from tests import spec
from tests.wire.golden import FRAMES, NEGATIVES, VECTORS, expected, message_class
from tests.wire.streams import bytewise, outcomes

PING = frames.encode(Ping(timestamp=1))


class PayloadVectorTests(SynchronousTestCase):
    """wire_vectors.jsonl: one payload per variant of every message."""

    def test_every_message_has_vectors(self) -> None:
        """No message escapes these tests."""
        self.assertEqual({message_class(vector) for vector in VECTORS}, set(BY_CODE.values()))

    def test_names(self) -> None:
        """A message's NAME is the protocol's name for its code."""
        for vector in VECTORS:
            self.assertEqual(message_class(vector).NAME, vector["name"])

    def test_unpack(self) -> None:
        """A payload gives exactly the fields that the vector names."""
        for vector in VECTORS:
            payload = bytes.fromhex(vector["hex_payload"])
            self.assertEqual(message_class(vector).unpack(payload), expected(vector), vector)

    def test_unpack_with_surplus(self) -> None:
        """Bytes behind the last field change nothing, unless a trailing field was left out (wire 4)."""
        for vector in VECTORS:
            if vector["variant"] == "legacy_without_permanent":
                continue
            payload = bytes.fromhex(vector["hex_payload"]) + b"\x00\xff"
            self.assertEqual(message_class(vector).unpack(payload), expected(vector), vector)

    def test_pack(self) -> None:
        """The fields give exactly the payload of the vector."""
        for vector in VECTORS:
            if vector["encodable"]:
                self.assertEqual(expected(vector).pack().hex(), vector["hex_payload"], vector)

    def test_encode(self) -> None:
        """The fields give exactly the frame of the vector."""
        for vector in VECTORS:
            if vector["encodable"]:
                self.assertEqual(frames.encode(expected(vector)).hex(), vector["hex_frame"], vector)

    def test_frame(self) -> None:
        """The frame gives the message in one piece, byte by byte, and with another frame behind it."""
        for vector in VECTORS:
            frame, message = bytes.fromhex(vector["hex_frame"]), expected(vector)
            self.assertEqual(outcomes([frame]), [message], vector)
            self.assertEqual(outcomes(bytewise(frame)), [message], vector)
            self.assertEqual(outcomes([frame + PING]), [message, Ping(timestamp=1)], vector)

    def test_stream(self) -> None:
        """All frames in one stream give all messages, in their order."""
        stream = b"".join(bytes.fromhex(vector["hex_frame"]) for vector in VECTORS)
        self.assertEqual(outcomes([stream]), [expected(vector) for vector in VECTORS])

    def test_server_takes_what_clients_send(self) -> None:
        """A server refuses the type of a message exactly if only servers send it (wire 6 and 7)."""
        for vector in VECTORS:
            frame, message = bytes.fromhex(vector["hex_frame"]), expected(vector)
            refused = message.SENDER.value == "server"
            self.assertEqual(
                outcomes([frame], Connection()), [Unsupported(message.CODE) if refused else message], vector
            )


class NegativeVectorTests(SynchronousTestCase):
    """wire_negative_vectors.jsonl: payloads cut short."""

    def test_refused(self) -> None:
        """A payload that ends before a mandatory field is Malformed, and says which message it was."""
        for vector in NEGATIVES:
            with self.assertRaises(Malformed, msg=str(vector)) as caught:
                message_class(vector).unpack(bytes.fromhex(vector["hex_payload"]))
            self.assertEqual(caught.exception.code, int(vector["code"], 16))
            self.assertEqual(caught.exception.name, vector["name"])

    def test_connection_goes_on(self) -> None:
        """A payload that cannot be decoded costs its own frame only (wire 1, Errors)."""
        for vector in NEGATIVES:
            cls, payload = message_class(vector), bytes.fromhex(vector["hex_payload"])
            frame = frames.HEADER.pack(3 + len(payload), 2, cls.CODE, 0) + payload
            first, second = outcomes([frame + PING])
            self.assertEqual(second, Ping(timestamp=1))
            if _kind(vector["name"], payload):
                self.assertIsInstance(first, cls)
            else:
                self.assertIsInstance(first, tuple, vector)


def _kind(name: str, payload: bytes) -> bool:
    """Whether receivers take this payload although the plain codec does not (wire 0x06 and 0x11)."""
    return name == "DISCONNECT" or (name == "LEAVE_CHANNEL" and not payload)


class FrameVectorTests(SynchronousTestCase):
    """wire_frame_vectors.jsonl: whole frames, good and bad."""

    def test_accepted(self) -> None:
        """A good frame gives the payload's message, whatever its version, flags and compression."""
        for vector in (vector for vector in FRAMES if vector["accept"]):
            code, payload = vector["type"], bytes.fromhex(vector["hex_payload"])
            expected = BY_CODE[code].unpack(payload) if code in BY_CODE else Unsupported(code)
            frame = bytes.fromhex(vector["hex_frame"])
            for pieces in ([frame], bytewise(frame), [frame + PING]):
                self.assertEqual(outcomes(pieces)[0], expected, vector)

    def test_header(self) -> None:
        """A good frame's header can be shown as it stood on the wire, and tells the peer's version."""
        for vector in (vector for vector in FRAMES if vector["accept"]):
            connection = Connection(BY_CODE)
            connection.receive_data(bytes.fromhex(vector["hex_frame"]))
            connection.next_event()
            on_wire = bytes.fromhex(vector.get("hex_payload_on_wire", vector["hex_frame"][14:]))
            flags = vector.get("flags_on_wire", vector["flags"])
            self.assertEqual(connection.last_frame, (vector["version"], vector["type"], flags, len(on_wire)), vector)
            self.assertEqual(connection.peer_version, vector["version"])

    def test_refused(self) -> None:
        """A bad frame loses the stream, in one piece or byte by byte (wire 1)."""
        for vector in (vector for vector in FRAMES if not vector["accept"]):
            frame = bytes.fromhex(vector["hex_frame"])
            whole = outcomes([frame])
            self.assertEqual([outcome[0] for outcome in whole if isinstance(outcome, tuple)], ["Broken"])
            self.assertEqual(outcomes(bytewise(frame)), whole, vector)

    def test_refused_as_soon_as_known(self) -> None:
        """A bad length is refused when its four bytes are there, before anything else arrives."""
        for length in (0, 2, (1 << 20) + 1, (1 << 32) - 1):
            connection = Connection()
            connection.receive_data(length.to_bytes(4, "big"))
            self.assertRaises(Broken, connection.next_event)


class CopiesTests(SynchronousTestCase):
    """The vectors that come with the project."""

    def test_copies_are_the_specification(self) -> None:
        """The copies in tests/vectors are those of the specification, where that is at hand."""
        folder = spec.folder()
        if folder is None:
            self.skipTest("no specification beside the project")
        for copy in spec.COPIES.glob("*.jsonl"):
            self.assertEqual(copy.read_bytes(), (folder / copy.name).read_bytes(), copy.name)

    def test_copies_are_complete(self) -> None:
        """The copies alone are enough to run these tests."""
        for name in ("wire_vectors.jsonl", "wire_negative_vectors.jsonl", "wire_frame_vectors.jsonl"):
            lines = (spec.COPIES / name).read_text(encoding="utf-8").splitlines()
            self.assertTrue(all(json.loads(line) for line in lines))
