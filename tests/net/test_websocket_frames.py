"""Tests for `superchat.net.websocket_frames`."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping

from superchat.net.websocket_frames import THROTTLE_SECONDS, FrameAllowance, MessageSizeLimit, as_messages
from tests.net.websocket_peer import client_frame, protocol_frame

# A WebSocket header is 2, 4 or 10 bytes long; sizes on both sides of each step.
SIZES = (7, 125, 126, 127, 65_535, 65_536, 1_048_580)


def read_messages(data: bytes) -> list[bytes]:
    """The binary messages a client reads, as wsproto sees them."""
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(data)
    messages = []
    for event in client.events():
        assert isinstance(event, BytesMessage)
        assert event.message_finished
        messages.append(bytes(event.data))
    return messages


class AsMessages(SynchronousTestCase):
    """`as_messages`."""

    def test_sizes(self) -> None:
        """A protocol frame of any size is one binary message (decisions 1.3)."""
        for size in SIZES:
            frame = protocol_frame(size)
            self.assertEqual(read_messages(as_messages(frame)), [frame])

    def test_several(self) -> None:
        """Frames that come joined are one binary message each (decisions 1.3)."""
        frames = [protocol_frame(size) for size in SIZES]
        self.assertEqual(read_messages(as_messages(b"".join(frames))), frames)

    def test_for_many(self) -> None:
        """What goes to many is made once, and anything else anew."""
        first, second = protocol_frame(9) + protocol_frame(7), protocol_frame(8)
        self.assertIs(as_messages(first), as_messages(first))
        self.assertEqual(read_messages(as_messages(second)), [second])
        self.assertEqual(b"".join(read_messages(as_messages(first))), first)

    def test_incomplete(self) -> None:
        """Not a byte is lost or moved if a frame comes in parts, wherever it is cut (wire 2)."""
        stream = protocol_frame(9) + protocol_frame(7) + protocol_frame(200)
        for cut in range(1, len(stream)):
            messages = read_messages(as_messages(stream[:cut])) + read_messages(as_messages(stream[cut:]))
            self.assertEqual(b"".join(messages), stream)
            self.assertNotIn(b"", messages)


class SizeLimit(SynchronousTestCase):
    """`MessageSizeLimit`, in a server's wsproto connection."""

    def setUp(self) -> None:
        self.server = Connection(ConnectionType.SERVER, [MessageSizeLimit(300)])

    def receive(self, data: bytes) -> list[Any]:
        """Feed the bytes one by one."""
        events: list[Any] = []
        for index in range(len(data)):
            self.server.receive_data(data[index : index + 1])
            events += self.server.events()
        return events

    def assert_too_big(self, events: list[Any]) -> None:
        self.assertIsInstance(events[-1], CloseConnection)
        self.assertEqual(events[-1].code, 1009)

    def test_largest(self) -> None:
        """A message that is exactly as large as allowed is read, and so is the next one."""
        for _ in range(3):
            events = self.receive(client_frame(0x82, bytes(300)))
            self.assertEqual([type(event) for event in events], [BytesMessage] * 300)

    def test_refused_by_header(self) -> None:
        """A larger one is refused as soon as its header is there, before any of its payload."""
        self.assert_too_big(self.receive(client_frame(0x82, announced_length=301)))

    def test_huge(self) -> None:
        """The largest length that can be written is refused like any other."""
        self.assert_too_big(self.receive(client_frame(0x82, announced_length=(1 << 63) - 1)))

    def test_fragments(self) -> None:
        """The limit is one for all fragments of a message; control frames between them do not count."""
        start = self.receive(client_frame(0x02, bytes(200)) + client_frame(0x89, bytes(125)))
        self.assertIsInstance(start[-1], Ping)
        self.assertEqual(len(self.receive(client_frame(0x00, bytes(100)))), 100)
        self.assert_too_big(self.receive(client_frame(0x80, announced_length=1)))

    def test_next_message(self) -> None:
        """After the last fragment counting starts anew."""
        self.receive(client_frame(0x02, bytes(200)) + client_frame(0x80, bytes(100)))
        self.assertEqual(len(self.receive(client_frame(0x82, bytes(300)))), 300)


class Allowance(SynchronousTestCase):
    """`FrameAllowance`."""

    def setUp(self) -> None:
        self.clock = Clock()

    def drain(self, allowance: FrameAllowance) -> int:
        """Take until there is nothing left; return how many that were."""
        taken = 0
        while allowance.take():
            taken += 1
        return taken

    def test_burst(self) -> None:
        """A second's worth may come at once, then nothing."""
        self.assertEqual(self.drain(FrameAllowance(self.clock, 100)), 100)

    def test_pace(self) -> None:
        """Over time exactly the rate is given (decisions 1.9), in portions of a tenth of a second's worth."""
        allowance = FrameAllowance(self.clock, 100)
        self.drain(allowance)
        portions = []
        for _ in range(40):
            self.clock.advance(THROTTLE_SECONDS / 4 + 1e-9)
            portions.append(self.drain(allowance))
        self.assertEqual(portions, [0, 0, 0, 10] * 10)

    def test_rest(self) -> None:
        """A long rest earns no more than one second's worth."""
        allowance = FrameAllowance(self.clock, 100)
        self.drain(allowance)
        self.clock.advance(3600)
        self.assertEqual(self.drain(allowance), 100)

    def test_clock_set_back(self) -> None:
        """A clock that is set back does not silence the peer for longer than a second."""
        self.clock.advance(5000)
        allowance = FrameAllowance(self.clock, 100)
        self.drain(allowance)
        self.clock.rightNow -= 3600
        self.assertEqual(self.drain(allowance), 100)

    def test_slow_rate(self) -> None:
        """A rate of less than one frame in a tenth of a second is kept too."""
        allowance = FrameAllowance(self.clock, 2)
        self.assertEqual(self.drain(allowance), 2)
        self.clock.advance(0.25)
        self.assertEqual(self.drain(allowance), 0)
        self.clock.advance(0.25)
        self.assertEqual(self.drain(allowance), 1)

    def test_dear(self) -> None:
        """What counts for several is given in advance, and waited for afterwards (decisions 1.9)."""
        allowance = FrameAllowance(self.clock, 10)
        self.assertEqual([allowance.take(6) for _ in range(3)], [True, True, False])
        portions = []
        for _ in range(10):
            self.clock.advance(THROTTLE_SECONDS + 1e-9)
            portions.append(self.drain(allowance))
        self.assertEqual(portions, [0, 0, *[1] * 8])

    def test_unlimited(self) -> None:
        """A rate of 0 is no limit."""
        allowance = FrameAllowance(self.clock, 0)
        self.assertTrue(all(allowance.take() for _ in range(10_000)))
