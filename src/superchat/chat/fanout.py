"""Writes messages to their audiences, those for the same one together."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from superchat.chat.broadcasts import Broadcasts
from superchat.chat.session import Session
from superchat.wire.frames import COMPRESS_FROM_BYTES, Encoded

MOST_BYTES: Final = 65_536
"""As much is gathered for an audience before it is written."""


class FanOut:
    """Gathers messages that follow each other to the same audience, until the write queue's next turns.

    So a write for each recipient and turn is enough, however many messages there are. They are written in the order
    in which they were sent, over all audiences. An audience is the same while it is the same object: whoever
    changes one MUST call `deliver` before.
    """

    def __init__(self, broadcasts: Broadcasts) -> None:
        self._broadcasts = broadcasts
        self._recipients: Collection[Session] = ()
        self._frames: list[bytes] = []
        self._bytes = 0
        self._is_due = False

    def send(self, recipients: Collection[Session], message: Encoded) -> None:
        """Write *message* to each of *recipients* now, encoded once whatever their number, and compressed for those
        who can read that."""
        self.deliver()
        frame = message.plain
        if len(frame) < COMPRESS_FROM_BYTES:
            for session in recipients:
                session.peer.write(frame)
        else:
            for session in recipients:
                session.peer.write(message.for_version(session.peer.version))
        self._broadcasts.written()

    def gather(self, recipients: Collection[Session], message: Encoded) -> None:
        """Write *message* to each of *recipients* soon, a short one together with those before and after it.

        What is written to one of them in the meantime comes before it.
        """
        frame = message.plain
        if len(frame) >= COMPRESS_FROM_BYTES:
            self.send(recipients, message)
            return
        if recipients is not self._recipients or self._bytes >= MOST_BYTES:
            self.deliver()
            self._recipients = recipients
        self._frames.append(frame)
        self._bytes += len(frame)
        if not self._is_due:
            self._is_due = True
            self._broadcasts.before_turns(self._come)

    def deliver(self) -> None:
        """Write what was gathered."""
        if not self._frames:
            return
        frames = self._frames[0] if len(self._frames) == 1 else b"".join(self._frames)
        recipients, self._recipients = self._recipients, ()
        self._frames.clear()
        self._bytes = 0
        for session in recipients:
            session.peer.write(frames)
        self._broadcasts.written()

    def _come(self) -> None:
        self._is_due = False
        self.deliver()
