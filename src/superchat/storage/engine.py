"""What the parts of a storage engine are given: a way to its database, whatever that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from superchat.model import Account, Act, Message, NewAct, NewMessage
from superchat.storage.requests import Operation

T = TypeVar("T")


class SQLiteEngine:
    """Has operations run on the connections of one SQLite file."""

    def _write(self, operation: Operation[T]) -> Deferred[T]:
        """Run *operation* in a transaction that others may share, and answer when it is on stable storage."""
        raise NotImplementedError

    def _alone(self, operation: Operation[T]) -> Deferred[T]:
        """Run *operation* between two transactions of the others: it begins and ends its own, if it needs any."""
        raise NotImplementedError

    def _read(self, operation: Operation[T]) -> Deferred[T]:
        """Run *operation*, which only reads."""
        raise NotImplementedError


class MemoryEngine:
    """Answers at once."""

    def _answer(self, action: Callable[[], T]) -> Deferred[T]:
        """What *action* returns or raises; Unavailable while the storage is closed."""
        raise NotImplementedError

    # What one part does for another

    def _record(self, act: NewAct) -> Act:
        """Add a row to the audit log."""
        raise NotImplementedError

    def _attach_bans(self, nickname: str, account_id: int) -> None:
        """Make the bans of a nickname that was nobody's bans of the account that has taken it."""
        raise NotImplementedError

    def _end_participations(self, account: Account, ended_at: int) -> None:
        """Let an account that is being deleted leave all its direct conversations, and forget its invites."""
        raise NotImplementedError

    def _append(self, new: NewMessage) -> Message:
        """Add a message."""
        raise NotImplementedError

    def _next_channel_id(self) -> int:
        """An id that no channel ever had."""
        raise NotImplementedError

    def _remove_channel(self, channel_id: int) -> None:
        """Forget a channel without subchannels, and what was said in it."""
        raise NotImplementedError

    def _forget_positions(self, account_id: int) -> None:
        """Forget how far an account that is being deleted has read; whoever keeps that overrides this."""
