"""Tests for `superchat.chat.deleting`: a deleted channel is gone everywhere, and everybody is told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from superchat.config import SeedChannel
from superchat.model import Message, NewAct, NewMessage, UserFlags
from superchat.storage.interface import Swept
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode, Malformed
from superchat.wire.messages import (
    ChannelCreated,
    ChannelDeleted,
    ChannelList,
    ChannelPresence,
    CreateChannel,
    DeleteChannel,
    Error,
    GetSubchannels,
    JoinChannel,
    JoinResponse,
    LeaveChannel,
    LeaveResponse,
    ListChannels,
    ListChannelUsers,
    ListMessages,
    MessagePosted,
    PostMessage,
    SubscribeChannel,
    SubscribeOk,
    SubscribeThread,
)
from superchat.wire.messages import NewMessage as NewMessageFrame
from tests.chat.people import PeopleTestCase, session_of
from tests.chat.talk import Client

T = TypeVar("T")

PARENT, SIDE, QUIET, OTHER = 1, 2, 3, 4
UNKNOWN = 999
ADMIN_REQUIRED = "Permission denied: admin access required"


class DeletingTestCase(PeopleTestCase):
    """Anna is an admin; the first channel has two subchannels."""

    channels = (
        SeedChannel("general"),
        SeedChannel("side", parent="general"),
        SeedChannel("quiet", parent="general"),
        SeedChannel("other"),
    )

    def setUp(self) -> None:
        super().setUp()
        self.anna = self.person("anna", UserFlags.ADMIN)

    def delete(self, channel_id: int = PARENT) -> ChannelDeleted:
        """Have anna delete a channel."""
        answer = self.anna.one(ChannelDeleted, DeleteChannel(channel_id=channel_id, reason="spam"))
        self.assertTrue(answer.success, answer.message)
        return answer

    def declined(self, client: Client, request: DeleteChannel | Malformed) -> tuple[int, str]:
        """The id and text of the only answer; nothing has changed."""
        before = self.now(self.storage.channels())
        (answer,) = client.ask(request)
        assert isinstance(answer, ChannelDeleted), answer
        self.assertFalse(answer.success)
        self.assertEqual(self.now(self.storage.channels()), before)
        self.assertEqual(len(self.chat.directory), len(before))
        self.assertEqual(self.acts(), [])
        return answer.channel_id, answer.message


class DeletingTests(DeletingTestCase):
    """DELETE_CHANNEL."""

    def test_told_once(self) -> None:
        """The admin gets the reply, every other session is told once, whatever it did there (decisions 4.13)."""
        others = [self.connect("bob"), self.connect(), self.session_again()]
        for place in (PARENT, SIDE):
            others[0].send(SubscribeChannel(channel_id=place))
        others[0].send(JoinChannel(channel_id=PARENT))
        self.anna.send(JoinChannel(channel_id=SIDE))
        self.settle()
        for client in (self.anna, *others):
            client.received()
        told = ChannelDeleted(success=True, channel_id=PARENT, message="Channel 'general' deleted successfully")
        self.assertEqual(self.anna.ask(DeleteChannel(channel_id=PARENT, reason="")), [told])
        self.settle()
        self.assertEqual(self.anna.received(), [])
        for other in others:
            self.assertEqual(other.received(), [told])

    def session_again(self) -> Client:
        """Another session of the admin."""
        account = session_of(self.anna).account
        assert account is not None
        return self.session(account)

    def test_gone_everywhere(self) -> None:
        """The channel and its subchannels are unknown to every message, by both addressings (decisions 4.2, 4.13)."""
        bob = self.connect("bob")
        root = self.post(bob, channel_id=SIDE)
        self.delete()
        listed = bob.one(ChannelList, ListChannels(from_channel_id=0, limit=0)).channels
        self.assertEqual([each.channel_id for each in listed], [OTHER])
        for place in ({"channel_id": PARENT}, {"channel_id": SIDE}, {"channel_id": PARENT, "subchannel_id": SIDE}):
            self.assertFalse(bob.one(JoinResponse, JoinChannel(**place)).success)
            for request in (
                ListMessages(**place, limit=0),
                PostMessage(**place, content=b"hello"),
                SubscribeChannel(**place),
                ListChannelUsers(**place),
            ):
                self.assertEqual(bob.refusal(request)[0], ErrorCode.CHANNEL_NOT_FOUND)
        self.assertEqual(bob.refusal(GetSubchannels(channel_id=PARENT))[0], ErrorCode.CHANNEL_NOT_FOUND)
        self.assertEqual(bob.refusal(SubscribeThread(thread_id=root))[0], ErrorCode.THREAD_NOT_FOUND)
        answer = bob.refusal(PostMessage(channel_id=OTHER, parent_id=root, content=b"hello"))
        self.assertEqual(answer[0], ErrorCode.MESSAGE_NOT_FOUND)

    def test_left(self) -> None:
        """Whoever had joined has left, without ghosts: nobody is told of presence there any more (W28)."""
        bob, carol = self.connect("bob"), self.connect("carol")
        bob.send(JoinChannel(channel_id=SIDE))
        carol.send(JoinChannel(channel_id=PARENT))
        carol.send(SubscribeChannel(channel_id=SIDE))
        self.delete()
        self.settle()
        for client in (bob, carol):
            self.assertEqual([each for each in client.received() if isinstance(each, ChannelPresence)][1:], [])
        self.assertEqual(
            bob.ask(LeaveChannel(channel_id=0, permanent=False)),
            [LeaveResponse(success=False, channel_id=0, message="Not currently joined to any channel")],
        )
        self.assertTrue(bob.one(JoinResponse, JoinChannel(channel_id=OTHER)).success)
        carol.received()
        bob.leave()
        self.settle()
        self.assertEqual([each for each in carol.received() if isinstance(each, ChannelPresence)], [])

    def test_presence_under_way(self) -> None:
        """Presence that was collected just before is not told after the channel is gone."""
        bob, carol = self.connect("bob"), self.connect("carol")
        carol.send(SubscribeChannel(channel_id=PARENT))
        carol.received()
        bob.send(JoinChannel(channel_id=PARENT))
        self.delete()
        self.settle()
        self.assertEqual([type(event) for event in carol.received()], [ChannelDeleted])

    def test_nothing_is_left(self) -> None:
        """Subscriptions and delivery counters forget the places, threads included (W28)."""
        bob = self.connect("bob")
        roots = [self.post(bob, channel_id=place) for place in (PARENT, SIDE, OTHER)]
        for place in (PARENT, SIDE, OTHER):
            bob.send(SubscribeChannel(channel_id=place))
        for root in roots:
            bob.send(SubscribeThread(thread_id=root))
        for place, root in zip((PARENT, SIDE, OTHER), roots, strict=True):
            self.post(bob, channel_id=place)
            self.post(bob, channel_id=place, parent_id=root)
        session, counters, registry = session_of(bob), self.chat.counters, self.chat.registry
        self.assertEqual(len(counters.channel_deliveries.busiest(9)), 3)
        self.delete()
        self.assertEqual((session.channels, session.threads), ({OTHER}, {roots[2]}))
        self.assertEqual((len(registry.channel_audiences), len(registry.thread_audiences)), (1, 1))
        for flows in (counters.channel_deliveries, counters.thread_deliveries):
            self.assertEqual([flow.channel_id for flow in flows.busiest(9)], [OTHER])
            self.assertEqual(flows.total, 3)
        bob.leave()
        self.assertEqual(len(registry.thread_audiences), 0)

    def test_room_for_others(self) -> None:
        """What was subscribed to in a deleted channel no longer counts against the limits."""
        bob = self.connect("bob")
        for place in (PARENT, SIDE):
            bob.send(SubscribeChannel(channel_id=place))
        self.delete()
        self.assertEqual(session_of(bob).channels, set())
        self.assertEqual([*map(type, bob.ask(SubscribeChannel(channel_id=OTHER)))][-1:], [SubscribeOk])

    def test_subchannel(self) -> None:
        """A subchannel is deleted by its own id; its parent and siblings stay (decisions 4.2)."""
        bob = self.connect("bob")
        bob.send(JoinChannel(channel_id=QUIET))
        answer = self.delete(SIDE)
        self.assertEqual((answer.channel_id, answer.message), (SIDE, "Channel 'side' deleted successfully"))
        self.assertEqual([each.id for each in self.chat.directory.subchannels(PARENT)], [QUIET])
        self.assertEqual(session_of(bob).joined, QUIET)
        (entry, _) = bob.one(ChannelList, ListChannels(from_channel_id=0, limit=0)).channels
        self.assertEqual((entry.channel_id, entry.subchannel_count), (PARENT, 1))

    def test_restart(self) -> None:
        """What was deleted does not return at a restart, seed channels neither (decisions 4.13, W28)."""
        self.delete()
        self.run_now(self.start_chat())
        listed = self.connect().one(ChannelList, ListChannels(from_channel_id=0, limit=0)).channels
        self.assertEqual([each.channel_id for each in listed], [OTHER])
        self.assertEqual(len(self.chat.directory), 1)

    def test_name_is_free(self) -> None:
        """The name is free again at once, for a channel with an id of its own."""
        self.delete()
        new = CreateChannel(name="General", display_name="General", channel_type=1, retention_hours=24)
        self.assertEqual(self.anna.one(ChannelCreated, new).channel_id, OTHER + 1)

    def test_admins_only(self) -> None:
        """Nobody but admins deletes channels, and the answer names none (wire 0x5F)."""
        for client in (self.connect(), self.connect("bob"), self.person("carol"), self.moderator()):
            for channel_id in (PARENT, UNKNOWN):
                request = DeleteChannel(channel_id=channel_id, reason="")
                self.assertEqual(self.declined(client, request), (0, ADMIN_REQUIRED))
            broken = Malformed(0x5F, DeleteChannel.NAME, "too short")
            self.assertEqual(self.declined(client, broken), (0, ADMIN_REQUIRED))
        self.assertEqual(self.chat.counters.errors[ErrorCode.PERMISSION_DENIED], 12)

    def test_unreadable(self) -> None:
        """A request of an admin that cannot be read is an ERROR (reference 2.4)."""
        answer = self.anna.refusal(Malformed(0x5F, DeleteChannel.NAME, "too short"))
        self.assertEqual(answer, (ErrorCode.INVALID_FORMAT, "Invalid message format"))

    def test_unknown(self) -> None:
        """What is not there cannot be deleted; the answer has the id that was asked for (wire 0x5F)."""
        for channel_id in (UNKNOWN, 0, 2**64 - 1):
            request = DeleteChannel(channel_id=channel_id, reason="")
            self.assertEqual(self.declined(self.anna, request), (channel_id, "Channel not found"))

    def test_conversation(self) -> None:
        """A direct conversation is its participants' to leave: nobody deletes it, or learns that it is there."""
        bob, carol = self.person("bob"), self.person("carol")
        for direct in (self.conversation(bob, carol), self.conversation(self.anna, bob)):
            request = DeleteChannel(channel_id=direct, reason="")
            self.assertEqual(self.declined(self.anna, request), (direct, "Channel not found"))

    def test_audit(self) -> None:
        """What was deleted, by whom and why, is in the audit log (decisions 7.3) and in the log."""
        self.delete(SIDE)
        (act,) = self.acts()
        self.assertEqual((act.actor, act.actor_id, act.address, act.action), ("anna", 1, "192.0.2.1", "delete_channel"))
        self.assertEqual((act.target_type, act.target_id, act.target), ("channel", SIDE, "side"))
        self.assertEqual((act.details, act.performed_at), ("reason='spam'", self.now_ms()))
        self.assertIn("Admin anna deleted channel side (channel=2, subchannels=0, reason='spam')", self.log_lines())

    def test_reason(self) -> None:
        """A reason is one line of bounded text."""
        for reason, text in (
            ("ü" * 251, "Reason too long (max 500 bytes)"),
            (b"\xff".decode("utf-8", "surrogateescape"), "Reason is not valid UTF-8"),
        ):
            self.assertEqual(self.declined(self.anna, DeleteChannel(channel_id=PARENT, reason=reason)), (PARENT, text))
        self.anna.send(DeleteChannel(channel_id=PARENT, reason=" two\r\nlines\x1b[2J "))
        self.assertEqual(self.acts()[0].details, "reason='two lines [2J'")

    def test_swept(self) -> None:
        """The rows are removed at once, not with the next pass of retention."""
        self.chat.retention.start()
        self.addCleanup(self.chat.retention.stop)
        sweep, sweeps = self.storage.sweep, 0

        def counted() -> Deferred[Swept]:
            nonlocal sweeps
            sweeps += 1
            return sweep()

        self.patch(self.storage, "sweep", counted)
        self.delete()
        self.assertEqual(sweeps, 1)


class SlowStorage(MemoryStorage):
    """Deletes channels and posts messages when a test says so, in the order in which it was asked."""

    slow = False

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Deferred[Any], Callable[[], Deferred[Any]]]] = []

    def delete_channel(self, channel_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[list[int]]:
        if not self.slow:
            return super().delete_channel(channel_id, deleted_at, act)
        return self.later(lambda: MemoryStorage.delete_channel(self, channel_id, deleted_at, act))

    def append_message(self, new: NewMessage) -> Deferred[Message]:
        if not self.slow:
            return super().append_message(new)
        return self.later(lambda: MemoryStorage.append_message(self, new))

    def later(self, action: Callable[[], Deferred[T]]) -> Deferred[T]:
        """Do something once a test says so."""
        deferred: Deferred[T] = Deferred()
        self.waiting.append((deferred, action))
        return deferred

    def go_on(self) -> None:
        """Commit everything, then answer in the same order, as a group commit does."""
        waiting, self.waiting = self.waiting, []
        outcomes = [(deferred, action()) for deferred, action in waiting]
        for deferred, outcome in outcomes:
            outcome.chainDeferred(deferred)


class UnderWayTests(DeletingTestCase):
    """What happens while the storage is at it."""

    storage: SlowStorage

    def make_storage(self) -> SlowStorage:
        return SlowStorage()

    def setUp(self) -> None:
        super().setUp()
        self.bob, self.carol = self.connect("bob"), self.connect("carol")
        self.root = self.post(self.bob, channel_id=SIDE)
        self.storage.slow = True

    def ask_to_delete(self, channel_id: int = PARENT) -> None:
        self.anna.send(DeleteChannel(channel_id=channel_id, reason=""))

    def test_post_just_after(self) -> None:
        """What is posted while the channel goes is refused, roots and replies, and nobody gets it."""
        self.carol.send(SubscribeChannel(channel_id=SIDE))
        self.carol.received()
        self.ask_to_delete()
        self.bob.send(PostMessage(channel_id=SIDE, content=b"hello"))
        dave = self.connect("dave")
        dave.send(PostMessage(channel_id=SIDE, parent_id=self.root, content=b"hello"))
        for client in (self.bob, self.carol, dave):
            client.received()
        self.storage.go_on()
        for client in (self.bob, dave):
            (deleted, error) = client.received()
            assert isinstance(error, Error)
            self.assertIsInstance(deleted, ChannelDeleted)
            self.assertIn(error.error_code, (ErrorCode.CHANNEL_NOT_FOUND, ErrorCode.MESSAGE_NOT_FOUND))
        self.assertEqual([type(event) for event in self.carol.received()], [ChannelDeleted])

    def test_post_just_before(self) -> None:
        """What is posted just before is confirmed and broadcast before the channel is gone."""
        self.carol.send(SubscribeChannel(channel_id=SIDE))
        self.carol.received()
        self.bob.send(PostMessage(channel_id=SIDE, content=b"hello"))
        self.bob.received()
        self.ask_to_delete()
        self.storage.go_on()
        self.assertEqual([type(event) for event in self.bob.received()], [MessagePosted, ChannelDeleted])
        self.assertEqual([type(event) for event in self.carol.received()], [NewMessageFrame, ChannelDeleted])

    def test_twice(self) -> None:
        """Of two admins who delete a channel at the same moment one does; everybody is told once."""
        eve = self.person("eve", UserFlags.ADMIN)
        self.ask_to_delete()
        eve.send(DeleteChannel(channel_id=PARENT, reason=""))
        for client in (self.bob, eve):
            client.received()
        self.storage.go_on()
        told = [event for event in eve.received() if isinstance(event, ChannelDeleted)]
        self.assertEqual([event.message for event in told][1:], ["Channel not found"])
        self.assertEqual([type(event) for event in self.bob.received()], [ChannelDeleted])
        self.assertEqual(len(self.acts()), 1)

    def test_subchannel_with_its_parent(self) -> None:
        """A subchannel that is being deleted may go with its parent."""
        eve = self.person("eve", UserFlags.ADMIN)
        eve.send(DeleteChannel(channel_id=SIDE, reason=""))
        self.ask_to_delete()
        self.storage.go_on()
        self.assertEqual([each.id for each in self.chat.directory.top_level(0)], [OTHER])
        self.assertEqual(len(self.chat.directory), 1)

    def test_admin_leaves(self) -> None:
        """What was asked for is done and told to the others also when the admin has left."""
        self.ask_to_delete()
        self.anna.leave()
        self.settle()
        self.bob.received()
        self.storage.go_on()
        self.assertEqual(self.anna.late_writes, 0)
        self.assertEqual([type(event) for event in self.bob.received()], [ChannelDeleted])

    def test_joined_meanwhile(self) -> None:
        """Who joins or subscribes at the last moment is out again."""
        self.ask_to_delete()
        for client in (self.bob, self.carol):
            client.send(JoinChannel(channel_id=SIDE))
            client.send(SubscribeChannel(channel_id=PARENT))
            client.send(SubscribeThread(thread_id=self.root))
        self.storage.go_on()
        for client in (self.bob, self.carol):
            session = session_of(client)
            self.assertEqual((session.joined, session.channels, session.threads), (None, set(), set()))
