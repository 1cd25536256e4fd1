"""Who listens to which channel and thread, and the fan-out to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from superchat.chat.counters import Counters
from superchat.chat.session import Session
from superchat.wire.frames import COMPRESS_FROM_BYTES, Encoded
from superchat.wire.records import Message

Listeners: TypeAlias = dict[int, dict[Session, None]]


class ChannelRegistry:
    """Joined, subscribed and thread-subscribed sessions, kept in step with the sessions' own sets.

    A closed session is never added, whatever was still under way for it when it left.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._joined: Listeners = {}
        self._subscribers: Listeners = {}
        self._threads: Listeners = {}

    def join(self, session: Session, channel_id: int) -> None:
        """Make *channel_id* the one channel that *session* has joined."""
        if session.closed:
            return
        self.leave(session)
        session.joined = channel_id
        _add(self._joined, channel_id, session)

    def leave(self, session: Session) -> None:
        """Undo `join`; nothing happens when nothing is joined."""
        if session.joined is not None:
            _discard(self._joined, session.joined, session)
            session.joined = None

    def subscribe_channel(self, session: Session, channel_id: int) -> None:
        """Deliver the root messages of *channel_id* to *session*."""
        if not session.closed:
            session.channels.add(channel_id)
            _add(self._subscribers, channel_id, session)

    def unsubscribe_channel(self, session: Session, channel_id: int) -> None:
        """Undo `subscribe_channel`."""
        session.channels.discard(channel_id)
        _discard(self._subscribers, channel_id, session)

    def subscribe_thread(self, session: Session, root_id: int) -> None:
        """Deliver the replies under *root_id* to *session*."""
        if not session.closed:
            session.threads.add(root_id)
            _add(self._threads, root_id, session)

    def unsubscribe_thread(self, session: Session, root_id: int) -> None:
        """Undo `subscribe_thread`."""
        session.threads.discard(root_id)
        _discard(self._threads, root_id, session)

    def forget(self, session: Session) -> None:
        """Remove a session that has left from everything."""
        self.leave(session)
        for channel_id in tuple(session.channels):
            self.unsubscribe_channel(session, channel_id)
        for root_id in tuple(session.threads):
            self.unsubscribe_thread(session, root_id)

    def joined(self, channel_id: int) -> Collection[Session]:
        """The sessions that have joined a channel."""
        return self._joined.get(channel_id, {}).keys()

    def subscribers(self, channel_id: int) -> Collection[Session]:
        """The sessions that get a channel's root messages."""
        return self._subscribers.get(channel_id, {}).keys()

    def thread_subscribers(self, root_id: int) -> Collection[Session]:
        """The sessions that get a thread's replies."""
        return self._threads.get(root_id, {}).keys()

    def audience(self, channel_id: int) -> Iterator[Session]:
        """Everyone who sees a channel: joined or subscribed, each once."""
        subscribers = self._subscribers.get(channel_id, {})
        yield from subscribers
        for session in self._joined.get(channel_id, {}):
            if session not in subscribers:
                yield session

    def publish(self, recipients: Iterable[Session], message: Message) -> int:
        """Send *message* to each of *recipients* and return how many there were; it is encoded once, whatever
        their number (architecture: the life of one POST_MESSAGE)."""
        encoded = Encoded(message)
        plain = encoded.plain
        number = 0
        if len(plain) < COMPRESS_FROM_BYTES:
            for number, session in enumerate(recipients, 1):
                session.peer.write(plain)
        else:
            for number, session in enumerate(recipients, 1):
                session.peer.write(encoded.for_version(session.peer.version))
        self._counters.sent[message.NAME] += number
        return number


def _add(listeners: Listeners, key: int, session: Session) -> None:
    listeners.setdefault(key, {})[session] = None


def _discard(listeners: Listeners, key: int, session: Session) -> None:
    sessions = listeners.get(key)
    if sessions is not None:
        sessions.pop(session, None)
        if not sessions:
            del listeners[key]
