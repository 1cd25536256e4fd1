"""What a subscriber receives, made up for tests."""

from __future__ import annotations

from superchat.loadtest.texts import Texts, run_name
from superchat.wire import frames
from superchat.wire import messages as wire

TEXTS = Texts(run_name(0xABCDEF), 64)
CHANNEL = 3


def broadcast(message_id: int, poster: int, sequence: int, *, due_us: int = 1000, channel_id: int = CHANNEL) -> bytes:
    """The frame of one post as a subscriber gets it."""
    return frames.encode(new_message(message_id, TEXTS.make(poster, sequence, due_us), channel_id))


def new_message(message_id: int, text: bytes, channel_id: int = CHANNEL) -> wire.NewMessage:
    """A root message of somebody anonymous."""
    return wire.NewMessage(
        message_id=message_id,
        channel_id=channel_id,
        author_nickname="~load00001",
        content=text,
        created_at=1,
        reply_count=0,
    )
