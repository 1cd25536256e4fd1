"""The chat as a whole: what a transport may ask of it, and where its rules are put together."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from superchat.auth.passwords import Passwords, PasswordsAtOnce
from superchat.chat.accounts import Accounts
from superchat.chat.admin_password import AdminPassword
from superchat.chat.attempts import Attempts
from superchat.chat.bans import Bans
from superchat.chat.beginnings import announcement, seeds
from superchat.chat.broadcasts import Broadcasts
from superchat.chat.channels import ChannelDirectory, Channels
from superchat.chat.commands import Services, commands
from superchat.chat.counters import CloseCause, Counters
from superchat.chat.creating import WINDOW_SECONDS, Creating
from superchat.chat.deleting import Deleting
from superchat.chat.direct import Direct
from superchat.chat.dispatch import Dispatcher, Event
from superchat.chat.editing import Editing
from superchat.chat.fanout import FanOut
from superchat.chat.identity import Identity
from superchat.chat.limits import SlidingWindows
from superchat.chat.moderation import Moderation
from superchat.chat.moderation_requests import ModerationRequests
from superchat.chat.posting import Posting
from superchat.chat.presence import Presence
from superchat.chat.reading import Reading
from superchat.chat.registry import ChannelRegistry
from superchat.chat.retention import Retention
from superchat.chat.session import Peer, Session
from superchat.chat.sessions import Sessions, posting_rate
from superchat.chat.ssh_keys import SSHKeys
from superchat.chat.subscriptions import Subscriptions
from superchat.chat.unread import Unread
from superchat.chat.visibility import Visibility
from superchat.clocks import NowMs
from superchat.config import Config
from superchat.errors import Refused
from superchat.model import name_key
from superchat.storage.interface import IStorage
from superchat.wire import frames, messages
from superchat.wire.errors import ErrorCode

SHUTDOWN_REASON: Final = "Server shutting down for maintenance"

_EVERYWHERE: Final = Logger()


class Chat:
    """A chat server without transports. *activity* is told what clients do, a line for each act.

    A transport calls `connect` once per connection, `handle` for each event in order, one at a time, and
    `disconnected` when the connection is gone.
    """

    def __init__(
        self,
        config: Config,
        storage: IStorage,
        clock: IReactorTime,
        now_ms: NowMs,
        activity: Logger = _EVERYWHERE,
        passwords: Passwords | None = None,
    ) -> None:
        self.config = config
        self.now_ms = now_ms
        self.activity = activity
        self.counters = Counters()
        self.broadcasts = Broadcasts(clock)
        self.bans = Bans(now_ms)
        self.directory = ChannelDirectory()
        self.registry = ChannelRegistry(self.counters, FanOut(self.broadcasts))
        self.sessions = Sessions(config.limits, self.counters)
        self.presence = Presence(clock, self.registry, self.sessions.everyone, self.counters)
        self.moderation = Moderation(storage, self.bans, self.sessions, self.registry, now_ms, activity)
        interval = config.retention.cleanup_interval_minutes
        self.retention = Retention(storage, self.directory, self.registry, clock, now_ms, interval)
        self._recent_channels = SlidingWindows(WINDOW_SECONDS)
        self.direct = Direct(
            storage, self.directory, self.registry, self.sessions, self.presence, clock, now_ms, activity
        )
        self.moderation.account_deleted = self.direct.account_deleted
        self._storage = storage
        self._clock = clock
        self._account_posts = Attempts(config.limits.message_rate_limit)
        self.passwords = PasswordsAtOnce() if passwords is None else passwords
        self._attempts = Attempts(config.limits.max_auth_attempts_per_minute)
        self._go_by_config()

    async def start(self) -> None:
        """Load the channels and bans; a new database gets the seed channels of the configuration (decisions 4.13)."""
        await self._storage.seed_channels(seeds(self.config), self.now_ms())
        await self.direct.start()
        self.directory.add(await self._storage.channels())
        await self.bans.load(self._storage)
        server = self.config.server
        if server.admin_users and server.admin_password:
            admin = AdminPassword(self._storage, self.passwords, self.now_ms, self.activity)
            await admin.apply(server.admin_users[0], server.admin_password)

    def reconfigure(self, config: Config) -> None:
        """Go by other limits and reserved names from now on (decisions 9.5).

        Live sessions keep the limits of their connection: idle time, frame rate, bytes unread; and the
        SERVER_CONFIG they were sent.
        """
        if config.limits.message_rate_limit != self.config.limits.message_rate_limit:
            for session in self.sessions.everyone():
                session.posts = posting_rate(config.limits)
            self._account_posts = Attempts(config.limits.message_rate_limit)
        if config.limits.max_auth_attempts_per_minute != self.config.limits.max_auth_attempts_per_minute:
            self._attempts = Attempts(config.limits.max_auth_attempts_per_minute)
        self.config = config
        self.retention.interval_minutes = config.retention.cleanup_interval_minutes
        self.sessions.limits = config.limits
        self._go_by_config()

    def connect(self, address: str, peer: Peer) -> Session | None:
        """Greet a new connection with SERVER_CONFIG and admit it; None when it was turned away (decisions 1.1, 1.4)."""
        peer.write(self._server_config)
        self.counters.sent[messages.ServerConfig.NAME] += 1
        try:
            banned = self.bans.address_refusal(address)
            if banned is not None:
                raise Refused(ErrorCode.PERMISSION_DENIED, banned)
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
        self.direct.disconnected(session)
        self.counters.sessions_disconnected[cause] += 1

    def stop(self) -> None:
        """Announce nothing more: no presence is sent during shutdown (reference section 1.5)."""
        self.presence.stop()
        self.direct.stop()

    def _go_by_config(self) -> None:
        rate = self.config.limits.message_rate_limit
        self.moderation.protected = frozenset(map(name_key, self.config.server.admin_users))
        self.identity = self._identity()
        self._dispatcher = Dispatcher(
            commands(self._services()), self._clock, self.counters, self._account_posts, rate, self.activity
        )
        self._server_config = frames.encode(announcement(self.config))

    def _identity(self) -> Identity:
        server = self.config.server
        return Identity(
            self._storage,
            self.sessions,
            self.presence,
            self.bans,
            self.config.limits.max_nickname_length,
            frozenset(map(name_key, (*server.admin_users, *server.moderator_users))),
            self.activity,
        )

    def _services(self) -> Services:
        limits, direct = self.config.limits, self.direct
        identity = self.identity
        accounts = Accounts(
            self._storage,
            identity,
            self.passwords,
            self._attempts,
            self._clock,
            self.now_ms,
            self.activity,
            changed_hands=direct.changed_hands,
            logged_in=direct.logged_in,
        )
        ssh_keys = SSHKeys(self._storage, self.now_ms, self.activity)
        moderation = ModerationRequests(self.moderation)
        channels = Channels(self.directory, self.registry, self.presence, direct.conversations.leaving)
        creating = Creating(
            self._storage,
            self.directory,
            self.registry,
            self.sessions,
            self._clock,
            self.now_ms,
            self._recent_channels,
            limits.max_channel_creates,
            self.activity,
        )
        deleting = Deleting(
            self._storage,
            self.directory,
            self.registry,
            self.sessions,
            self.now_ms,
            self.retention.sweep_soon,
            self.activity,
        )
        visibility = Visibility(self._storage, self.directory, self.bans)
        reading = Reading(self._storage, self.directory, visibility)
        subscriptions = Subscriptions(
            self._storage, self.directory, visibility, self.registry, self.presence, limits
        )
        unread = Unread(self._storage, self.directory, visibility, self.now_ms)
        posting = Posting(
            self._storage,
            self.directory,
            visibility,
            self.registry,
            self._clock,
            self.now_ms,
            self.counters,
            self.broadcasts,
            limits.max_message_length,
            self.activity,
        )
        editing = Editing(
            self._storage,
            self.directory,
            visibility,
            self.registry,
            self.now_ms,
            limits.max_message_length,
            self.activity,
        )
        return Services(
            accounts=accounts,
            identity=identity,
            ssh_keys=ssh_keys,
            channels=channels,
            creating=creating,
            deleting=deleting,
            posting=posting,
            editing=editing,
            reading=reading,
            subscriptions=subscriptions,
            unread=unread,
            direct=direct,
            moderation=moderation,
        )
