"""One peer's stream."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import frames
from superchat.wire.connection import Connection
from superchat.wire.errors import Broken, ErrorCode, Malformed, Unsupported
from superchat.wire.messages import (
    BY_CODE,
    Disconnect,
    LeaveChannel,
    Logout,
    Ping,
    Pong,
    PostMessage,
    VerifyRegistration,
)
from tests.wire.streams import bytewise, events

PING = frames.encode(Ping(timestamp=7))
LONG = PostMessage(channel_id=1, content=b"x" * 1000)


def frame(code: int, payload: bytes = b"", *, version: int = 2, flags: int = 0) -> bytes:
    """A frame with anything in it."""
    return frames.HEADER.pack(3 + len(payload), version, code, flags) + payload


class EventTests(SynchronousTestCase):
    """What comes out of a connection."""

    def setUp(self) -> None:
        self.connection = Connection()

    def test_one_frame_per_call(self) -> None:
        """The reader decides the pace: each call takes one frame and leaves the rest waiting."""
        self.connection.receive_data(PING * 3)
        self.assertEqual(self.connection.next_event(), Ping(timestamp=7))
        self.assertEqual(self.connection.buffered_bytes, 2 * len(PING))
        self.assertEqual(list(events(self.connection)), [Ping(timestamp=7)] * 2)
        self.assertEqual(self.connection.buffered_bytes, 0)

    def test_nothing_yet(self) -> None:
        """Until a frame is whole there is no event, and the bytes stay."""
        for piece in bytewise(PING[:-1]):
            self.connection.receive_data(piece)
            self.assertIsNone(self.connection.next_event())
        self.assertEqual(self.connection.buffered_bytes, len(PING) - 1)
        self.connection.receive_data(PING[-1:])
        self.assertEqual(self.connection.next_event(), Ping(timestamp=7))

    def test_malformed(self) -> None:
        """A payload that cannot be decoded is an event; the next frame is read as if nothing had been."""
        self.connection.receive_data(frame(Ping.CODE, b"short") + PING)
        event = self.connection.next_event()
        assert isinstance(event, Malformed)
        self.assertEqual((event.code, event.name), (Ping.CODE, "PING"))
        self.assertEqual(self.connection.next_event(), Ping(timestamp=7))

    def test_unknown_type(self) -> None:
        """An unassigned type is an event that asks for ERROR 1001 (wire 1, Errors)."""
        self.connection.receive_data(frame(0xA0, b"anything") + PING)
        event = self.connection.next_event()
        assert isinstance(event, Unsupported)
        self.assertEqual(event, Unsupported(0xA0))
        self.assertEqual(event.error_code, ErrorCode.UNSUPPORTED_VERSION)
        self.assertEqual(str(event), "unsupported message type 0xA0")
        self.assertEqual(self.connection.next_event(), Ping(timestamp=7))

    def test_sides(self) -> None:
        """A server refuses what only servers say, but takes a directory's challenge; a client takes all."""
        pong, challenge = Pong(client_timestamp=1), VerifyRegistration(challenge=2)
        stream = frames.encode(pong) + frames.encode(challenge)
        self.connection.receive_data(stream)
        self.assertEqual(list(events(self.connection)), [Unsupported(Pong.CODE), challenge])
        client = Connection(BY_CODE)
        client.receive_data(stream)
        self.assertEqual(list(events(client)), [pong, challenge])

    def test_kind_receiver(self) -> None:
        """What some clients send in place of a payload is understood (wire 0x06, 0x11, 0x1C)."""
        self.connection.receive_data(frame(LeaveChannel.CODE) + frame(Logout.CODE, b"x") + frame(Disconnect.CODE))
        self.assertEqual(list(events(self.connection)), [LeaveChannel(channel_id=0), Logout(), Disconnect()])

    def test_compressed(self) -> None:
        """The flag decides about decompression, not the version or the size (wire 1)."""
        small = struct.pack(">I", 8) + b"\x80" + Ping(timestamp=7).pack()
        self.connection.receive_data(frame(Ping.CODE, small, flags=1, version=1))
        self.connection.receive_data(frames.encode(LONG, compress=True))
        self.assertEqual(list(events(self.connection)), [Ping(timestamp=7), LONG])

    def test_compressed_nothing(self) -> None:
        """The flag on an empty payload means nothing (wire 1)."""
        self.connection.receive_data(frame(Logout.CODE, flags=1))
        self.assertEqual(list(events(self.connection)), [Logout()])

    def test_other_flags(self) -> None:
        """The encrypted and the reserved flags change nothing (wire 1)."""
        self.connection.receive_data(frame(Ping.CODE, Ping(timestamp=7).pack(), flags=0xFE))
        self.assertEqual(list(events(self.connection)), [Ping(timestamp=7)])


class VersionTests(SynchronousTestCase):
    """What a peer speaks."""

    def test_first_that_is_not_zero(self) -> None:
        """The first version byte that is not 0 counts for good (decisions 1.2)."""
        connection = Connection()
        seen = []
        for version in (0, 3, 2, 0):
            connection.receive_data(frame(Logout.CODE, version=version))
            list(events(connection))
            seen.append(connection.peer_version)
        self.assertEqual(seen, [0, 3, 3, 3])

    def test_unparsed_frames_do_not_count(self) -> None:
        """The version is known when its frame is parsed, not when its bytes arrive."""
        connection = Connection()
        connection.receive_data(PING)
        self.assertEqual(connection.peer_version, 0)

    def test_counts_on_any_frame(self) -> None:
        """A frame that cannot be understood tells the version too."""
        for code in (0xA0, Ping.CODE):
            connection = Connection()
            connection.receive_data(frame(code))
            list(events(connection))
            self.assertEqual(connection.peer_version, 2)

    def test_compression_follows(self) -> None:
        """Frames are compressed for a peer of exactly version 2 and nobody else (decisions 1.2)."""
        for version, compressed in ((0, False), (1, False), (2, True), (3, False)):
            connection = Connection()
            connection.receive_data(frame(Logout.CODE, version=version))
            list(events(connection))
            self.assertEqual(connection.encode(LONG), frames.encode(LONG, compress=compressed))


class BrokenTests(SynchronousTestCase):
    """When framing is lost (decisions 1.5)."""

    def setUp(self) -> None:
        self.connection = Connection()

    def test_frames_before_count(self) -> None:
        """Frames before the bad one are delivered."""
        self.connection.receive_data(PING + b"\0\0\0\0" + PING)
        self.assertEqual(self.connection.next_event(), Ping(timestamp=7))
        error = self.assertRaises(Broken, self.connection.next_event)
        self.assertEqual(error.reason, "frame length 0 is not within 3..1048576")
        self.assertEqual(error.error_code, ErrorCode.INVALID_FRAME)

    def test_for_ever(self) -> None:
        """A broken stream stays broken, and what still arrives is dropped."""
        self.connection.receive_data(b"\xff\xff\xff\xff")
        first = self.assertRaises(Broken, self.connection.next_event)
        self.connection.receive_data(PING)
        self.assertEqual(self.connection.buffered_bytes, 0)
        again = self.assertRaises(Broken, self.connection.next_event)
        self.assertEqual(again.reason, first.reason)
        self.connection.receive_eof()

    def test_bad_compression(self) -> None:
        """A frame that does not decompress breaks the stream, though its end is known (wire 1)."""
        self.connection.receive_data(frame(Ping.CODE, b"\0\0\0\x64\xff\xff\xff", flags=1) + PING)
        self.assertRaises(Broken, self.connection.next_event)
        self.assertRaises(Broken, self.connection.next_event)

    def test_end_inside_a_frame(self) -> None:
        """An end that cuts a frame is an error, also behind whole frames that nobody has read yet."""
        for stream in (b"\0", PING[:-1], PING + PING[:5]):
            connection = Connection()
            connection.receive_data(stream)
            self.assertRaises(Broken, connection.receive_eof)

    def test_end_between_frames(self) -> None:
        """An end between frames is none, whether they are read already or not."""
        self.connection.receive_eof()
        self.connection.receive_data(PING * 2)
        self.connection.receive_eof()
        self.assertEqual(list(events(self.connection)), [Ping(timestamp=7)] * 2)
        self.connection.receive_eof()


class MemoryTests(SynchronousTestCase):
    """What a connection holds (decisions 1.5)."""

    def test_length_reserves_nothing(self) -> None:
        """A frame announced at 1 MiB costs what has arrived of it."""
        connection = Connection()
        connection.receive_data((1 << 20).to_bytes(4, "big") + bytes(100))
        self.assertIsNone(connection.next_event())
        self.assertLess(connection.__sizeof__() + connection._buffer.__sizeof__(), 2000)

    def test_given_back(self) -> None:
        """A large frame's memory is given back when it is parsed."""
        connection = Connection()
        connection.receive_data(frame(0xA0, bytes(1 << 19)))
        connection.next_event()
        self.assertLess(connection._buffer.__sizeof__(), 2000)

    def test_nothing_kept(self) -> None:
        """A peer of whom nothing waits costs no buffer, and none of what it sent before."""
        connection = Connection()
        for pieces in ([PING], [PING[:3], PING[3:]], bytewise(PING * 2)):
            for piece in pieces:
                connection.receive_data(piece)
                list(events(connection))
        self.assertIs(connection._buffer, b"")
        self.assertIsNone(connection._last)

    def test_only_the_beginning_kept(self) -> None:
        """Whoever begins a frame at the end of a large piece is not left with the whole piece."""
        connection = Connection()
        connection.receive_data(PING * 4000 + PING[:5])
        self.assertEqual(len(list(events(connection))), 4000)
        self.assertEqual(connection.buffered_bytes, 5)
        self.assertLess(connection._buffer.__sizeof__(), 100)

    def test_many_pieces(self) -> None:
        """However many pieces a frame comes in, each byte is copied a bounded number of times."""
        connection = Connection()
        connection.receive_data(frame(0xA0, bytes(100))[:50])
        buffer = connection._buffer
        for _ in range(3):
            self.assertIsNone(connection.next_event())
            connection.receive_data(b"\0")
            buffer = connection._buffer
        connection.receive_data(b"\0")
        self.assertIs(connection._buffer, buffer)


class LastFrameTests(SynchronousTestCase):
    """The header for debug lines."""

    def test_none_yet(self) -> None:
        """Before the first frame there is none."""
        self.assertIsNone(Connection().last_frame)

    def test_shown(self) -> None:
        """It shows type, flags and the size on the wire, also of a frame that was not understood."""
        connection = Connection()
        connection.receive_data(frame(0xA0, b"abc", flags=2))
        connection.next_event()
        self.assertEqual(str(connection.last_frame), "type=0xA0 flags=0x02 payload=3 bytes")
