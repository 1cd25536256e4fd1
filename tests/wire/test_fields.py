"""Field codecs and what is compiled of them, on records made for these tests."""

from __future__ import annotations

import struct
import traceback

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire.errors import Malformed
from superchat.wire.fields import Integer, flag, given, optional, sequence, text, u8, u16
from superchat.wire.messages import BY_CODE, PostMessage
from superchat.wire.records import Record, record


@record("Port")
class Port(Record):
    """A record of fixed size."""

    number: int = u16("of a socket")
    open: bool = flag()


@record("Host")
class Host(Record):
    """A record with a list and a conditional field, none of which the protocol nests like this."""

    ports: tuple[Port, ...] = sequence(Port, count=u8())
    label: str | None = optional(text())
    kind: int = u8()
    comment: str | None = given("kind in [2, 3]", optional(text()))


@record("Network")
class Network(Record):
    """Records that hold records that hold records."""

    hosts: tuple[Host, ...] = sequence(Host)
    name: str = text()


class IntegerTests(SynchronousTestCase):
    """Numbers."""

    def test_bounds(self) -> None:
        """The declared bounds of every number in the protocol are exactly those that can be encoded."""
        numbers = {
            codec.core for cls in BY_CODE.values() for codec in cls.FIELDS.values() if isinstance(codec.core, Integer)
        }
        self.assertEqual({each.wire_type for each in numbers}, {"u8", "u16", "u32", "u64", "i64", "timestamp_ms"})
        for each in numbers:
            pack = struct.Struct(">" + each.format).pack
            pack(each.minimum)
            pack(each.maximum)
            self.assertRaises(struct.error, pack, each.minimum - 1)
            self.assertRaises(struct.error, pack, each.maximum + 1)


class RecordTests(SynchronousTestCase):
    """Records inside records."""

    def test_nested(self) -> None:
        """Records nest to any depth, and a reader is told where they end."""
        hosts = (
            Host(kind=1),
            Host(ports=(Port(number=1, open=True), Port(number=2, open=False)), kind=2, comment=""),
            Host(label="a", kind=3),
        )
        network = Network(hosts=hosts, name="n")
        data = network.write()
        self.assertEqual(Network.read(b"??" + data + b"!", 2), (network, 2 + len(data)))

    def test_bytes(self) -> None:
        """The bytes are those that the declaration spells out, field by field."""
        host = Host(ports=(Port(number=258, open=True),), label="a", kind=2, comment=None)
        self.assertEqual(host.write(), b"\x01\x01\x02\x01\x01\x00\x01a\x02\x00")

    def test_named(self) -> None:
        """Records and fields know how the protocol and its page call them."""
        self.assertEqual(Host.NAME, "Host")
        self.assertEqual(Host.FIELDS["ports"].wire_type, "list<Port>")
        self.assertEqual(Host.FIELDS["comment"].wire_type, "optional<string>")
        self.assertEqual(Host.FIELDS["comment"].when, "kind in [2, 3]")
        self.assertEqual(Port.FIELDS["number"].doc, "of a socket")

    def test_shown(self) -> None:
        """Records show like messages."""
        self.assertEqual(str(Host(kind=1, label="a")), "Host ports=<0 items> label='a' kind=1")


class CompiledTests(SynchronousTestCase):
    """The functions made from declarations."""

    def test_traceback(self) -> None:
        """A traceback shows the line of the compiled function that found a payload too short."""
        error = self.assertRaises(Malformed, PostMessage.unpack, b"short")
        assert error.__cause__ is not None
        lines = "".join(traceback.format_exception(error.__cause__))
        self.assertIn('"<superchat.wire PostMessage.read>"', lines)
        self.assertIn("unpack_Q_(payload, at)", lines)
