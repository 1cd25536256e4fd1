"""Frames are cut out of a stream as the protocol's own decoder cuts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.splitting import FrameBuffer, new_message, split
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.errors import Broken
from tests.loadtest.streams import broadcast
from tests.loadtest.streams import new_message as message

ids = st.integers(0, 2**64 - 1)
maybe_ids = st.none() | ids


class SplitTests(SynchronousTestCase):
    """Whole frames, and what is left."""

    def test_all_cuts(self) -> None:
        """However the bytes of frames are cut, the frames come out whole and in order (wire 1)."""
        stream = broadcast(1, 0, 0) + frames.encode(wire.Pong(client_timestamp=1)) + broadcast(2, 0, 1)
        whole, end = split(stream)
        self.assertEqual(([code for code, _ in whole], end), ([0x8D, 0x90, 0x8D], len(stream)))
        for cut in range(len(stream) + 1):
            buffer = FrameBuffer()
            self.assertEqual(buffer.feed(stream[:cut]) + buffer.feed(stream[cut:]), whole)
        buffer = FrameBuffer()
        bytewise = [frame for at in range(len(stream)) for frame in buffer.feed(stream[at : at + 1])]
        self.assertEqual(bytewise, whole)

    def test_compressed(self) -> None:
        """A compressed frame gives the same payload as the plain one, should a server compress for us after all."""
        text = message(1, b"x" * 2000)
        compressed = frames.encode(text, compress=True)
        self.assertLess(len(compressed), 1000)
        self.assertEqual(split(compressed)[0], split(frames.encode(text))[0])

    def test_framing_lost(self) -> None:
        """An impossible length ends it (decisions 1.5)."""
        for length in (2, (1 << 20) + 1):
            self.assertRaises(Broken, split, length.to_bytes(4, "big") + b"\x02\x8d\x00")


class NewMessageTests(SynchronousTestCase):
    """The three fields that are read out of NEW_MESSAGE."""

    @given(ids, ids, maybe_ids, maybe_ids, maybe_ids, st.text(max_size=20), st.binary(max_size=80), maybe_ids)
    def test_every_shape(
        self,
        message_id: int,
        channel_id: int,
        subchannel_id: int | None,
        parent_id: int | None,
        author_user_id: int | None,
        nickname: str,
        content: bytes,
        edited_at: int | None,
    ) -> None:
        """Whichever optional fields are there, id, channel and text are found (wire 0x8D)."""
        payload = wire.NewMessage(
            message_id=message_id,
            channel_id=channel_id,
            subchannel_id=subchannel_id,
            parent_id=parent_id,
            author_user_id=author_user_id,
            author_nickname=nickname,
            content=content,
            created_at=0,
            edited_at=None if edited_at is None else edited_at % 2**40,
            reply_count=0,
        ).pack()
        self.assertEqual(new_message(payload), (message_id, channel_id, content))

    def test_too_short(self) -> None:
        """A payload that ends early is no message, wherever it ends."""
        payload = message(1, b"text").pack()
        for end in range(len(payload)):
            self.assertRaises(ValueError, new_message, payload[:end])
