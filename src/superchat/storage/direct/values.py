"""What a direct conversation is like, on every storage engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from superchat.model import Channel, ChannelType, NewMessage, Participant
from superchat.storage.integers import key

RETENTION_HOURS: Final = 168
"""How long messages of direct conversations are kept (reference section 6)."""

MOST_INVITES: Final = 100
"""How many invites of one initiator, and to one target, may be pending: nobody fills the database with them."""

Party: TypeAlias = tuple[int | None, int | None]
"""The account, or the session's key, by which a participant is known."""


def party(participant: Participant) -> Party:
    """By what a participant is known, and found in the database; its nickname may change."""
    return key(participant.account_id), key(participant.session_key)


def direct_channel(channel_id: int, participants: Sequence[Participant], created_at: int) -> Channel:
    """The channel of a direct conversation, as the reference names it (section 6)."""
    numbers = sorted(number for each in participants for number in party(each) if number is not None)
    return Channel(
        id=channel_id,
        name="_".join(["dm", *map(str, numbers)]),
        display_name="Direct Message",
        description="",
        channel_type=ChannelType.CHAT,
        retention_hours=RETENTION_HOURS,
        parent_id=None,
        created_by=None,
        created_at=created_at,
        is_direct=True,
    )


def farewell(channel_id: int, participant: Participant, left_at: int) -> NewMessage:
    """What the server notes when somebody leaves for good (reference 6.5): a message without an author."""
    return NewMessage(
        channel_id=channel_id,
        parent_id=None,
        author_nickname="",
        author_session=0,
        content=f"{participant.nickname} has left the conversation".encode(),
        created_at=left_at,
    )
