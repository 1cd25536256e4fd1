"""Frames: header, compression, limits, and encoding once for many."""

from __future__ import annotations

import random
import struct

import lz4.block
from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import frames
from superchat.wire.errors import Broken, Unencodable
from superchat.wire.messages import Disconnect, MessageEntry, MessageList, NewMessage, Ping, PostMessage
from superchat.wire.records import Message
from tests.wire.streams import outcomes

# 12 bytes around the content: what it takes to get an exact payload length.
AROUND = len(PostMessage(channel_id=1, content=b"").pack())


def post(payload_size: int) -> PostMessage:
    """A message that compresses well, with a payload of exactly this many bytes."""
    return PostMessage(channel_id=1, content=b"x" * (payload_size - AROUND))


def noise(payload_size: int) -> PostMessage:
    """A message that does not compress."""
    return PostMessage(channel_id=1, content=random.Random(1).randbytes(payload_size - AROUND))


def entries(count: int, content: bytes) -> MessageList:
    """A long list of messages."""
    entry = MessageEntry(message_id=1, channel_id=1, author_nickname="", content=content, created_at=0, reply_count=0)
    return MessageList(channel_id=1, messages=(entry,) * count)


class EncodeTests(SynchronousTestCase):
    """One message as a frame."""

    def test_header(self) -> None:
        """The header carries length, version, type and flags; version 2 unless told otherwise (wire 1)."""
        self.assertEqual(frames.encode(Disconnect()).hex(), "0000000402110000")
        self.assertEqual(frames.encode(Disconnect(), version=1).hex(), "0000000401110000")

    def test_plain_unless_asked(self) -> None:
        """Nothing is compressed unless asked for."""
        self.assertEqual(len(frames.encode(post(5000))), 5007)

    def test_threshold(self) -> None:
        """Payloads are compressed from 512 bytes on, inclusive (wire 1)."""
        self.assertEqual(len(frames.encode(post(511), compress=True)), 518)
        compressed = frames.encode(post(512), compress=True)
        self.assertEqual(compressed[6], frames.COMPRESSED)
        self.assertLess(len(compressed), 100)
        self.assertEqual(compressed[7:11], struct.pack(">I", 512))

    def test_only_if_smaller(self) -> None:
        """A payload that would not shrink is sent plain, with a clear flag (wire 1)."""
        self.assertEqual(frames.encode(noise(600), compress=True), frames.encode(noise(600)))

    def test_limit(self) -> None:
        """A frame over 1 MiB is refused, unless compression saves it (wire 1)."""
        huge = entries(20, bytes(60000))
        self.assertRaises(Unencodable, frames.encode, huge)
        compressed = frames.encode(huge, compress=True)
        self.assertLess(len(compressed), 1 << 20)

    def test_largest(self) -> None:
        """The largest frame that fits is sent and read; a byte more is not."""
        overhead = len(entries(16, b"").pack())
        room = frames.MAX_LENGTH - frames.MIN_LENGTH - overhead
        fits = entries(16, bytes(room // 16))
        self.assertEqual(room % 16, (frames.MAX_LENGTH + 4) - len(frames.encode(fits)))
        self.assertEqual(outcomes([frames.encode(fits)]), [fits])
        self.assertRaises(Unencodable, frames.encode, entries(16, bytes(room // 16 + 1)))


class EncodedTests(SynchronousTestCase):
    """One message for many peers."""

    def test_forms(self) -> None:
        """Both forms are what ``encode`` makes of the message."""
        encoded = frames.Encoded(post(800))
        self.assertEqual(encoded.plain, frames.encode(post(800)))
        self.assertEqual(encoded.compressed, frames.encode(post(800), compress=True))

    def test_once(self) -> None:
        """All peers share the same bytes: each form is made once, and a short message has only one."""
        encoded = frames.Encoded(post(800))
        self.assertIs(encoded.plain, encoded.plain)
        self.assertIs(encoded.compressed, encoded.compressed)
        short = frames.Encoded(Ping(timestamp=1))
        self.assertIs(short.compressed, short.plain)

    def test_versions(self) -> None:
        """Only peers of exactly version 2 get compressed frames (decisions 1.2)."""
        encoded = frames.Encoded(post(800))
        self.assertIs(encoded.for_version(2), encoded.compressed)
        for version in (0, 1, 3, 255):
            self.assertIs(encoded.for_version(version), encoded.plain)

    def test_message(self) -> None:
        """What is in it can be asked, for logs and metrics."""
        message: Message = Ping(timestamp=1)
        self.assertIs(frames.Encoded(message).message, message)

    def test_too_big_plain(self) -> None:
        """Peers that take compressed frames get a message that is too big for the others."""
        encoded = frames.Encoded(entries(20, bytes(60000)))
        self.assertRaises(Unencodable, encoded.for_version, 1)
        self.assertLess(len(encoded.for_version(2)), 1 << 20)

    def test_unencodable(self) -> None:
        """A message that cannot be packed says so when it is first needed, each time."""
        encoded = frames.Encoded(Ping(timestamp=1 << 63))
        self.assertRaises(Unencodable, encoded.for_version, 1)
        self.assertRaises(Unencodable, encoded.for_version, 2)


class DecompressTests(SynchronousTestCase):
    """Compressed payloads from peers."""

    def declared(self, size: int, block: bytes) -> bytes:
        return struct.pack(">I", size) + block

    def refused(self, payload: bytes, reason: str) -> None:
        self.assertIn(reason, str(self.assertRaises(Broken, frames.decompress, payload)))

    def test_round_trip(self) -> None:
        """What others compressed comes out, up to 1 MiB (wire 1)."""
        for plain in (b"", b"x", bytes(1 << 20)):
            block = lz4.block.compress(plain, store_size=False)
            self.assertEqual(frames.decompress(self.declared(len(plain), block)), plain)

    def test_no_size(self) -> None:
        """A payload without room for its size is refused."""
        self.refused(b"\0\0\0", "without its size")

    def test_too_large(self) -> None:
        """More than 1 MiB is refused before it is decompressed."""
        block = lz4.block.compress(bytes((1 << 20) + 1), store_size=False)
        self.refused(self.declared((1 << 20) + 1, block), "declares 1048577 bytes")

    def test_impossible_size(self) -> None:
        """A size that so few bytes cannot yield is refused before any memory is reserved for it."""
        self.refused(self.declared(1 << 20, b"\x1f" + bytes(10)), "declares 1048576 bytes")
        self.refused(self.declared(1, b""), "declares 1 bytes")

    def test_best_ratio(self) -> None:
        """The best that LZ4 can do is within what is believed."""
        for size in (100, 1000, 100_000, 1 << 20):
            block = lz4.block.compress(bytes(size), store_size=False, mode="high_compression", compression=12)
            self.assertEqual(len(frames.decompress(self.declared(size, block))), size)

    def test_wrong_size(self) -> None:
        """Exactly the declared number of bytes must come out (wire 1)."""
        block = lz4.block.compress(b"abcd" * 10, store_size=False)
        self.refused(self.declared(39, block), "no LZ4 block")
        self.refused(self.declared(41, block), "declares 41 bytes and holds 40")

    def test_garbage(self) -> None:
        """What is no LZ4 block is refused."""
        self.refused(self.declared(100, b"\xff\xff\xff"), "no LZ4 block")
        self.refused(self.declared(0, b""), "no LZ4 block")


class BroadcastTests(SynchronousTestCase):
    """The message behind most frames."""

    def test_new_message(self) -> None:
        """A message with ordinary text is one small frame, the same for everybody."""
        message = NewMessage(
            message_id=1, channel_id=2, author_nickname="~bob", content=b"hi", created_at=3, reply_count=0
        )
        encoded = frames.Encoded(message)
        self.assertIs(encoded.for_version(2), encoded.for_version(1))
        self.assertEqual(outcomes([encoded.plain]), [message])
