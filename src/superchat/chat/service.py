"""The chat as a whole: what a transport may ask of it, and where its rules are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat.chat.broadcasts import Broadcasts
from superchat.chat.channels import ChannelDirectory, Channels
from superchat.chat.counters import CloseCause, Counters
from superchat.chat.dispatch import Command, Dispatcher, Event
from superchat.chat.identity import Identity
from superchat.chat.posting import Posting
from superchat.chat.presence import Presence
from superchat.chat.reading import Reading
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Peer, Session
from superchat.chat.sessions import Sessions, posting_rate
from superchat.chat.subscriptions import Subscriptions
from superchat.config import Config
from superchat.errors import Refused
from superchat.model import NewChannel
from superchat.storage.interface import IStorage
from superchat.wire import frames, messages
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message

INACTIVE_CLEANUP_DAYS: Final = 90
SHUTDOWN_REASON: Final = "Server shutting down for maintenance"

_EVERYWHERE: Final = Logger()


class Chat:
    """A chat server without transports. *activity* is told what clients do, a line for each act.

    A transport calls `connect` once per connection, `handle` for each event in order, one at a time, and
    `disconnected` when the connection is gone.
    """

    def __init__(
        self, config: Config, storage: IStorage, clock: IReactorTime, activity: Logger = _EVERYWHERE
    ) -> None:
        self.config = config
        self.activity = activity
        self.counters = Counters()
        self.broadcasts = Broadcasts(clock)
        self.directory = ChannelDirectory()
        self.registry = ChannelRegistry(self.counters)
        self.sessions = Sessions(config.limits, self.counters)
        self.presence = Presence(clock, self.registry, self.sessions.everyone, self.counters)
        self._storage = storage
        self._clock = clock
        self._go_by_config()

    async def start(self) -> None:
        """Load the channels; a new database gets the seed channels of the configuration (decisions 4.13)."""
        await self._storage.seed_channels(_seeds(self.config), int(self._clock.seconds() * 1000))
        self.directory.add(await self._storage.channels())

    def reconfigure(self, config: Config) -> None:
        """Go by other limits and reserved names from now on (decisions 9.5).

        Live sessions keep the limits of their connection: idle time, frame rate, bytes unread; and the
        SERVER_CONFIG they were sent.
        """
        if config.limits.message_rate_limit != self.config.limits.message_rate_limit:
            for session in self.sessions.everyone():
                session.posts = posting_rate(config.limits)
        self.config = config
        self.sessions.limits = config.limits
        self._go_by_config()

    def connect(self, address: str, peer: Peer) -> Session | None:
        """Greet a new connection with SERVER_CONFIG and admit it; None when it was turned away (decisions 1.1, 1.4)."""
        peer.write(self._server_config)
        self.counters.sent[messages.ServerConfig.NAME] += 1
        try:
            session = self.sessions.open(address, peer)
        except Refused as refused:
            self.counters.connections_refused[refused.code] += 1
            peer.write(frames.encode(messages.Error(error_code=refused.code, message=refused.text)))
            self.counters.sent[messages.Error.NAME] += 1
            peer.disconnect(refused.text, "refused")
            return None
        self.presence.connected(session)
        return session

    def handle(self, session: Session, event: Event) -> Deferred[None] | None:
        """Answer one event; the Deferred fires when the answer is complete, None means that it already is."""
        return self._dispatcher.handle(session, event)

    def disconnected(self, session: Session, cause: CloseCause) -> None:
        """Forget a session, and tell the others (reference section 1: order of close side effects)."""
        if session.closed:
            return
        session.closed = True
        joined = session.joined
        self.sessions.close(session)
        self.registry.forget(session)
        if joined is not None:
            self.presence.left(session, joined)
        self.presence.offline(session)
        self.counters.sessions_disconnected[cause] += 1

    def stop(self) -> None:
        """Announce nothing more: no presence is sent during shutdown (reference section 1.5)."""
        self.presence.stop()

    def _go_by_config(self) -> None:
        rate = self.config.limits.message_rate_limit
        self._dispatcher = Dispatcher(self._commands(), self._clock, self.counters, rate, self.activity)
        self._server_config = frames.encode(self._announcement())

    def _commands(self) -> Mapping[type[Message], Command]:
        limits = self.config.limits
        reserved = frozenset(name.lower() for name in self.config.server.admin_users)
        identity = Identity(self.sessions, self.presence, limits.max_nickname_length, reserved, self.activity)
        channels = Channels(self.directory, self.registry, self.presence)
        reading = Reading(self._storage, self.directory)
        subscriptions = Subscriptions(self._storage, self.directory, self.registry, self.presence, limits)
        posting = Posting(
            self._storage,
            self.directory,
            self.registry,
            self._clock,
            self.counters,
            self.broadcasts,
            limits.max_message_length,
            self.activity,
        )
        return {
            messages.SetNickname: Command(identity.set_nickname),
            messages.GetUserInfo: Command(identity.get_user_info),
            messages.ListUsers: Command(identity.list_users),
            messages.Ping: Command(_pong),
            messages.Disconnect: Command(_hang_up),
            messages.ListChannels: Command(channels.list_channels),
            messages.GetSubchannels: Command(channels.get_subchannels),
            messages.JoinChannel: Command(channels.join),
            messages.LeaveChannel: Command(channels.leave),
            messages.ListChannelUsers: Command(channels.list_users),
            messages.PostMessage: Command(posting.post, nickname=ErrorCode.AUTH_REQUIRED, rated=True),
            messages.DeleteMessage: Command(posting.delete, nickname=ErrorCode.NICKNAME_REQUIRED),
            messages.ListMessages: Command(reading.list_messages),
            messages.SubscribeChannel: Command(subscriptions.subscribe_channel),
            messages.UnsubscribeChannel: Command(subscriptions.unsubscribe_channel),
            messages.SubscribeThread: Command(subscriptions.subscribe_thread),
            messages.UnsubscribeThread: Command(subscriptions.unsubscribe_thread),
        }

    def _announcement(self) -> messages.ServerConfig:
        limits = self.config.limits
        return messages.ServerConfig(
            protocol_version=frames.VERSION,
            max_message_rate=limits.message_rate_limit,
            max_channel_creates=limits.max_channel_creates,
            inactive_cleanup_days=INACTIVE_CLEANUP_DAYS,
            max_connections_per_ip=limits.max_connections_per_ip,
            max_message_length=limits.max_message_length,
            max_thread_subscriptions=limits.max_thread_subscriptions,
            max_channel_subscriptions=limits.max_channel_subscriptions,
            directory_enabled=False,
        )


def _seeds(config: Config) -> list[NewChannel]:
    """The seed channels; a new database numbers them from 1, so a parent's id is known from its place."""
    ids = {seed.name.lower(): number for number, seed in enumerate(config.channels, 1) if not seed.parent}
    return [
        NewChannel(
            name=seed.name,
            display_name=seed.display_name,
            description=seed.description,
            channel_type=seed.channel_type,
            retention_hours=seed.retention_hours,
            parent_id=ids[seed.parent.lower()] if seed.parent else None,
        )
        for seed in config.channels
    ]


def _pong(session: Session, message: messages.Ping) -> None:
    session.reply(messages.Pong(client_timestamp=message.timestamp))


def _hang_up(session: Session, message: messages.Disconnect) -> None:
    session.peer.disconnect(None, "client")
