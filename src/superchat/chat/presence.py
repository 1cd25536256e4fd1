"""Who is here: presence events are collected for a moment, encoded once, and written once per session.

A storm of n arrivals would otherwise cost n * n frames and as many writes (decisions 5.1). The session that acts
sees its own event at once, in the reference's order; everybody else gets it with the next batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from superchat.chat.counters import Counters
from superchat.chat.feed import Feed
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.wire import frames
from superchat.wire.messages import ChannelPresence, ServerPresence

COLLECT_SECONDS: Final = 0.09
"""How long events wait for company; decisions 5.1 allows 100 ms."""


class Presence:
    """SERVER_PRESENCE to everyone and CHANNEL_PRESENCE to those who see the channel.

    - Sessions without a nickname hear of others, but nobody hears of them (reference section 3).
    - Nobody is told the same twice: who takes its first nickname gets a snapshot of only those of whom it has not
      heard since it connected (decisions 5.1).
    - Everybody hears of a session before it joins, and that it has left its channel before it is gone.
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
        self._connected_at: dict[Session, int] = {}
        self._present: dict[Session, tuple[int, bytes]] = {}
        self._arriving: dict[Session, list[int]] = {}
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def connected(self, session: Session) -> None:
        """Let a new session hear of what happens from now on."""
        self._came.skip(session)
        self._went.skip(session)
        self._connected_at[session] = self._came.end

    def online(self, session: Session) -> None:
        """Announce a first or changed nickname; a first one also earns the snapshot of who was here already."""
        connected_at = self._connected_at.pop(session, None)
        if connected_at is not None:
            self._arriving[session] = []
            self._came.tell(session, self._present_before(connected_at), connected_at)
        self._catch_up(session)
        frame = frames.encode(_server_presence(session, online=True))
        self._came.send(session, [frame])
        number = self._came.append(session, frame)
        self._present.pop(session, None)
        self._present[session] = number, frame
        if session in self._arriving:
            self._arriving[session].append(number)
        self._schedule()

    def offline(self, session: Session) -> None:
        """Announce that a session has left; nothing is said of one that nobody heard of (decisions 5.1)."""
        self._came.drop(session)
        self._went.drop(session)
        self._connected_at.pop(session, None)
        if self._present.pop(session, None) is None:
            return
        arrival = self._arriving.pop(session, None)
        if arrival is None or not self._came.retract(arrival):
            self._went.append(session, frames.encode(_server_presence(session, online=False)))
            self._schedule()

    def joined(self, session: Session, channel_id: int) -> None:
        """Announce that *session* is in the channel."""
        self._in_channel(session, channel_id, joined=True)

    def left(self, session: Session, channel_id: int) -> None:
        """Announce that *session* is no longer in the channel; call it while the session still is, or closed."""
        self._in_channel(session, channel_id, joined=False)

    def entering(self, session: Session, channel_id: int) -> None:
        """Call before *session* joins or subscribes: it hears only of what comes from now on."""
        feed = self._channels.get(channel_id)
        if feed is not None and not session.sees(channel_id):
            feed.skip(session)

    def leaving(self, session: Session) -> None:
        """Call before *session* unsubscribes: it gets what is still pending."""
        self._catch_up(session)

    def flush(self) -> None:
        """Send everything that was collected: who came, what happened in the channels, who went."""
        self._cancel()
        self._came.flush()
        self._arriving.clear()
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

    def _present_before(self, number: int) -> Iterator[bytes]:
        """The latest of each session's events, as far as they are older than an event of the `_came` feed."""
        for latest, frame in self._present.values():
            if latest >= number:
                return
            yield frame

    def _catch_up(self, session: Session) -> None:
        """Send *session* everything that is pending for it, in the order of `flush`."""
        self._came.catch_up(session)
        for channel_id, feed in self._channels.items():
            if session.sees(channel_id):
                feed.catch_up(session)
        self._went.catch_up(session)

    def _in_channel(self, session: Session, channel_id: int, *, joined: bool) -> None:
        if not session.closed:
            self._catch_up(session)
        if session.nickname is None:
            return
        feed = self._channels.get(channel_id)
        if feed is None:
            feed = Feed(ChannelPresence.NAME, lambda: self._registry.audience(channel_id), self._counters)
            self._channels[channel_id] = feed
        frame = frames.encode(_channel_presence(session, channel_id, joined=joined))
        if not session.closed:
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
        is_registered=session.account is not None,
        user_id=session.account_id,
        user_flags=session.user_flags,
        online=online,
    )


def _channel_presence(session: Session, channel_id: int, *, joined: bool) -> ChannelPresence:
    return ChannelPresence(
        channel_id=channel_id,
        subchannel_id=None,
        session_id=session.id,
        nickname=session.nickname or "",
        is_registered=session.account is not None,
        user_id=session.account_id,
        user_flags=session.user_flags,
        joined=joined,
    )
