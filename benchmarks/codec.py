"""How long one message takes to encode and to decode, beside the least that the layout costs.

    python benchmarks/codec.py [--check]

The yardstick of each figure is measured in the same run: the same bytes, made or taken apart by a hand-written
sequence of ``struct`` calls, without classes, names or checks. ``--check`` exits with 1 if encoding NEW_MESSAGE or
decoding POST_MESSAGE takes more than 5 microseconds.
"""

from __future__ import annotations

import argparse
import struct
import sys
import timeit
from collections.abc import Callable

import attrs

from superchat.wire import frames
from superchat.wire.connection import Connection
from superchat.wire.messages import NewMessage, PostMessage

LIMIT_MICROSECONDS = 5.0
REPEATS = 25
CALLS = 4000

CONTENT = b"The quick brown fox jumps over the lazy dog. " * 4  # 180 bytes
NEW = NewMessage(
    message_id=1 << 61,
    channel_id=3,
    parent_id=1 << 60,
    author_user_id=42,
    author_nickname="alice",
    content=CONTENT,
    created_at=1_700_000_000_000,
    reply_count=0,
)
POST = PostMessage(channel_id=3, parent_id=1 << 60, content=CONTENT)
PAYLOAD = POST.pack()
FRAME = frames.encode(POST)

_HEAD = struct.Struct(">QQBBQBQH")
_TEXT = struct.Struct(">H")
_TAIL = struct.Struct(">qBI")
_POST = struct.Struct(">QBBQH")


def by_hand_encode() -> bytes:
    """NEW_MESSAGE of exactly this shape: which fields are absent is known."""
    nickname = NEW.author_nickname.encode()
    return (
        _HEAD.pack(NEW.message_id, NEW.channel_id, 0, 1, 1 << 60, 1, 42, len(nickname))
        + nickname
        + _TEXT.pack(len(CONTENT))
        + CONTENT
        + _TAIL.pack(NEW.created_at, 0, NEW.reply_count)
    )


def by_hand_decode() -> tuple[int, int, bytes]:
    """POST_MESSAGE of exactly this shape."""
    channel_id, _, _, parent_id, size = _POST.unpack_from(PAYLOAD)
    return channel_id, parent_id, PAYLOAD[_POST.size : _POST.size + size]


def through_connection() -> Callable[[], object]:
    """A frame from bytes to message, as a server does it."""
    connection = Connection()

    def receive() -> object:
        connection.receive_data(FRAME)
        event = connection.next_event()
        connection.next_event()
        return event

    return receive


@attrs.frozen
class Figure:
    """One measurement, what it is compared with, and whether the limit is for it."""

    name: str
    call: Callable[[], object]
    yardstick: Callable[[], object]
    limited: bool


FIGURES = (
    Figure("encode NEW_MESSAGE, payload", NEW.pack, by_hand_encode, True),
    Figure("encode NEW_MESSAGE, frame", lambda: frames.encode(NEW), by_hand_encode, True),
    Figure("decode POST_MESSAGE, payload", lambda: PostMessage.unpack(PAYLOAD), by_hand_decode, True),
    Figure("decode POST_MESSAGE, through Connection", through_connection(), by_hand_decode, False),
)


def microseconds(call: Callable[[], object]) -> float:
    """The best of many short runs: other work on the machine only ever adds time."""
    return min(timeit.repeat(call, number=CALLS, repeat=REPEATS)) / CALLS * 1e6


def main() -> int:
    """Print one line per figure; the exit status is 1 if --check is given and a limit is passed."""
    parser = argparse.ArgumentParser(description="Measure the codec.")
    parser.add_argument("--check", action="store_true", help="fail if a figure passes its limit")
    options = parser.parse_args()
    assert by_hand_encode() == NEW.pack()
    assert by_hand_decode() == (POST.channel_id, POST.parent_id, POST.content)
    too_slow = False
    for figure in FIGURES:
        taken, least = microseconds(figure.call), microseconds(figure.yardstick)
        limit = f"limit {LIMIT_MICROSECONDS:.0f} us" if figure.limited else ""
        print(f"{figure.name:40} {taken:6.2f} us   by hand {least:5.2f} us   ratio {taken / least:4.1f}   {limit}")
        too_slow |= figure.limited and taken > LIMIT_MICROSECONDS
    return 1 if options.check and too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
