"""A wall clock that is set while people talk: dates follow it, and nothing else does."""

from __future__ import annotations

from superchat.config import Limits
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    CreateChannel,
    EditMessage,
    Error,
    GetUnreadCounts,
    ListMessages,
    MessageEdited,
    MessagePosted,
    PostMessage,
    UnreadCounts,
    UnreadTarget,
    UpdateReadState,
)
from tests.chat.people import PeopleTestCase
from tests.chat.talk import CHAT, GENERAL, Client

HOUR_SECONDS = 3600


class DatesTests(PeopleTestCase):
    """Ids and orders."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = self.connect("bob")

    def dates(self, client: Client, **where: int) -> dict[int, int]:
        """The ids of a page in their order, and the dates."""
        entries = self.entries(client, ListMessages(channel_id=GENERAL, limit=0, **where))
        return {entry.message_id: entry.created_at for entry in entries}

    def test_messages(self) -> None:
        """A message has the date of the wall clock, and its place in the order of the ids, which only ascend
        (decisions 4.6)."""
        posted: dict[int, int] = {}
        for jump in (0, HOUR_SECONDS, -2 * HOUR_SECONDS, HOUR_SECONDS):
            self.jump(jump)
            message_id = self.post(self.bob)
            posted[message_id] = self.now_ms()
        self.assertEqual([*posted], sorted(posted))
        self.assertEqual([*posted.values()][2] - [*posted.values()][1], -2 * HOUR_SECONDS * 1000 + 1)
        self.assertEqual([*self.dates(self.bob).items()], [*reversed(posted.items())])

    def test_thread(self) -> None:
        """Replies stand in the order in which they were posted, also when their dates do not ascend
        (decisions 4.3)."""
        root = self.post(self.bob)
        replies = [root]
        for _ in range(3):
            self.jump(-HOUR_SECONDS)
            replies.append(self.post(self.bob, parent_id=root))
        self.assertEqual([*self.dates(self.bob, parent_id=root)], replies[1:])

    def test_edited(self) -> None:
        """An edit has the date of the wall clock, be it earlier than the message's."""
        anna = self.person("anna")
        message_id = self.post(anna)
        self.jump(-HOUR_SECONDS)
        edited = anna.one(MessageEdited, EditMessage(message_id=message_id, new_content=b"again"))
        self.assertEqual(edited.edited_at, self.now_ms())

    def test_unread(self) -> None:
        """Unread is what has a later date than what was read: after a clock that was an hour fast is put right, new
        messages count again when the hour is over (decisions 4.12)."""
        anna = self.person("anna")
        self.post(self.bob)
        anna.send(UpdateReadState(channel_id=GENERAL, timestamp=self.now_ms()))
        target = UnreadTarget(channel_id=GENERAL)
        question = GetUnreadCounts(targets=(target,))

        def unread() -> int:
            (count,) = anna.one(UnreadCounts, question).counts
            return count.unread_count

        self.assertEqual(unread(), 0)
        self.jump(-HOUR_SECONDS)
        self.post(self.bob)
        self.assertEqual(unread(), 0)
        self.clock.advance(HOUR_SECONDS)
        self.post(self.bob)
        self.assertEqual(unread(), 1)


class LimitsTests(PeopleTestCase):
    """What may be done how often."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=2, max_channel_creates=1)

    def is_refused(self, client: Client) -> bool:
        """Whether a client has posted enough."""
        answer = client.ask(PostMessage(channel_id=CHAT, content=b"hi"))[0]
        if isinstance(answer, MessagePosted):
            return False
        assert isinstance(answer, Error), answer
        self.assertEqual(answer.error_code, ErrorCode.MESSAGE_RATE_LIMIT)
        return True

    def test_messages(self) -> None:
        """The message rate neither opens when the clock is set ahead nor closes when it is set back
        (decisions 4.10)."""
        for client in (self.connect("bob"), self.person("anna")):
            self.assertEqual([self.is_refused(client) for _ in range(3)], [False, False, True])
            self.jump(HOUR_SECONDS)
            self.assertTrue(self.is_refused(client))
            self.jump(-2 * HOUR_SECONDS)
            self.clock.advance(30)
            self.assertEqual([self.is_refused(client) for _ in range(2)], [False, True])

    def test_channels(self) -> None:
        """Nor does the number of channels that somebody may make in an hour (decisions 4.1)."""
        anna = self.person("anna")

        def created(name: str) -> bool:
            request = CreateChannel(
                name=name, display_name=name, description=None, channel_type=0, retention_hours=24
            )
            return bool(anna.ask(request)[0].success)  # type: ignore[union-attr]

        self.assertTrue(created("one"))
        self.jump(2 * HOUR_SECONDS)
        self.assertFalse(created("two"))
        self.jump(-4 * HOUR_SECONDS)
        self.clock.advance(HOUR_SECONDS)
        self.assertTrue(created("three"))
