"""Removal in memory, all at once."""

from __future__ import annotations

from collections import defaultdict

from twisted.internet.defer import Deferred

from superchat.ids import EPOCH_MS, SEQUENCE_BITS
from superchat.model import Act, Channel, Message, NewAct, Participant
from superchat.storage.engine import MemoryEngine
from superchat.storage.errors import UnknownChannel
from superchat.storage.interface import Expired, Swept


class MemoryRemoval(MemoryEngine):
    """``delete_channel``, ``expire`` and ``sweep`` of ``IStorage`` in dictionaries."""

    _channels: dict[int, Channel]  # other parts of the engine have these
    _messages: dict[int, Message]
    _threads: dict[int, list[int]]
    _versions: defaultdict[int, list[tuple[str, Message, str]]]
    _positions: dict[tuple[int, int], int]
    _participants: dict[int, list[Participant]]
    _operations: int

    def delete_channel(self, channel_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[list[int]]:
        return self._answer(lambda: self._delete_channel(channel_id, act))

    def expire(self, channel_id: int, before_ms: int, after_id: int = 0) -> Deferred[Expired]:
        return self._answer(lambda: self._expire(channel_id, before_ms, after_id))

    def sweep(self) -> Deferred[Swept]:
        return self._answer(lambda: Swept(0, 0, False))

    def _record(self, act: NewAct) -> Act:
        """Add a row to the audit log."""
        raise NotImplementedError

    def _remove_channel(self, channel_id: int) -> None:
        """Forget a channel without subchannels, and what was said in it."""
        del self._channels[channel_id]
        self._participants.pop(channel_id, None)
        for root_id in [root_id for root_id in self._threads if self._messages[root_id].channel_id == channel_id]:
            self._remove_thread(root_id)
        for position in [position for position in self._positions if position[1] == channel_id]:
            del self._positions[position]

    def _delete_channel(self, channel_id: int, act: NewAct | None) -> list[int]:
        if channel_id not in self._channels:
            raise UnknownChannel(f"there is no channel {channel_id}")
        gone = sorted(each.id for each in self._channels.values() if channel_id in (each.id, each.parent_id))
        for each in reversed(gone):
            self._remove_channel(each)
        if act is not None:
            self._record(act)
        self._operations += 1
        return gone

    def _expire(self, channel_id: int, before_ms: int, after_id: int) -> Expired:
        roots = [root_id for root_id in self._threads if root_id > after_id]
        due = [root_id for root_id in roots if self._messages[root_id].channel_id == channel_id]
        due = [root_id for root_id in due if self._age_ms(root_id) < before_ms]
        messages = sum(map(self._remove_thread, due))
        self._operations += 1
        return Expired(due, messages, None)

    def _age_ms(self, root_id: int) -> int:
        """The time of a thread's newest living message, or of its root without one."""
        thread = [self._messages[message_id] for message_id in self._threads[root_id]]
        living = [message for message in thread if message.deleted_at is None]
        return max(max(each.created_at, (each.id >> SEQUENCE_BITS) + EPOCH_MS) for each in living or thread[:1])

    def _remove_thread(self, root_id: int) -> int:
        thread = self._threads.pop(root_id)
        for message_id in thread:
            del self._messages[message_id]
            self._versions.pop(message_id, None)
        return len(thread)
