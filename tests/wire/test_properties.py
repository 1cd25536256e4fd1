"""What holds for any message and any bytes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import frames
from superchat.wire.connection import Connection
from superchat.wire.errors import Malformed
from superchat.wire.fields import Trailing
from superchat.wire.messages import BY_CODE
from superchat.wire.records import Message
from tests.wire.strategies import REPEATABLE, messages, mutated_streams, records
from tests.wire.streams import bytewise, outcomes, split


def shorter_forms(message: Message) -> dict[int, Message]:
    """The cuts of a message's payload that leave out just a trailing field, and what they mean."""
    forms = {}
    for name, codec in message.FIELDS.items():
        if isinstance(codec, Trailing):
            without = evolve(message, name, None).pack()
            forms[len(without)] = evolve(message, name, codec.default)
    return forms


def evolve(message: Message, name: str, value: object) -> Message:
    """The same message with another value in one field."""
    fields = {field: getattr(message, field) for field in message.FIELDS}
    return type(message)(**{**fields, name: value})


class PayloadPropertyTests(SynchronousTestCase):
    """Payloads of every message."""

    def test_round_trip(self) -> None:
        """Whatever is packed unpacks to the same message."""
        for cls in BY_CODE.values():

            @settings(REPEATABLE, max_examples=8)
            @given(records(cls))
            def check(message: Message) -> None:
                self.assertEqual(type(message).unpack(message.pack()), message)

            check()

    def test_truncation(self) -> None:
        """A payload cut anywhere is refused, unless the cut leaves out just a trailing field (wire 4)."""

        @settings(REPEATABLE, max_examples=100)
        @given(messages())
        def check(message: Message) -> None:
            payload, forms = message.pack(), shorter_forms(message)
            for size in range(len(payload)):
                if size in forms:
                    self.assertEqual(type(message).unpack(payload[:size]), forms[size])
                else:
                    self.assertRaises(Malformed, type(message).unpack, payload[:size])

        check()

    def test_surplus(self) -> None:
        """Bytes behind the last field are ignored, unless a trailing field was left out (wire 4)."""

        @REPEATABLE
        @given(messages(), st.binary(min_size=1, max_size=20))
        def check(message: Message, surplus: bytes) -> None:
            payload = message.pack()
            if len(payload) not in shorter_forms(message):
                self.assertEqual(type(message).unpack(payload + surplus), message)

        check()

    def test_any_bytes(self) -> None:
        """Any bytes are a message or Malformed; such a message packs to something that reads the same."""

        @REPEATABLE
        @given(st.sampled_from(list(BY_CODE.values())), st.binary(max_size=120))
        def check(cls: type[Message], payload: bytes) -> None:
            try:
                message = cls.unpack(payload)
            except Malformed as error:
                self.assertEqual((error.code, error.name), (cls.CODE, cls.NAME))
            else:
                self.assertEqual(cls.unpack(message.pack()), message)

        check()

    def test_accept_takes_what_unpack_takes(self) -> None:
        """Receivers are kinder than the codec, never stricter, and read the same from the same bytes."""

        @REPEATABLE
        @given(messages())
        def check(message: Message) -> None:
            self.assertEqual(type(message).accept(message.pack()), message)

        check()

    def test_printable(self) -> None:
        """Any message can be shown on one line of bounded length for a log."""

        @REPEATABLE
        @given(messages())
        def check(message: Message) -> None:
            shown = str(message)
            self.assertEqual(shown.splitlines(), [shown])
            self.assertLess(len(shown), 1000)
            shown.encode()

        check()


class StreamPropertyTests(SynchronousTestCase):
    """Streams through a Connection."""

    def test_frames(self) -> None:
        """Frames come through as their messages, whatever their compression and however they are cut."""

        @REPEATABLE
        @given(
            st.lists(st.tuples(messages(), st.booleans()), max_size=4),
            st.lists(st.integers(0, 2000), max_size=6),
        )
        def check(sent: list[tuple[Message, bool]], cuts: list[int]) -> None:
            stream = b"".join(frames.encode(message, compress=compress) for message, compress in sent)
            self.assertEqual(outcomes(split(stream, cuts)), [message for message, _ in sent])

        check()

    def test_splits(self) -> None:
        """Where a stream is cut into pieces decides about nothing, even when its frames are bad."""

        @settings(REPEATABLE, max_examples=120)
        @given(mutated_streams(), st.lists(st.integers(0, 2000), max_size=6))
        def check(stream: bytes, cuts: list[int]) -> None:
            whole = outcomes([stream])
            self.assertEqual(outcomes(split(stream, cuts)), whole)
            self.assertEqual(outcomes(bytewise(stream)), whole)

        check()

    def test_any_bytes(self) -> None:
        """Any bytes give documented outcomes only, and never make the buffer larger than they are."""

        @REPEATABLE
        @given(st.binary(max_size=300))
        def check(stream: bytes) -> None:
            outcomes([stream])
            connection = Connection()
            connection.receive_data(stream)
            self.assertLessEqual(connection.buffered_bytes, len(stream))

        check()
