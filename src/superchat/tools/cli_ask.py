"""Questions to a server that take more than one message: names, pages, threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.python.failure import Failure

from superchat.client import ChatClient, ClientError, ConnectionClosed, ServerRefused
from superchat.client.protocol import fork
from superchat.tools.cli_incoming import Incoming, Wanted
from superchat.tools.cli_output import Channel
from superchat.tools.cli_text import decoded
from superchat.wire import messages as wire
from superchat.wire.messages import MessageEntry
from superchat.wire.records import Message

CHANNELS_PER_PAGE: Final = 1000
CHANNELS_LIMIT: Final = 100_000
MESSAGES_PER_PAGE: Final = 200  # decisions 4.3
USERS_LIMIT: Final = 500
REQUESTS_AT_ONCE: Final = 50  # well under the frames per second a server takes (decisions 1.9)

FORUM: Final = 1


class Declined(ClientError):
    """The server's answer was no, in a message of the request's own reply type, or the thing does not exist."""


class Questions:
    """Asks one server, with one timeout for every request.

    ``incoming`` is where whoever listens to the connection leaves what the server says unasked.
    """

    def __init__(self, client: ChatClient, timeout_seconds: float, incoming: Incoming | None = None) -> None:
        self.client = client
        self.incoming = Incoming() if incoming is None else incoming
        self._timeout_seconds = timeout_seconds

    # Channels

    async def channels(self) -> list[Channel]:
        """Every channel, each followed by its subchannels."""
        found: list[Channel] = []
        for entry in await self._top_level():
            found.append(_channel(entry))
            if entry.has_subchannels:
                found += await self._subchannels(entry)
        return found

    async def channel(self, name: str) -> Channel:
        """Find a channel by id, ``name``, ``#name`` or ``parent/name``. Raises Declined if there is none."""
        if name.isascii() and name.isdigit():
            return await self._channel_by_id(int(name))
        wanted = name.removeprefix("#").lower()
        entries = await self._top_level()
        for entry in entries:
            if entry.name.lower() == wanted:
                return _channel(entry)
        for entry in entries:
            if entry.has_subchannels and wanted.startswith(entry.name.lower() + "/"):
                for each in await self._subchannels(entry):
                    if each.label.lower() == wanted:
                        return each
        raise Declined(f"there is no channel {name}")

    async def _channel_by_id(self, channel_id: int) -> Channel:
        for each in await self.channels():
            if each.channel_id == channel_id:
                return each
        # It may be a direct conversation, which no list shows; the server knows best.
        return Channel(channel_id, str(channel_id))

    async def _top_level(self) -> list[wire.ChannelEntry]:
        entries: list[wire.ChannelEntry] = []
        while len(entries) < CHANNELS_LIMIT:
            cursor = entries[-1].channel_id if entries else 0
            request = wire.ListChannels(from_channel_id=cursor, limit=CHANNELS_PER_PAGE)
            page: wire.ChannelList = await self.ask(request)
            entries += page.channels
            if len(page.channels) < CHANNELS_PER_PAGE:
                break
        return entries

    async def _subchannels(self, parent: wire.ChannelEntry) -> list[Channel]:
        reply: wire.SubchannelList = await self.ask(wire.GetSubchannels(channel_id=parent.channel_id))
        return [
            Channel(
                channel_id=each.subchannel_id,
                label=f"{parent.name}/{each.name}",
                is_forum=each.type == FORUM,
                description=each.description,
                retention_hours=each.retention_hours,
            )
            for each in reply.subchannels
        ]

    # Messages

    async def newest(
        self, channel_id: int, limit: int, *, before_id: int | None = None, parent_id: int | None = None
    ) -> list[MessageEntry]:
        """Return up to ``limit`` root messages, or replies below ``parent_id``, newest first."""
        found: list[MessageEntry] = []
        while len(found) < limit:
            size = min(limit - len(found), MESSAGES_PER_PAGE)
            request = wire.ListMessages(
                channel_id=channel_id, limit=size, before_id=before_id, parent_id=parent_id
            )
            page: wire.MessageList = await self.ask(request)
            older = [each for each in page.messages if before_id is None or each.message_id < before_id]
            found += sorted(older, key=_by_id, reverse=True)
            # A page may be shorter than asked for because of its size in bytes (decisions 4.3), so only an
            # empty one is the last.
            if not older:
                break
            before_id = found[-1].message_id
        return found[:limit]

    async def since(
        self, channel_id: int, after_id: int, limit: int, *, parent_id: int | None = None
    ) -> list[MessageEntry]:
        """Return the first ``limit`` root messages or replies newer than ``after_id``, oldest first."""
        found: list[MessageEntry] = []
        while len(found) < limit:
            request = wire.ListMessages(
                channel_id=channel_id, limit=MESSAGES_PER_PAGE, after_id=after_id, parent_id=parent_id
            )
            page: wire.MessageList = await self.ask(request)
            newer = [each for each in page.messages if each.message_id > after_id]
            if not newer:
                break
            found += sorted(newer, key=_by_id)
            after_id = found[-1].message_id
        return found[:limit]

    async def thread(self, thread_id: int, limit: int) -> tuple[MessageEntry | None, list[MessageEntry]]:
        """Return a message and the last ``limit`` of those below it, newest first.

        The message is None if it is no root message. Raises Declined if there is nothing of that id at all.
        """
        # The protocol cannot ask for one message, nor where a message is: every channel is asked.
        places = [each.channel_id for each in await self.channels()]
        for start in range(0, len(places), REQUESTS_AT_ONCE):
            batch = places[start : start + REQUESTS_AT_ONCE]
            root = await self._first(batch, thread_id, before_id=thread_id + 1)
            if root is not None:
                return root, await self.newest(root.channel_id, limit, parent_id=thread_id)
        for start in range(0, len(places), REQUESTS_AT_ONCE):
            batch = places[start : start + REQUESTS_AT_ONCE]
            reply = await self._first(batch, None, parent_id=thread_id)
            if reply is not None:
                return None, await self.newest(reply.channel_id, limit, parent_id=thread_id)
        raise Declined(f"there is no thread {thread_id}")

    async def _first(
        self,
        channel_ids: Iterable[int],
        message_id: int | None,
        *,
        before_id: int | None = None,
        parent_id: int | None = None,
    ) -> MessageEntry | None:
        """Return the message, or if none is named any, that one of the channels answers with."""
        requests = [
            wire.ListMessages(channel_id=each, limit=1, before_id=before_id, parent_id=parent_id)
            for each in channel_ids
        ]
        pages: list[wire.MessageList | None] = await self.ask_all(requests)
        for page in pages:
            for entry in page.messages if page is not None else ():
                if message_id in (None, entry.message_id):
                    return entry
        return None

    # Requests

    @property
    def message_limit_bytes(self) -> int:
        """How long a message may be."""
        assert self.client.config is not None
        return self.client.config.max_message_length

    async def ask(self, request: Message) -> Any:
        """Return the reply to a request, of the type that belongs to it."""
        return await self.client.request(request, self._timeout_seconds)

    async def settled(self) -> None:
        """Wait until the server has dealt with all that was sent before."""
        await self.ask(wire.Ping(timestamp=int(self.client.clock.seconds() * 1000)))

    async def tell(self, message: Message) -> None:
        """Send a message that has no reply, and wait until the server has dealt with it. Raises ServerRefused."""
        refusal = self.incoming.wait(lambda event: isinstance(event, wire.Error))
        self.client.send(message)
        await self.settled()
        if not refusal.called:
            refusal.addErrback(lambda failure: failure.trap(CancelledError)).cancel()
            return
        error = await refusal
        assert isinstance(error, wire.Error)
        raise ServerRefused(error.error_code, error.message)

    async def wait(self, wanted: Wanted, timeout_seconds: float | None = None) -> Message | None:
        """Wait for an event; return None if it does not come in time. Raises ConnectionClosed."""
        waiting = self.incoming.wait(wanted)
        if timeout_seconds is not None:
            waiting.addTimeout(timeout_seconds, self.client.clock)

        def lost(reason: str) -> None:
            if not waiting.called:
                waiting.errback(ConnectionClosed(reason))

        fork(self.client.closed).addCallback(lost)
        try:
            return await waiting
        except DeferredTimeout:
            return None

    async def granted(self, request: Message) -> Any:
        """Return the reply to a request that can be turned down. Raises Declined, in the server's words, if it was."""
        reply = await self.ask(request)
        if not reply.success:
            said = reply.error_message if isinstance(reply, wire.PasswordChanged) else reply.message
            raise Declined(said if isinstance(said, str) else decoded(said))
        return reply

    async def ask_all(self, requests: Sequence[Message]) -> list[Any]:
        """Return the replies to requests made at once, None for each that was refused.

        Raises what else goes wrong, such as ConnectionClosed.
        """
        asked = [self.client.request(each, self._timeout_seconds) for each in requests]
        outcomes = await DeferredList(asked, consumeErrors=True)
        replies: list[Any] = []
        for _, outcome in outcomes:
            if not isinstance(outcome, Failure):
                replies.append(outcome)
            elif isinstance(outcome.value, ServerRefused):
                replies.append(None)
            else:
                outcome.raiseException()
        return replies


def indented(thread_id: int, replies: Iterable[MessageEntry]) -> Iterator[tuple[MessageEntry, int]]:
    """Put the messages of a thread in reading order: depth first, siblings by age; each with its depth.

    A reply whose parent is not among them stands at depth 1, directly below the root.
    """
    known = sorted(replies, key=_by_id)
    ids = {each.message_id for each in known}
    below: dict[int, list[MessageEntry]] = {}
    for each in known:
        parent = each.parent_id if each.parent_id in ids and each.parent_id < each.message_id else thread_id
        below.setdefault(parent, []).append(each)
    waiting = [(each, 1) for each in reversed(below.get(thread_id, ()))]
    while waiting:
        entry, depth = waiting.pop()
        yield entry, depth
        waiting += [(each, depth + 1) for each in reversed(below.get(entry.message_id, ()))]


def _by_id(entry: MessageEntry) -> int:
    return entry.message_id


def _channel(entry: wire.ChannelEntry) -> Channel:
    return Channel(
        channel_id=entry.channel_id,
        label=entry.name,
        is_forum=entry.type == FORUM,
        description=entry.description,
        user_count=entry.user_count,
        retention_hours=entry.retention_hours,
    )
