"""Who listens to which channel and thread, and is told of what happens there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set

from superchat.chat.audiences import Audiences
from superchat.chat.counters import Counters
from superchat.chat.fanout import FanOut
from superchat.chat.session import NOTHING, Session
from superchat.wire.frames import Encoded
from superchat.wire.records import Message


class ChannelRegistry:
    """Joined, subscribed and thread-subscribed sessions, kept in step with the sessions' own sets.

    A closed session is never added, whatever was still under way for it when it left. What was published before a
    change goes to those who listened then.
    """

    def __init__(self, counters: Counters, fanout: FanOut) -> None:
        self._counters = counters
        self._fanout = fanout
        self._joined = Audiences()
        self.channel_audiences = Audiences()
        """Those subscribed to channels."""
        self.thread_audiences = Audiences()
        """Those subscribed to threads."""
        self._channel_of: dict[int, int] = {}
        self._threads_of: dict[int, set[int]] = {}

    def join(self, session: Session, channel_id: int) -> None:
        """Make *channel_id* the one channel that *session* has joined."""
        if session.closed:
            return
        self.leave(session)
        session.joined = channel_id
        self._joined.add(channel_id, session)

    def leave(self, session: Session) -> None:
        """Undo `join`; nothing happens when nothing is joined."""
        if session.joined is not None:
            self._joined.discard(session.joined, session)
            session.joined = None

    def subscribe_channel(self, session: Session, channel_id: int) -> None:
        """Deliver the root messages of *channel_id* to *session*."""
        if not session.closed:
            self._fanout.deliver()
            session.channels = _with(session.channels, channel_id)
            self.channel_audiences.add(channel_id, session)

    def unsubscribe_channel(self, session: Session, channel_id: int) -> None:
        """Undo `subscribe_channel`."""
        self._fanout.deliver()
        session.channels = _without(session.channels, channel_id)
        if self.channel_audiences.discard(channel_id, session):
            self._counters.channel_deliveries.forget(channel_id)

    def subscribe_thread(self, session: Session, root_id: int, channel_id: int) -> None:
        """Deliver the replies under *root_id*, which is in *channel_id*, to *session*."""
        if not session.closed:
            self._fanout.deliver()
            session.threads = _with(session.threads, root_id)
            self.thread_audiences.add(root_id, session)
            self._channel_of[root_id] = channel_id
            self._threads_of.setdefault(channel_id, set()).add(root_id)

    def unsubscribe_thread(self, session: Session, root_id: int) -> None:
        """Undo `subscribe_thread`."""
        self._fanout.deliver()
        session.threads = _without(session.threads, root_id)
        if self.thread_audiences.discard(root_id, session):
            self._counters.thread_deliveries.forget(root_id)
            channel_id = self._channel_of.pop(root_id)
            siblings = self._threads_of[channel_id]
            siblings.discard(root_id)
            if not siblings:
                del self._threads_of[channel_id]

    def places(self, session: Session) -> set[int]:
        """The channels that *session* hears of: joined, subscribed to, or with a thread that it is subscribed to."""
        threads = {self._channel_of[root_id] for root_id in session.threads}
        joined = () if session.joined is None else (session.joined,)
        return threads.union(session.channels, joined)

    def withdraw(self, session: Session, channel_id: int) -> bool:
        """Take *session* out of a channel altogether: it hears nothing more from it, nor from a thread in it.

        Returns whether it had joined.
        """
        had_joined = session.joined == channel_id
        if had_joined:
            self.leave(session)
        self.unsubscribe_channel(session, channel_id)
        for root_id in session.threads & self._threads_of.get(channel_id, set()):
            self.unsubscribe_thread(session, root_id)
        return had_joined

    def forget_thread(self, root_id: int) -> None:
        """A thread is gone: nobody is subscribed to it any more."""
        for session in tuple(self.thread_subscribers(root_id)):
            self.unsubscribe_thread(session, root_id)

    def forget_channel(self, channel_id: int) -> None:
        """A channel is gone: nobody has joined it, or is subscribed to it or to one of its threads, any more."""
        for session in tuple(self.joined(channel_id)):
            self.leave(session)
        for session in tuple(self.subscribers(channel_id)):
            self.unsubscribe_channel(session, channel_id)
        for root_id in tuple(self._threads_of.get(channel_id, ())):
            self.forget_thread(root_id)

    def forget(self, session: Session) -> None:
        """Remove a session that has left from everything."""
        self._fanout.deliver()
        self.leave(session)
        for channel_id in tuple(session.channels):
            self.unsubscribe_channel(session, channel_id)
        for root_id in tuple(session.threads):
            self.unsubscribe_thread(session, root_id)

    def joined(self, channel_id: int) -> Collection[Session]:
        """The sessions that have joined a channel."""
        return self._joined.of(channel_id).keys()

    def subscribers(self, channel_id: int) -> Collection[Session]:
        """The sessions that get a channel's root messages."""
        return self.channel_audiences.of(channel_id)

    def thread_subscribers(self, root_id: int) -> Collection[Session]:
        """The sessions that get a thread's replies."""
        return self.thread_audiences.of(root_id)

    def audience(self, channel_id: int) -> Iterator[Session]:
        """Everyone who sees a channel: joined or subscribed, each once."""
        subscribers = self.channel_audiences.of(channel_id)
        yield from subscribers
        for session in self._joined.of(channel_id):
            if session not in subscribers:
                yield session

    def publish(self, recipients: Collection[Session], message: Message) -> int:
        """Send *message* to each of *recipients* and return how many there were; it is encoded once, whatever
        their number (architecture: the life of one POST_MESSAGE)."""
        self._fanout.send(recipients, Encoded(message))
        self._counters.sent[message.NAME] += len(recipients)
        return len(recipients)

    def publish_soon(self, recipients: Collection[Session], message: Message) -> None:
        """The same together with others, at the end of this turn: for what answers nobody, since answers come first."""
        self._fanout.gather(recipients, Encoded(message))
        self._counters.sent[message.NAME] += len(recipients)


def _with(ids: Set[int], new: int) -> set[int]:
    """A session's subscriptions and one more, in the same set from the first one on."""
    if not isinstance(ids, set):
        return {*ids, new}
    ids.add(new)
    return ids


def _without(ids: Set[int], old: int) -> Set[int]:
    """A session's subscriptions without one of them, if it is one."""
    if isinstance(ids, set):
        ids.discard(old)
    return ids or NOTHING
