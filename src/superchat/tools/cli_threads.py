"""Which threads to listen to, as servers allow only so many at a time."""

from __future__ import annotations

from typing import Final

from superchat.wire.messages import MessageEntry

MESSAGES_REMEMBERED: Final = 5000
UNLIMITED_THREADS: Final = 100  # what is enough where the server sets no limit


class Threads:
    """The threads one listens to, that with the oldest activity first, and which message belongs to which.

    ``followed`` is kept by others too: whoever restores a connection drops what the server no longer has.
    """

    def __init__(self, followed: dict[int, None]) -> None:
        self.followed = followed
        self.capacity = UNLIMITED_THREADS
        self._root_of: dict[int, int] = {}
        self._channel_of: dict[int, int] = {}

    def limit(self, maximum: int) -> None:
        """Take over a server's limit; 0 is none (decisions, "Limits of 0 mean unlimited")."""
        self.capacity = maximum or UNLIMITED_THREADS

    def root_of(self, message_id: int) -> int | None:
        """Return the root of a message's thread, which may be itself; None if that is not known."""
        return self._root_of.get(message_id)

    def channel_of(self, root_id: int) -> int | None:
        """Return the channel of a followed thread, None if it is not followed."""
        return self._channel_of.get(root_id) if root_id in self.followed else None

    def note(self, entry: MessageEntry) -> int | None:
        """Remember where a message belongs; a reply makes its thread the most recent. Return the root, if known."""
        root = entry.message_id if entry.parent_id is None else self._root_of.get(entry.parent_id)
        if root is not None:
            self.remember(entry.message_id, root)
            self.touch(root)
        return root

    def remember(self, message_id: int, root_id: int) -> None:
        """Remember that a message belongs to a thread; the oldest such knowledge is forgotten."""
        while len(self._root_of) >= MESSAGES_REMEMBERED:
            del self._root_of[next(iter(self._root_of))]
        self._root_of[message_id] = root_id

    def touch(self, root_id: int) -> None:
        """Something happened in a thread."""
        if root_id in self.followed:
            del self.followed[root_id]
            self.followed[root_id] = None

    def admit(self, root_id: int, channel_id: int) -> list[int]:
        """Follow a thread; return those to stop following, as there is no room for them any more."""
        self.followed.pop(root_id, None)
        surplus = max(0, len(self.followed) + 1 - self.capacity)
        dropped = list(self.followed)[:surplus]
        for each in dropped:
            del self.followed[each]
        self.followed[root_id] = None
        self._channel_of[root_id] = channel_id
        self._channel_of = {each: self._channel_of[each] for each in self.followed if each in self._channel_of}
        return dropped
