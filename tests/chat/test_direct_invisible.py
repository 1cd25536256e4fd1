"""A direct conversation of others is answered for as one that does not exist, on every path (decisions 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import Deferred

from superchat.model import UserFlags
from superchat.storage.memory import MemoryStorage
from superchat.wire import frames
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.chat.conversing import ConversingTestCase, heard
from tests.chat.talk import GENERAL, Client

T = TypeVar("T")

UNKNOWN_CHANNEL: Final = 10
UNKNOWN_MESSAGE: Final = 2**60
PLACE_FIELDS: Final = frozenset(("channel_id", "subchannel_id", "message_id", "parent_id", "thread_id", "targets"))
"""The fields of client messages that name a channel or a message."""


@attrs.frozen
class Real:
    """What a stranger might name: the ids of a conversation, or ids that are nobody's."""

    channel_id: int
    message_id: int


NOTHING: Final = Real(UNKNOWN_CHANNEL, UNKNOWN_MESSAGE)


def _target(place: Real, **more: Any) -> wire.UnreadTarget:
    return wire.UnreadTarget(**{"channel_id": place.channel_id, **more})


REQUESTS: Final[tuple[Callable[[Real], Message], ...]] = (
    lambda p: wire.ListChannels(from_channel_id=p.channel_id - 1, limit=1),
    lambda p: wire.JoinChannel(channel_id=p.channel_id),
    lambda p: wire.JoinChannel(channel_id=p.channel_id, subchannel_id=p.channel_id),
    lambda p: wire.JoinChannel(channel_id=GENERAL, subchannel_id=p.channel_id),
    lambda p: wire.LeaveChannel(channel_id=p.channel_id),
    lambda p: wire.LeaveChannel(channel_id=p.channel_id, permanent=True),
    lambda p: wire.LeaveChannel(channel_id=GENERAL, subchannel_id=p.channel_id, permanent=True),
    lambda p: wire.CreateSubchannel(channel_id=p.channel_id, name="new", description="", type=0, retention_hours=24),
    lambda p: wire.GetSubchannels(channel_id=p.channel_id),
    lambda p: wire.ListMessages(channel_id=p.channel_id, limit=0),
    lambda p: wire.ListMessages(channel_id=p.channel_id, limit=0, parent_id=p.message_id),
    lambda p: wire.ListMessages(channel_id=p.channel_id, subchannel_id=p.channel_id, limit=0, before_id=p.message_id),
    lambda p: wire.ListMessages(channel_id=GENERAL, subchannel_id=p.channel_id, limit=0),
    lambda p: wire.ListMessages(channel_id=GENERAL, limit=0, parent_id=p.message_id),
    lambda p: wire.PostMessage(channel_id=p.channel_id, content=b"hello"),
    lambda p: wire.PostMessage(channel_id=p.channel_id, content=b"hello", parent_id=p.message_id),
    lambda p: wire.PostMessage(channel_id=p.channel_id, subchannel_id=p.channel_id, content=b"hello"),
    lambda p: wire.PostMessage(channel_id=p.channel_id, content=b"\xff"),
    lambda p: wire.PostMessage(channel_id=p.channel_id, content=b""),
    lambda p: wire.PostMessage(channel_id=GENERAL, subchannel_id=p.channel_id, content=b"hello"),
    lambda p: wire.PostMessage(channel_id=GENERAL, content=b"hello", parent_id=p.message_id),
    lambda p: wire.PostMessage(channel_id=GENERAL, content=b"\xff", parent_id=p.message_id),
    lambda p: wire.EditMessage(message_id=p.message_id, new_content=b"hello"),
    lambda p: wire.EditMessage(message_id=p.message_id, new_content=b"\xff"),
    lambda p: wire.EditMessage(message_id=p.message_id, new_content=b""),
    lambda p: wire.DeleteMessage(message_id=p.message_id),
    lambda p: wire.ListChannelUsers(channel_id=p.channel_id),
    lambda p: wire.ListChannelUsers(channel_id=p.channel_id, subchannel_id=p.channel_id),
    lambda p: wire.ListChannelUsers(channel_id=GENERAL, subchannel_id=p.channel_id),
    lambda p: wire.GetUnreadCounts(since_timestamp=0, targets=(_target(p),)),
    lambda p: wire.GetUnreadCounts(since_timestamp=None, targets=(_target(p),)),
    lambda p: wire.GetUnreadCounts(since_timestamp=0, targets=(_target(p, subchannel_id=p.channel_id),)),
    lambda p: wire.GetUnreadCounts(since_timestamp=0, targets=(_target(p, thread_id=p.message_id),)),
    lambda p: wire.GetUnreadCounts(
        since_timestamp=0, targets=(wire.UnreadTarget(channel_id=GENERAL, thread_id=p.message_id),)
    ),
    lambda p: wire.UpdateReadState(channel_id=p.channel_id, timestamp=1),
    lambda p: wire.UpdateReadState(channel_id=GENERAL, subchannel_id=p.channel_id, timestamp=1),
    lambda p: wire.SubscribeThread(thread_id=p.message_id),
    lambda p: wire.UnsubscribeThread(thread_id=p.message_id),
    lambda p: wire.SubscribeChannel(channel_id=p.channel_id),
    lambda p: wire.SubscribeChannel(channel_id=p.channel_id, subchannel_id=p.channel_id),
    lambda p: wire.SubscribeChannel(channel_id=GENERAL, subchannel_id=p.channel_id),
    lambda p: wire.UnsubscribeChannel(channel_id=p.channel_id),
    lambda p: wire.UnsubscribeChannel(channel_id=p.channel_id, subchannel_id=p.channel_id),
    lambda p: wire.DeleteChannel(channel_id=p.channel_id, reason=""),
)


class CountingStorage(MemoryStorage):
    """Counts what it is asked: the time that an answer takes."""

    questions = 0

    def _answer(self, action: Callable[[], T]) -> Deferred[T]:
        self.questions += 1
        return super()._answer(action)


class InvisibleTests(ConversingTestCase):
    """Every request that names a place, by everybody who takes no part in the conversation."""

    storage: CountingStorage

    def make_storage(self) -> CountingStorage:
        return CountingStorage()

    def setUp(self) -> None:
        super().setUp()
        channel_id = self.talk(self.anna, self.bob)
        self.real = Real(channel_id, self.post(self.anna, b"secret", channel_id=channel_id))
        self.post(self.bob, b"secret, too", channel_id=channel_id)
        self.assertNotIn(UNKNOWN_CHANNEL, self.chat.directory)
        for client in (self.anna, self.bob):
            for listens in (wire.JoinChannel, wire.SubscribeChannel):
                client.send(listens(channel_id=channel_id))
        self.forget_all()

    def strangers(self) -> list[Client]:
        """One of each kind."""
        named = [
            self.guest,
            self.person("stranger"),
            self.moderator("stranger-with-rights"),
            self.person("admin", UserFlags.ADMIN),
            self.person("both", UserFlags.ADMIN | UserFlags.MODERATOR),
        ]
        return [self.connect(), *named]

    def answer(self, client: Client, place: Real, request: Callable[[Real], Message]) -> tuple[list[bytes], int]:
        """All bytes that come for a request, the ids in it put in place of each other's, and what it took."""
        heard(client)
        before = self.storage.questions
        client.send(request(place))
        took = self.storage.questions - before
        self.settle()
        blank = {place.channel_id: 0, place.message_id: 0}
        return [frames.encode(_blanked(message, blank)) for message in heard(client)], took

    def test_complete(self) -> None:
        """No message in which a client can name a place has been forgotten."""
        with_place = {kind.NAME for kind in wire.FROM_CLIENT.values() if PLACE_FIELDS & set(kind.__annotations__)}
        self.assertEqual(with_place - {request(NOTHING).NAME for request in REQUESTS}, set())

    def test_like_nothing(self) -> None:
        """Strangers, moderators and admins are answered to the byte as for ids that are nobody's, after equal work."""
        for client in self.strangers():
            for number, request in enumerate(REQUESTS):
                where = f"request {number}: {request(self.real)}"
                self.assertEqual(self.answer(client, self.real, request), self.answer(client, NOTHING, request), where)

    def test_nobody_else_notices(self) -> None:
        """Those who talk are told nothing of whoever tries, and nothing has changed for them."""
        for client in self.strangers():
            self.forget_all()
            for request in REQUESTS:
                client.send(request(self.real))
            self.settle()
            for side in (self.anna, self.bob):
                events = heard(side)
                about = [
                    event
                    for event in events
                    if self.real.channel_id in (getattr(event, "channel_id", 0), getattr(event, "dm_channel_id", 0))
                    or self.real.message_id == getattr(event, "message_id", 0)
                ]
                self.assertEqual(about, [])
        contents = [
            entry.content
            for entry in self.entries(self.anna, wire.ListMessages(channel_id=self.real.channel_id, limit=0))
        ]
        self.assertEqual(contents, [b"secret, too", b"secret"])
        self.assertEqual(self.conversations(self.anna), [self.real.channel_id])

    def test_nothing_is_overheard(self) -> None:
        """Whatever strangers have tried, they hear nothing of what is said afterwards."""
        strangers = self.strangers()
        for client in strangers:
            for request in REQUESTS:
                client.send(request(self.real))
        self.settle()
        for client in strangers:
            heard(client)
        posted = self.post(self.anna, b"secret", channel_id=self.real.channel_id)
        self.anna.send(wire.EditMessage(message_id=posted, new_content=b"still secret"))
        self.anna.send(wire.DeleteMessage(message_id=posted))
        self.anna.send(wire.LeaveChannel(channel_id=self.real.channel_id, permanent=True))
        self.settle()
        for client in strangers:
            self.assertEqual(heard(client), [])

    def test_found_nowhere(self) -> None:
        """No list of channels has it, nor does its name stand against another channel's (decisions 3.2)."""
        admin = self.person("admin", UserFlags.ADMIN)
        listed = admin.one(wire.ChannelList, wire.ListChannels(from_channel_id=0, limit=0))
        self.assertNotIn(self.real.channel_id, [channel.channel_id for channel in listed.channels])
        channel = self.chat.directory.get(self.real.channel_id)
        assert channel is not None
        new = wire.CreateChannel(name=channel.name, display_name="x", channel_type=0, retention_hours=24)
        self.assertTrue(admin.one(wire.ChannelCreated, new).success)

    def test_former_participants_are_strangers(self) -> None:
        """Who has left is answered like anybody who was never in it."""
        self.bob.send(wire.LeaveChannel(channel_id=self.real.channel_id, permanent=True))
        for number, request in enumerate(REQUESTS):
            if isinstance(request(self.real), wire.DeleteMessage | wire.EditMessage):
                continue
            where = f"request {number}: {request(self.real)}"
            self.assertEqual(self.answer(self.bob, self.real, request), self.answer(self.bob, NOTHING, request), where)


def _blanked(message: Any, blank: dict[int, int]) -> Any:
    """The same with some numbers replaced, in records inside it as well."""
    changes: dict[str, Any] = {}
    for field in attrs.fields(type(message)):
        value = getattr(message, field.name)
        if isinstance(value, tuple):
            changes[field.name] = tuple(_blanked(each, blank) for each in value)
        elif isinstance(value, int) and not isinstance(value, bool):
            changes[field.name] = blank.get(value, value)
    return attrs.evolve(message, **changes)
