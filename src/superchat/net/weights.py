"""How many frames of the frame limit a dear one is worth, so that a few of them do not cost what hundreds may."""

from __future__ import annotations

from typing import Final

from superchat.chat.dispatch import Event
from superchat.chat.reading import page_limit
from superchat.wire.messages import GetUnreadCounts, ListMessages

MESSAGES_PER_FRAME: Final = 16
TARGETS_PER_FRAME: Final = 32
PAYLOAD_BYTES_PER_FRAME: Final = 16_384
ANSWER_BYTES_PER_FRAME: Final = 16_384
"""So much of each costs the server some 300 µs, four times what a PING does: nobody who reads along has to wait, and
who asks for nothing else all the time leaves the others their share."""


def weight(event: Event, payload_bytes: int) -> int:
    """How many frames more than one is a frame worth, by what it asks for and by its payload, decompressed.

    Opening a channel with a page of 50 messages is worth 3, the largest page 12, 500 unread counts 15.
    """
    extra = payload_bytes // PAYLOAD_BYTES_PER_FRAME
    if isinstance(event, ListMessages):
        extra += page_limit(event.limit) // MESSAGES_PER_FRAME
    elif isinstance(event, GetUnreadCounts):
        extra += len(event.targets) // TARGETS_PER_FRAME
    return extra
