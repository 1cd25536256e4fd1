"""Who takes part in which direct conversation, at hand without asking the storage."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

from superchat.chat.session import Session
from superchat.model import Participant

Identity: TypeAlias = tuple[int | None, int | None]
"""An account's id and None, or None and the key of a session without an account."""


def identity(participant: Participant) -> Identity:
    """By what a participant is known; its nickname may change."""
    return participant.account_id, participant.session_key


class Membership:
    """The participants of every direct conversation, by channel id (decisions 3.2)."""

    def __init__(self) -> None:
        self._participants: dict[int, list[Participant]] = {}
        self._channels: dict[Identity, dict[int, None]] = {}

    def add(self, everyone: Iterable[tuple[int, Participant]]) -> None:
        """Take in participants as they are stored, each with its channel id."""
        for channel_id, participant in everyone:
            self._participants.setdefault(channel_id, []).append(participant)
            self._channels.setdefault(identity(participant), {})[channel_id] = None

    def remove(self, channel_id: int, participant: Participant) -> None:
        """Forget a participant who has left for good; nothing happens when there is none."""
        whose = identity(participant)
        remaining = [other for other in self.of(channel_id) if identity(other) != whose]
        if not remaining:
            self.forget(channel_id)
        elif len(remaining) < len(self._participants[channel_id]):
            self._participants[channel_id] = remaining
            self._discard(whose, channel_id)

    def forget(self, channel_id: int) -> None:
        """Forget a conversation that is over."""
        for participant in self._participants.pop(channel_id, ()):
            self._discard(identity(participant), channel_id)

    def of(self, channel_id: int) -> Collection[Participant]:
        """Who takes part in a conversation."""
        return tuple(self._participants.get(channel_id, ()))

    def role(self, session: Session, channel_id: int) -> Participant | None:
        """As which participant *session* takes part, if it does: as its account, or as itself."""
        for participant in self._participants.get(channel_id, ()):
            if speaks_for(session, participant):
                return participant
        return None

    def channels(self, participant: Participant) -> Collection[int]:
        """The conversations that somebody takes part in."""
        return tuple(self._channels.get(identity(participant), ()))

    def between(self, one: Participant, other: Participant) -> int | None:
        """The conversation that these two share."""
        theirs = self._channels.get(identity(other), {})
        return next((channel_id for channel_id in self.channels(one) if channel_id in theirs), None)

    def left_alone(self, participant: Participant) -> int:
        """In how many conversations somebody is the only one left."""
        return sum(len(self._participants[channel_id]) == 1 for channel_id in self.channels(participant))

    def _discard(self, whose: Identity, channel_id: int) -> None:
        channels = self._channels[whose]
        del channels[channel_id]
        if not channels:
            del self._channels[whose]


def speaks_for(session: Session, participant: Participant) -> bool:
    """Whether *session* is logged in to the participant's account, or is the participant itself."""
    if participant.account_id is None:
        return participant.session_key == session.key
    return participant.account_id == session.account_id
