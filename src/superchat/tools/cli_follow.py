"""Follows channels and their threads through lost connections: what tail and chat have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.client import ChatClient, ClientError, ConnectionClosed, Reconnecting
from superchat.client.protocol import EventListener
from superchat.tools.cli_ask import MESSAGES_PER_PAGE, REQUESTS_AT_ONCE, Declined, Questions
from superchat.tools.cli_identity import introduce
from superchat.tools.cli_incoming import Incoming
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Channel, Output
from superchat.tools.cli_threads import Threads
from superchat.wire import messages as wire
from superchat.wire.messages import MessageEntry
from superchat.wire.records import Message

MISSED_LIMIT: Final = 1000
"""How many messages of a channel are caught up on after a reconnection, and held back meanwhile."""

Listen = Callable[[EventListener], Deferred[ChatClient]]
"""Connects to the server; the listener gets the events."""

Find = Callable[[Questions], Awaitable[list[Channel]]]
"""Finds out which channels to follow, on the first connection."""


class View(Protocol):
    """Shows what happens in the followed channels."""

    def known(self, entry: MessageEntry) -> None:
        """A message from the past; it is not to be shown, unless ``message`` says so too."""

    def message(self, entry: MessageEntry, channel: Channel | None) -> None:
        """A message that was not shown before."""

    def edited(self, event: wire.MessageEdited) -> None:
        """A message has another text now."""

    def deleted(self, event: wire.MessageDeleted) -> None:
        """A message is gone."""

    def presence(self, event: wire.ChannelPresence) -> None:
        """Somebody entered or left a joined channel."""

    def direct(self, event: Message) -> None:
        """Something happened to a private conversation that nobody waited for."""

    def entered(self) -> None:
        """The channels are entered and their past is shown; called once."""


class Follower:
    """Shows every message of some channels once, in the order of their ids, whatever happens to the connection.

    While it connects, catches up and is disconnected, live messages are held back. Then the server is asked
    for those that are newer than the last one shown. Replies come only from threads that one subscribes to:
    ``Threads`` chooses them.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        listen: Listen,
        options: Options,
        output: Output,
        view: View,
        *,
        find: Find,
        join: bool,
    ) -> None:
        self.channels: dict[int, Channel] = {}
        self.incoming = Incoming()
        self._clock = clock
        self._options = options
        self._output = output
        self._view = view
        self._find = find
        self._join = join
        self._home: Channel | None = None
        self._held: dict[int, MessageEntry] | None = {}
        self._shown: dict[int, None] = {}
        self._latest = 0
        self._outcome: Exception | None = None
        self._stopping = False
        self._running: Deferred[None] | None = None
        self._waiting: list[Deferred[Questions]] = []
        self.link = Reconnecting(
            clock,
            lambda: listen(self.received),
            on_connected=self._connected,
            on_lost=self._lost,
            on_refused=self._refused,
            request_timeout_seconds=options.timeout_seconds,
        )
        self._threads = Threads(self.link.places.threads)

    # Running

    async def run(self) -> None:
        """Follow until ``stop``. Raises what the first attempt to connect raises, and Declined when nothing is left."""
        self._running = self.link.run()
        try:
            await self._running
        except CancelledError:
            if not self._stopping:
                raise
        if self._outcome is not None:
            raise self._outcome

    def stop(self, outcome: Exception | None = None) -> None:
        """End ``run``, with an error if one is given."""
        if self._stopping or self._running is None:
            return
        self._outcome = outcome
        self._stopping = True
        # Not at once: what is to be cancelled may be what calls this.
        self._clock.callLater(0, self._running.cancel)

    @property
    def questions(self) -> Questions | None:
        """The server to ask; None while there is no connection."""
        client = self.link.client
        return None if client is None else self._ask(client)

    @property
    def home(self) -> Channel:
        """The channel that was joined."""
        assert self._home is not None
        return self._home

    def reachable(self) -> Deferred[Questions]:
        """Wait for the next connection."""
        waiting: Deferred[Questions] = Deferred()
        self._waiting.append(waiting)
        return waiting

    # Events

    def received(self, event: Message) -> None:
        """Take what is no reply."""
        match event:
            case wire.NewMessage():
                self._arrived(event)
            case wire.MessageEdited(success=True):
                self._view.edited(event)
            case wire.MessageDeleted(success=True):
                self._view.deleted(event)
            case wire.ChannelPresence():
                self._view.presence(event)
            case wire.ChannelDeleted(success=True, channel_id=channel_id):
                self._drop(channel_id, "the channel was deleted")
            case wire.Error():
                if not self.incoming.take(event):
                    self._output.notice(f"error {event.error_code}: {event.message}")
            case (
                wire.DMRequest()
                | wire.DMReady()
                | wire.DMDeclined()
                | wire.KeyRequired()
                | wire.DMParticipantLeft()
            ):
                if not self.incoming.take(event):
                    self._view.direct(event)

    def _arrived(self, entry: MessageEntry) -> None:
        if self._held is None:
            self._show(entry)
        elif len(self._held) < MISSED_LIMIT:
            self._held[entry.message_id] = entry

    def _show(self, entry: MessageEntry) -> None:
        if entry.message_id in self._shown:
            return
        self._mark(entry)
        self._view.message(entry, self.channels.get(entry.channel_id))
        self._threads.note(entry)
        is_thread = entry.parent_id is None and self._has_threads(entry.channel_id)
        if is_thread and entry.message_id not in self._threads.followed:
            self._spawn(self._follow(entry))

    def _mark(self, entry: MessageEntry) -> None:
        self._latest = max(self._latest, entry.message_id)
        while len(self._shown) >= 2 * MISSED_LIMIT:
            del self._shown[next(iter(self._shown))]
        self._shown[entry.message_id] = None

    def _has_threads(self, channel_id: int) -> bool:
        channel = self.channels.get(channel_id)
        return channel is None or channel.is_forum is not False

    # Connecting

    async def _connected(self, client: ChatClient) -> None:
        questions = self._ask(client)
        assert client.config is not None
        self._threads.limit(client.config.max_thread_subscriptions)
        if self.channels:
            missed = await self._missed(questions)
            self._output.notice("connected again")
            self._release(missed)
        else:
            await self._begin(questions)
            self._release([])
            self._view.entered()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(questions)

    def _ask(self, client: ChatClient) -> Questions:
        return Questions(client, self._options.timeout_seconds, self.incoming)

    def _release(self, missed: Iterable[MessageEntry]) -> None:
        """Show what was missed and what was held back; from now on, all that comes."""
        held, self._held = self._held or {}, None
        for entry in sorted([*missed, *held.values()], key=_by_id):
            self._show(entry)

    async def _begin(self, questions: Questions) -> None:
        """Find and enter the channels; show as much of the past as was asked for."""
        places = self.link.places
        credentials = self._options.secrets.credentials
        if self._join or self._options.nickname is not None or credentials is not None:
            places.nickname = await introduce(questions, self._options)
            places.login = credentials
        for channel in await self._find(questions):
            if self._join:
                await self._enter(questions, channel)
            await self.add(questions, channel)
        past: list[MessageEntry] = []
        first: list[MessageEntry] = []
        for channel_id in self.channels:
            roots = await questions.newest(channel_id, max(self._options.limit, MESSAGES_PER_PAGE))
            past += roots
            first += roots[: self._options.limit]
        await self._listen_to_recent(questions, past)
        for entry in sorted(past, key=_by_id):
            self._mark(entry)
            self._view.known(entry)
        for entry in sorted(first, key=_by_id):
            self._view.message(entry, self.channels.get(entry.channel_id))

    async def _enter(self, questions: Questions, channel: Channel) -> None:
        await questions.granted(wire.JoinChannel(channel_id=channel.channel_id))
        self.link.places.joined = channel.channel_id
        self._home = channel

    async def add(self, questions: Questions, channel: Channel) -> None:
        """Follow a channel from now on. Raises ServerRefused."""
        if channel.channel_id not in self.channels:
            await questions.ask(wire.SubscribeChannel(channel_id=channel.channel_id))
            self.link.places.channels[channel.channel_id] = None
        self.channels[channel.channel_id] = channel

    async def _listen_to_recent(self, questions: Questions, roots: Iterable[MessageEntry]) -> None:
        """Follow the newest threads; learn their latest replies, so that old ones never count as missed."""
        forum = [each for each in roots if self._has_threads(each.channel_id)]
        chosen = sorted(forum, key=_by_id)[-self._threads.capacity :]
        for entry in chosen:
            self._threads.remember(entry.message_id, entry.message_id)
            self._threads.admit(entry.message_id, entry.channel_id)
        wanted: list[Message] = [wire.SubscribeThread(thread_id=each.message_id) for each in chosen]
        wanted += [
            wire.ListMessages(channel_id=each.channel_id, limit=1, parent_id=each.message_id)
            for each in chosen
            if each.reply_count
        ]
        for start in range(0, len(wanted), REQUESTS_AT_ONCE):
            batch = wanted[start : start + REQUESTS_AT_ONCE]
            for request, reply in zip(batch, await questions.ask_all(batch), strict=True):
                self._learn(request, reply)

    def _learn(self, request: Message, reply: Message | None) -> None:
        if isinstance(request, wire.SubscribeThread) and reply is None:
            self._threads.followed.pop(request.thread_id, None)
        elif isinstance(request, wire.ListMessages) and isinstance(reply, wire.MessageList):
            for entry in reply.messages:
                self._mark(entry)
                self._threads.remember(entry.message_id, request.parent_id or entry.message_id)
                self._threads.touch(request.parent_id or entry.message_id)

    async def _missed(self, questions: Questions) -> list[MessageEntry]:
        """Ask for all that came while there was no connection."""
        after_id = self._latest
        missed: list[MessageEntry] = []
        for channel_id in list(self.channels):
            missed += await questions.since(channel_id, after_id, MISSED_LIMIT)
        if len(missed) >= MISSED_LIMIT:
            self._output.notice("more messages were missed than are shown here")
        threads = {each.message_id: each.channel_id for each in missed if each.reply_count}
        for root_id in self._threads.followed:
            place = self._threads.channel_of(root_id)
            if place is not None:
                threads[root_id] = place
        requests = [
            wire.ListMessages(
                channel_id=channel_id, limit=MESSAGES_PER_PAGE, parent_id=root_id, after_id=after_id
            )
            for root_id, channel_id in threads.items()
        ]
        for start in range(0, len(requests), REQUESTS_AT_ONCE):
            pages: list[wire.MessageList | None] = await questions.ask_all(
                requests[start : start + REQUESTS_AT_ONCE]
            )
            missed += [entry for page in pages if page is not None for entry in page.messages]
        return missed

    def _lost(self, reason: str, delay_seconds: float) -> None:
        if self._held is None:
            self._held = {}
        if not self._options.reconnect:
            raise ConnectionClosed(reason)
        self._output.notice(f"connection lost: {reason}; trying again in {delay_seconds:.0f} s")

    def _refused(self, request: Message, text: str) -> None:
        if isinstance(request, wire.AuthRequest):
            self.stop(Declined(text))  # to go on without the account would be to go on as somebody else
        elif isinstance(request, wire.SubscribeChannel | wire.JoinChannel):
            self._drop(request.channel_id, text)
        elif isinstance(request, wire.SetNickname):
            self._output.notice(f"the nickname {request.nickname} was refused: {text}")

    def _drop(self, channel_id: int, why: str) -> None:
        channel = self.channels.pop(channel_id, None)
        if channel is None:
            return
        self.link.places.channels.pop(channel_id, None)
        place = channel.label if channel.is_private else f"#{channel.label}"
        if not self.channels or channel is self._home:
            self.stop(Declined(f"{place}: {why}"))
        else:
            self._output.notice(f"{place}: {why}")

    # Threads

    async def attend(self, questions: Questions, message_id: int, channel_id: int) -> None:
        """Follow the thread of a message that may be older than what is remembered. Raises ServerRefused."""
        # The server takes the root of whatever message it is given (decisions 4.9), but does not tell it.
        root_id = self._threads.root_of(message_id) or message_id
        if root_id in self._threads.followed:
            return
        try:
            await self._subscribe(questions, root_id, channel_id)
        except ClientError:
            self._threads.followed.pop(root_id, None)
            raise

    async def _follow(self, root: MessageEntry) -> None:
        questions = self.questions
        if questions is None:
            self._threads.admit(root.message_id, root.channel_id)  # the next connection subscribes to it
        else:
            await self._subscribe(questions, root.message_id, root.channel_id)

    async def _subscribe(self, questions: Questions, root_id: int, channel_id: int) -> None:
        for each in self._threads.admit(root_id, channel_id):
            await questions.ask(wire.UnsubscribeThread(thread_id=each))
        await questions.ask(wire.SubscribeThread(thread_id=root_id))

    def _spawn(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        # What the server refuses or a lost connection prevents is made up for by the next connection.
        if not failure.check(ClientError):
            self._log.failure("Following failed", failure=failure)


def _by_id(entry: MessageEntry) -> int:
    return entry.message_id
