"""Who is here: presence events are collected for a moment, encoded once, and written once per session.

A storm of n arrivals would otherwise cost n * n frames and as many writes (decisions 5.1). The session that acts
sees its own event at once, in the reference's order; everybody else gets it with the next batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from superchat.chat.counters import Counters
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.wire import frames
from superchat.wire.messages import ChannelPresence, ServerPresence

COLLECT_SECONDS: Final = 0.09
"""How long events wait for company; decisions 5.1 allows 100 ms."""


class Feed:
    """One ordered stream of encoded events, and how far each member of its audience has followed it.

    Pending events have positions 0, 1, 2 …; a member without an entry in *seen* has seen none of them.
    """

    def __init__(self, name: str, audience: Callable[[], Iterable[Session]], counters: Counters) -> None:
        self._name = name
        self._audience = audience
        self._counters = counters
        self._frames: list[bytes] = []
        self._seen: dict[Session, int] = {}
        self._told = 0

    def seen(self, session: Session) -> int:
        """The position of the first pending event that *session* has not seen."""
        return self._seen.get(session, 0)

    def skip(self, session: Session) -> None:
        """Let *session* hear only of what comes from now on."""
        if self._frames:
            self._seen[session] = len(self._frames)

    def catch_up(self, session: Session) -> None:
        """Send *session* at once what is pending, so that what follows reaches it in order."""
        if self._frames:
            self.send(session, self._frames[self.seen(session) :])
            self.tell(session)

    def tell(self, session: Session) -> None:
        """Note that *session* knows, from elsewhere, everything that is pending."""
        self.skip(session)
        self._told = len(self._frames)

    def send(self, session: Session, frames: Iterable[bytes]) -> None:
        """Write frames of this feed to one session, and count them."""
        present = [frame for frame in frames if frame]
        if present:
            session.peer.write(b"".join(present))
            self._counters.sent[self._name] += len(present)

    def append(self, session: Session, frame: bytes) -> int:
        """Add an event of *session*, which is taken to know of it; return its position."""
        self._frames.append(frame)
        self._seen[session] = len(self._frames)
        return len(self._frames) - 1

    def retract(self, position: int) -> bool:
        """Take an event back, if nobody was told of it; whether that was possible."""
        if position < self._told:
            return False
        self._frames[position] = b""
        return True

    def drop(self, session: Session) -> None:
        """Forget a session that has left."""
        self._seen.pop(session, None)

    def flush(self) -> None:
        """Send every member of the audience what it has not seen, in one write each."""
        pending, self._frames = self._frames, []
        seen_by, self._seen = self._seen, {}
        self._told = 0
        batch = b"".join(pending)
        if not batch:
            return
        starts = list(accumulate(map(len, pending), initial=0))
        numbers = list(accumulate(map(bool, pending), initial=0))
        total = 0
        for session in self._audience():
            seen = seen_by.get(session, 0)
            if starts[seen] < len(batch):
                session.peer.write(batch[starts[seen] :] if seen else batch)
                total += numbers[-1] - numbers[seen]
        self._counters.sent[self._name] += total


class Presence:
    """SERVER_PRESENCE to everyone and CHANNEL_PRESENCE to those who see the channel.

    Sessions without a nickname hear of others, but nobody hears of them (reference section 3).
    """

    def __init__(
        self,
        clock: IReactorTime,
        registry: ChannelRegistry,
        everyone: Callable[[], Iterable[Session]],
        counters: Counters,
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._counters = counters
        self._came = Feed(ServerPresence.NAME, everyone, counters)
        self._went = Feed(ServerPresence.NAME, everyone, counters)
        self._channels: dict[int, Feed] = {}
        self._snapshot: dict[Session, bytes] = {}
        self._arrivals: dict[Session, int] = {}
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def connected(self, session: Session) -> None:
        """Let a new session hear of what happens from now on."""
        self._came.skip(session)
        self._went.skip(session)

    def online(self, session: Session) -> None:
        """Announce a first or changed nickname; a first one also earns the snapshot of who is here already."""
        frame = frames.encode(_server_presence(session, online=True))
        arrival = session not in self._snapshot
        if arrival:
            self._came.send(session, self._snapshot.values())
            self._came.tell(session)
        else:
            self._came.catch_up(session)
        self._went.catch_up(session)
        self._snapshot[session] = frame
        self._came.send(session, [frame])
        position = self._came.append(session, frame)
        if arrival:
            self._arrivals[session] = position
        self._schedule()

    def offline(self, session: Session) -> None:
        """Announce that a session has left; nothing is said of one that nobody heard of (decisions 5.1)."""
        self._came.drop(session)
        self._went.drop(session)
        if self._snapshot.pop(session, None) is None:
            return
        arrival = self._arrivals.pop(session, None)
        if arrival is None or not self._came.retract(arrival):
            self._went.append(session, frames.encode(_server_presence(session, online=False)))
            self._schedule()

    def joined(self, session: Session, channel_id: int) -> None:
        """Announce that *session* is in the channel."""
        self._in_channel(session, channel_id, joined=True)

    def left(self, session: Session, channel_id: int) -> None:
        """Announce that *session* is no longer in the channel; call it while the session still is."""
        self._in_channel(session, channel_id, joined=False)

    def entering(self, session: Session, channel_id: int) -> None:
        """Call before *session* joins or subscribes: it hears only of what comes from now on."""
        feed = self._channels.get(channel_id)
        if feed is not None and session.joined != channel_id and channel_id not in session.channels:
            feed.skip(session)

    def leaving(self, session: Session, channel_id: int) -> None:
        """Call before *session* unsubscribes: it gets what is still pending."""
        feed = self._channels.get(channel_id)
        if feed is not None and channel_id in session.channels:
            feed.catch_up(session)

    def flush(self) -> None:
        """Send everything that was collected: who came, what happened in the channels, who went.

        So everybody hears of a session before it joins, and that it has left its channel before it is gone.
        """
        self._cancel()
        self._came.flush()
        self._arrivals.clear()
        channels, self._channels = self._channels, {}
        for feed in channels.values():
            feed.flush()
        self._went.flush()

    def stop(self) -> None:
        """Collect and send nothing more: no presence is sent during shutdown (reference section 1.5)."""
        self._stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _in_channel(self, session: Session, channel_id: int, *, joined: bool) -> None:
        feed = self._channels.get(channel_id)
        if session.nickname is None:
            if feed is not None and not joined:
                feed.catch_up(session)
            return
        if feed is None:
            feed = Feed(ChannelPresence.NAME, lambda: self._registry.audience(channel_id), self._counters)
            self._channels[channel_id] = feed
        frame = frames.encode(_channel_presence(session, channel_id, joined=joined))
        if not session.closed:
            feed.catch_up(session)
            feed.send(session, [frame])
        feed.append(session, frame)
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(COLLECT_SECONDS, self.flush)


def _server_presence(session: Session, *, online: bool) -> ServerPresence:
    return ServerPresence(
        session_id=session.id,
        nickname=session.nickname or "",
        is_registered=False,
        user_id=None,
        user_flags=0,
        online=online,
    )


def _channel_presence(session: Session, channel_id: int, *, joined: bool) -> ChannelPresence:
    return ChannelPresence(
        channel_id=channel_id,
        subchannel_id=None,
        session_id=session.id,
        nickname=session.nickname or "",
        is_registered=False,
        user_id=None,
        user_flags=0,
        joined=joined,
    )
