"""How many frames of the frame limit a dear one is worth, so that a few of them do not cost what hundreds may."""

from __future__ import annotations

from typing import Final

from superchat.chat.dispatch import Event
from superchat.chat.reading import page_limit
from superchat.wire.messages import GetUnreadCounts, ListMessages

MESSAGES_PER_FRAME: Final = 4
TARGETS_PER_FRAME: Final = 8
PAYLOAD_BYTES_PER_FRAME: Final = 16_384
ANSWER_BYTES_PER_FRAME: Final = 4_096
"""So much of each costs the server about what it costs to read, understand and answer a PING: 70 µs."""


def weight(event: Event, payload_bytes: int) -> int:
    """How many frames more than one is a frame worth, by what it asks for and by its payload, decompressed.

    Opening a channel with a page of 50 messages is worth 12, the largest page 50, 500 unread counts 62.
    """
    extra = payload_bytes // PAYLOAD_BYTES_PER_FRAME
    if isinstance(event, ListMessages):
        extra += page_limit(event.limit) // MESSAGES_PER_FRAME
    elif isinstance(event, GetUnreadCounts):
        extra += len(event.targets) // TARGETS_PER_FRAME
    return extra
