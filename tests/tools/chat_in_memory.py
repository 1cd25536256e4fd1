"""Enough of a chat server to answer the command line, for tests; the rules are the real server's business."""

from __future__ import annotations

from typing import TypeVar

from superchat.wire import messages as wire
from superchat.wire.messages import ChannelEntry, MessageEntry, SubchannelEntry
from superchat.wire.records import Message
from tests.client.scripted import ScriptedEndpoint

CHAT, FORUM = 0, 1

M = TypeVar("M", bound=Message)


def channel(channel_id: int, name: str, kind: int = FORUM, subchannels: int = 0) -> ChannelEntry:
    """A channel as CHANNEL_LIST shows it."""
    return ChannelEntry(
        channel_id=channel_id,
        name=name,
        description=f"About {name}",
        user_count=2,
        is_operator=False,
        type=kind,
        retention_hours=168,
        has_subchannels=bool(subchannels),
        subchannel_count=subchannels,
    )


def entry(
    message_id: int,
    text: str | bytes,
    *,
    channel_id: int = 1,
    parent_id: int | None = None,
    author: str = "~bob",
    reply_count: int = 0,
) -> MessageEntry:
    """A message as MESSAGE_LIST shows it, posted at message_id minutes past midnight of 1970-01-01 UTC."""
    return MessageEntry(
        message_id=message_id,
        channel_id=channel_id,
        parent_id=parent_id,
        author_nickname=author,
        content=text.encode() if isinstance(text, str) else text,
        created_at=message_id * 60_000,
        reply_count=reply_count,
    )


def news(message: MessageEntry) -> wire.NewMessage:
    """The same message as it is broadcast."""
    fields = {name: getattr(message, name) for name in MessageEntry.FIELDS}
    return wire.NewMessage(**fields)


class ChatInMemory:
    """Channels and messages of a server; ``endpoint`` leads to it.

    ``hidden`` channels are in no list. ``refusals`` makes it answer messages of some types with ERROR, whatever they
    ask for.
    """

    def __init__(self) -> None:
        self.channels = [channel(1, "general", subchannels=1), channel(2, "lobby", CHAT)]
        self.subchannels = [
            SubchannelEntry(subchannel_id=3, name="web", description="", type=FORUM, retention_hours=0)
        ]
        self.messages: list[MessageEntry] = []
        self.hidden: set[int] = set()
        self.names_taken: set[str] = set()
        self.refusals: dict[type[Message], wire.Error] = {}
        self.thread_limit = 50
        self.threads: set[int] = set()
        self.endpoint = ScriptedEndpoint(self.answer)

    def heard(self, kind: type[M]) -> list[M]:
        """What the latest connection asked of one type."""
        return [each for each in self.endpoint.server.heard if isinstance(each, kind)]

    def say(self, *messages: Message) -> None:
        """Send something to the latest connection."""
        self.endpoint.server.say(*messages)

    def post(self, *posted: MessageEntry) -> None:
        """Store messages and broadcast them."""
        self.messages += posted
        self.say(*map(news, posted))

    def answer(self, message: Message) -> list[Message]:
        """Answer as the server does."""
        if type(message) in self.refusals:
            return [self.refusals[type(message)]]
        match message:
            case wire.SetNickname(nickname=name):
                taken = name in self.names_taken
                return [wire.NicknameResponse(success=not taken, message="taken" if taken else f"You are {name}")]
            case wire.ListChannels(from_channel_id=cursor):
                return [wire.ChannelList(channels=tuple(x for x in self.channels if x.channel_id > cursor))]
            case wire.GetSubchannels(channel_id=channel_id):
                return [wire.SubchannelList(channel_id=channel_id, subchannels=tuple(self.subchannels))]
            case wire.ListMessages():
                return [self._misplaced(message) or self._page(message)]
            case wire.PostMessage():
                return [self._post(message)]
            case wire.JoinChannel(channel_id=channel_id):
                return [wire.JoinResponse(success=True, channel_id=channel_id, message="")]
            case _:
                return self._subscribe(message)

    def _misplaced(self, asked: wire.ListMessages) -> Message | None:
        if asked.channel_id not in {1, 2, 3, *self.hidden, *(each.channel_id for each in self.channels)}:
            return wire.Error(error_code=4001, message="Channel does not exist")
        if asked.parent_id is None:
            return None
        for each in self.messages:
            if each.message_id == asked.parent_id:
                elsewhere = each.channel_id != asked.channel_id
                return wire.Error(error_code=6000, message="elsewhere") if elsewhere else None
        return wire.Error(error_code=4002, message="Message not found")

    def _page(self, asked: wire.ListMessages) -> wire.MessageList:
        if asked.parent_id is None:
            found = [x for x in self.messages if x.parent_id is None and x.channel_id == asked.channel_id]
        else:
            found = self._below(asked.parent_id)
        limit = asked.limit or 50
        if asked.before_id is not None:
            found = [x for x in found if x.message_id < asked.before_id]
        elif asked.after_id is not None:
            found = [x for x in found if x.message_id > asked.after_id][:limit]
        page = found[-limit:] if asked.after_id is not None or asked.parent_id is not None else found[::-1][:limit]
        return wire.MessageList(
            channel_id=asked.channel_id, parent_id=asked.parent_id, messages=tuple(page)
        )

    def _below(self, root_id: int) -> list[MessageEntry]:
        ids = {root_id}
        below = []
        for each in self.messages:
            if each.parent_id in ids:
                ids.add(each.message_id)
                below.append(each)
        return below

    def _post(self, asked: wire.PostMessage) -> Message:
        message_id = max((x.message_id for x in self.messages), default=100) + 1
        self.messages.append(
            entry(message_id, asked.content, channel_id=asked.channel_id, parent_id=asked.parent_id)
        )
        return wire.MessagePosted(success=True, message_id=message_id, message="Message posted")

    def _subscribe(self, message: Message) -> list[Message]:
        match message:
            case wire.SubscribeChannel(channel_id=channel_id):
                return [wire.SubscribeOk(type=2, id=channel_id)]
            case wire.SubscribeThread(thread_id=thread_id):
                return [self._subscribe_thread(thread_id)]
            case wire.UnsubscribeThread(thread_id=thread_id):
                self.threads.discard(thread_id)
                return [wire.SubscribeOk(type=1, id=thread_id)]
            case wire.ListUsers():
                user = wire.UserListEntry(nickname="carol", is_registered=True, user_id=7, online=True)
                return [wire.UserList(users=(user,))]
            case wire.ListChannelUsers(channel_id=channel_id):
                there = wire.ChannelUserEntry(session_id=4, nickname="dave", is_registered=False, user_flags=0)
                return [wire.ChannelUserList(channel_id=channel_id, users=(there,))]
        return []

    def _subscribe_thread(self, thread_id: int) -> Message:
        root_id = self._root(thread_id)
        if root_id not in self.threads and len(self.threads) >= self.thread_limit:
            return wire.Error(error_code=5004, message="Thread subscription limit exceeded")
        self.threads.add(root_id)
        return wire.SubscribeOk(type=1, id=thread_id)

    def _root(self, message_id: int) -> int:
        for each in self.messages:
            if each.message_id == message_id and each.parent_id is not None:
                return self._root(each.parent_id)
        return message_id
