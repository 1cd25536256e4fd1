"""Tests for `superchat.chat.creating`: who may create what, how often, and who hears of it."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent

from superchat.config import Config, Limits
from superchat.model import Channel, NewChannel, UserFlags
from superchat.storage.errors import Unavailable, UnknownChannel
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode, Malformed
from superchat.wire.messages import (
    ChannelCreated,
    ChannelList,
    CreateChannel,
    CreateSubchannel,
    Error,
    GetSubchannels,
    JoinChannel,
    JoinResponse,
    ListChannels,
    Logout,
    SubchannelCreated,
    SubchannelList,
    SubscribeChannel,
)
from superchat.wire.messages import NewMessage as NewMessageFrame
from tests.chat.people import PeopleTestCase, session_of
from tests.chat.talk import GENERAL, Client

NEXT_ID = 6
"""That of the first channel after the default ones."""
UNKNOWN = 999
CONTROLS = ("bell\a rings", "two\nlines", "tab\tbed", "\x7fdelete", "next\x85line", "line\u2028end", "gnp\u202e.exe")
"""Names that hold what nobody sees, or what changes how the text around it looks."""


def channel(**changes: Any) -> CreateChannel:
    """A request that nothing is wrong with."""
    values: dict[str, Any] = {
        "name": "Cooking",
        "display_name": "Cooking & more",
        "description": "Dinner",
        "channel_type": 1,
        "retention_hours": 48,
    }
    return CreateChannel(**(values | changes))


def subchannel(channel_id: int, **changes: Any) -> CreateSubchannel:
    """A request that nothing is wrong with."""
    values: dict[str, Any] = {
        "channel_id": channel_id,
        "name": "baking",
        "description": "",
        "type": 0,
        "retention_hours": 24,
    }
    return CreateSubchannel(**(values | changes))


class CreatingTestCase(PeopleTestCase):
    """Alice has an account, anna is an admin."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_channel_creates=0)

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.person("alice")

    def admin(self, nickname: str = "anna") -> Client:
        """Somebody with an admin's rights."""
        return self.person(nickname, UserFlags.ADMIN)

    def created(self, client: Client, request: CreateChannel) -> int:
        """Create a channel that nothing is wrong with; its id."""
        answer = client.one(ChannelCreated, request)
        assert answer.channel_id is not None, answer.message
        return answer.channel_id

    def subcreated(self, client: Client, request: CreateSubchannel) -> int:
        """Create a subchannel that nothing is wrong with; its id."""
        answer = client.one(SubchannelCreated, request)
        assert answer.subchannel_id is not None, answer.message
        return answer.subchannel_id

    def declined(self, client: Client, request: CreateChannel | CreateSubchannel | Malformed) -> str:
        """Why nothing was created: the only answer says so, and nothing has changed."""
        before = self.now(self.storage.channels())
        (answer,) = client.ask(request)
        assert isinstance(answer, ChannelCreated | SubchannelCreated), answer
        self.assertFalse(answer.success)
        self.assertEqual(self.now(self.storage.channels()), before)
        self.assertEqual(len(self.chat.directory), len(before))
        return answer.message


class ChannelTests(CreatingTestCase):
    """CREATE_CHANNEL."""

    def test_created(self) -> None:
        """The creator gets the reply, every other session the news with a text of its own (reference 2.2)."""
        others = [self.connect("bob"), self.connect(), self.session_again()]
        fields: dict[str, Any] = {
            "success": True,
            "channel_id": NEXT_ID,
            "name": "Cooking",
            "description": "Dinner",
            "type": 1,
            "retention_hours": 48,
        }
        reply = ChannelCreated(**fields, message="Channel 'Cooking & more' created successfully")
        self.assertEqual(self.alice.ask(channel()), [reply])
        news = ChannelCreated(**fields, message="New channel 'Cooking & more' created")
        for other in others:
            self.assertEqual(other.received(), [news])

    def session_again(self) -> Client:
        """A second session of alice."""
        account = session_of(self.alice).account
        assert account is not None
        return self.session(account)

    def test_there_at_once(self) -> None:
        """The channel is listed and can be joined, subscribed to and posted in as soon as it is confirmed."""
        new = self.created(self.alice, channel(description=None))
        entries = self.alice.one(ChannelList, ListChannels(from_channel_id=0, limit=0)).channels
        self.assertEqual((entries[-1].channel_id, entries[-1].name, entries[-1].description), (new, "Cooking", ""))
        bob = self.connect("bob")
        self.assertTrue(bob.one(JoinResponse, JoinChannel(channel_id=new)).success)
        self.alice.send(SubscribeChannel(channel_id=new))
        self.alice.received()
        self.post(bob, channel_id=new)
        self.assertEqual(
            next(event for event in self.alice.received() if isinstance(event, NewMessageFrame)).channel_id, new
        )

    def test_restart(self) -> None:
        """Channels and subchannels are there after a restart, with their owner (W23)."""
        parent = self.created(self.alice, channel())
        child = self.subcreated(self.alice, subchannel(parent))
        before = {each.id: each for each in self.now(self.storage.channels())}
        self.run_now(self.start_chat())
        self.assertEqual(self.chat.directory.get(parent), before[parent])
        self.assertEqual(self.chat.directory.get(child), before[child])
        alice = session_of(self.alice)
        self.assertEqual((before[parent].created_by, before[child].created_by), (alice.account_id, alice.account_id))
        self.assertEqual(before[parent].display_name, "Cooking & more")

    def test_logged(self) -> None:
        """What was created by whom is a line in the log."""
        self.created(self.alice, channel())
        self.assertIn("alice CREATE_CHANNEL channel=6 parent=None type=forum retention=48h", self.log_lines())

    def test_anonymous(self) -> None:
        """Only accounts create channels, whatever else is wrong with the request."""
        text = "Only registered users can create channels. Please register or log in."
        for client in (self.connect(), self.connect("bob")):
            self.assertEqual(self.declined(client, channel()), text)
            self.assertEqual(self.declined(client, channel(name="")), text)
        self.assertEqual(self.chat.counters.errors[ErrorCode.AUTH_REQUIRED], 4)

    def test_logged_out(self) -> None:
        """Who has logged out creates nothing any more (decisions 2.4)."""
        self.alice.send(Logout())
        self.alice.received()
        self.assertIn("Only registered users", self.declined(self.alice, channel()))

    def test_unreadable(self) -> None:
        """A payload that cannot be read has the same answer as any other mistake, whoever sent it (wire 0x07)."""
        for kind, answer in ((CreateChannel, ChannelCreated), (CreateSubchannel, SubchannelCreated)):
            broken = Malformed(0x07, kind.NAME, "too short")
            for client in (self.alice, self.connect()):
                self.assertEqual(client.ask(broken), [answer(success=False, message="Invalid request format")])
        self.assertEqual(self.chat.counters.errors[ErrorCode.INVALID_FORMAT], 4)

    def test_order_of_checks(self) -> None:
        """What is wrong is told in the reference's order, in its words (reference 2.2)."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"retention_hours": 0}, "Retention hours must be between 1 and 8760 (1 year)"),
            ({"channel_type": 2}, "Invalid channel type (must be 0=chat or 1=forum)"),
            ({"description": "x" * 501}, "Description must be at most 500 characters"),
            ({"display_name": ""}, "Display name must be 1-100 characters"),
            ({"name": "no"}, "Channel name must be 3-50 characters"),
        ]
        mistakes: dict[str, Any] = {}
        for changes, text in wrong:
            mistakes |= changes
            self.assertEqual(self.declined(self.alice, channel(**mistakes)), text)
        self.assertEqual(self.chat.counters.errors[ErrorCode.INVALID_INPUT], len(wrong))

    def test_limits_are_bytes(self) -> None:
        """Lengths count in bytes, both ends included."""
        for right in ({"name": "ü" * 25}, {"name": "abc"}, {"display_name": "ü" * 50}, {"description": "ü" * 250}):
            self.created(self.alice, channel(**({"name": f"name{len(self.chat.directory)}"} | right)))
        for wrong in ({"name": "ü" * 26}, {"display_name": "ü" * 51}, {"description": "ü" * 251}, {"name": "ü"}):
            self.assertRegex(self.declined(self.alice, channel(**wrong)), r"must be (at most )?[0-9-]+ characters")

    def test_hours(self) -> None:
        """A message lives from an hour to a year."""
        for hours in (1, 8760):
            self.created(self.alice, channel(name=f"hours{hours}", retention_hours=hours))
        for hours in (0, 8761, 2**32 - 1):
            self.assertIn("between 1 and 8760", self.declined(self.alice, channel(retention_hours=hours)))

    def test_unreadable_names(self) -> None:
        """Names are text that people can read: no control characters, and no bytes that are no UTF-8."""
        for name in (*CONTROLS, b"b\xffd".decode("utf-8", "surrogateescape")):
            self.assertEqual(
                self.declined(self.alice, channel(name=name)),
                "Channel name must be readable text without control characters",
            )
            self.assertEqual(
                self.declined(self.alice, channel(display_name=name)),
                "Display name must be readable text without control characters",
            )

    def test_spaces(self) -> None:
        """Names neither begin nor end with spaces, which nobody would see; inside they are fine."""
        for name in (" cooking", "cooking ", "\u00a0cooking", "cooking\u3000"):
            text = self.declined(self.alice, channel(name=name))
            self.assertEqual(text, "Channel name must not begin or end with a space")
            text = self.declined(self.alice, channel(display_name=name))
            self.assertEqual(text, "Display name must not begin or end with a space")
        self.created(self.alice, channel(name="home cooking!"))

    def test_description(self) -> None:
        """A description may have lines; other control characters are refused."""
        self.created(self.alice, channel(description="one\n\ttwo"))
        text = "Description must be readable text without control characters"
        for description in ("bell\a", "escape\x1b[2J", b"\xff".decode("utf-8", "surrogateescape")):
            self.assertEqual(self.declined(self.alice, channel(name="other", description=description)), text)

    def test_duplicate(self) -> None:
        """A top-level name is given once, ignoring case, and the channel that has it stays as it is (W6)."""
        before = self.chat.directory.get(GENERAL)
        for name in ("general", "GENERAL", "GeneraL"):
            self.assertEqual(self.declined(self.alice, channel(name=name)), "Channel name already exists")
        self.assertEqual(self.chat.directory.get(GENERAL), before)
        parent = self.created(self.alice, channel())
        self.subcreated(self.alice, subchannel(parent, name="unique"))
        self.created(self.alice, channel(name="Unique"))

    def test_named_like_a_conversation(self) -> None:
        """The name of a direct conversation is nobody's, and tells nobody that there is one (decisions 3.2)."""
        bob, carol = self.person("bob"), self.person("carol")
        direct = self.chat.directory.get(self.conversation(bob, carol))
        assert direct is not None
        self.created(self.alice, channel(name=direct.name))

    @settings(derandomize=True, database=None)
    @given(text=st.text(st.characters(codec=None, exclude_categories=()), max_size=60))
    def test_any_name(self, text: str) -> None:
        """Any name gives a channel of that name or a refusal, and never breaks a line of the log."""
        self.log.clear()
        before = len(self.chat.directory)
        (answer,) = self.alice.ask(channel(name=text, display_name=text or "x"))
        assert isinstance(answer, ChannelCreated)
        self.assertEqual(len(self.chat.directory), before + answer.success)
        for event in self.log:
            self.assertEqual(len((formatEvent(event) or "").splitlines()), 1)


class SubchannelTests(CreatingTestCase):
    """CREATE_SUBCHANNEL."""

    def test_created(self) -> None:
        """The owner gets the reply, and every other session the same (reference 2.2)."""
        parent = self.created(self.alice, channel())
        bob = self.connect("bob")
        expected = SubchannelCreated(
            success=True,
            channel_id=parent,
            subchannel_id=parent + 1,
            name="baking",
            description="",
            type=0,
            retention_hours=24,
            message="Subchannel 'baking' created successfully",
        )
        self.assertEqual(self.alice.ask(subchannel(parent)), [expected])
        self.assertEqual(bob.received(), [expected])
        listed = bob.one(SubchannelList, GetSubchannels(channel_id=parent)).subchannels
        self.assertEqual([(each.subchannel_id, each.name) for each in listed], [(parent + 1, "baking")])

    def test_both_addressings(self) -> None:
        """A new subchannel is one place, by its own id and by its parent's with it (decisions 4.2, W34)."""
        parent = self.created(self.alice, channel())
        child = self.subcreated(self.alice, subchannel(parent))
        bob = self.connect("bob")
        bob.send(SubscribeChannel(channel_id=child))
        bob.received()
        message_id = self.post(self.alice, channel_id=parent, subchannel_id=child)
        (news,) = [event for event in bob.received() if isinstance(event, NewMessageFrame)]
        self.assertEqual((news.message_id, news.channel_id), (message_id, child))

    def test_owner_or_admin(self) -> None:
        """Subchannels are for the owner of the channel and for admins; seed channels have no owner."""
        parent = self.created(self.alice, channel())
        bob, moderator, admin = self.person("bob"), self.moderator(), self.admin()
        text = "Only the channel owner or admins can create subchannels"
        for client, place in ((bob, parent), (moderator, parent), (self.alice, GENERAL)):
            self.assertEqual(self.declined(client, subchannel(place)), text)
        self.assertEqual(self.chat.counters.errors[ErrorCode.PERMISSION_DENIED], 3)
        for place in (parent, GENERAL):
            self.subcreated(admin, subchannel(place))

    def test_anonymous(self) -> None:
        """Only accounts create subchannels."""
        text = "Only registered users can create subchannels. Please register or log in."
        for client in (self.connect(), self.connect("bob")):
            self.assertEqual(self.declined(client, subchannel(UNKNOWN)), text)

    def test_order_of_checks(self) -> None:
        """What is wrong is told in the reference's order, in its words (reference 2.2)."""
        parent = self.created(self.alice, channel())
        child = self.subcreated(self.alice, subchannel(parent))
        nested = "Cannot create subchannels within subchannels (only one level of nesting allowed)"
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"retention_hours": 8761}, "Retention hours must be between 1 and 8760 (1 year)"),
            ({"type": 255}, "Invalid channel type (must be 0=chat or 1=forum)"),
            ({"description": "x" * 501}, "Description must be at most 500 characters"),
            ({"name": "x" * 51}, "Subchannel name must be 3-50 characters"),
            ({"channel_id": child}, nested),
            ({"channel_id": GENERAL}, "Only the channel owner or admins can create subchannels"),
            ({"channel_id": UNKNOWN}, "Parent channel not found"),
        ]
        request: dict[str, Any] = {"channel_id": parent, "name": "other"}
        for changes, text in wrong:
            request |= changes
            self.assertEqual(self.declined(self.alice, subchannel(**request)), text)

    def test_unreadable_names(self) -> None:
        """The names of subchannels are text that people can read, too."""
        parent = self.created(self.alice, channel())
        for name in CONTROLS:
            text = self.declined(self.alice, subchannel(parent, name=name))
            self.assertEqual(text, "Subchannel name must be readable text without control characters")
        text = self.declined(self.alice, subchannel(parent, name="baking "))
        self.assertEqual(text, "Subchannel name must not begin or end with a space")

    def test_duplicate(self) -> None:
        """A name is given once within a parent, ignoring case; elsewhere it is free (decisions 4.1)."""
        parent, other = self.created(self.alice, channel()), self.created(self.alice, channel(name="other"))
        self.subcreated(self.alice, subchannel(parent))
        text = self.declined(self.alice, subchannel(parent, name="BAKING"))
        self.assertEqual(text, "Subchannel name already exists in this channel")
        self.subcreated(self.alice, subchannel(other))
        self.subcreated(self.alice, subchannel(parent, name="general"))

    def test_conversation(self) -> None:
        """Direct conversations have no subchannels, and look as if they were not there (decisions 3.2)."""
        bob, admin = self.person("bob"), self.admin()
        direct = self.conversation(bob, admin)
        for client in (bob, admin, self.alice):
            self.assertEqual(self.declined(client, subchannel(direct)), "Parent channel not found")


class LimitTests(CreatingTestCase):
    """`max_channel_creates`."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_channel_creates=2)

    def test_per_hour(self) -> None:
        """One more than allowed within an hour is refused with the limit in the text (decisions 4.1)."""
        parent = self.created(self.alice, channel())
        self.clock.advance(1800)
        self.subcreated(self.alice, subchannel(parent))
        text = "Channel creation limit exceeded (max 2 per hour)"
        self.assertEqual(self.declined(self.alice, channel(name="third")), text)
        self.assertEqual(self.declined(self.alice, subchannel(parent, name="third")), text)
        self.assertEqual(self.chat.counters.errors[ErrorCode.CHANNEL_CREATE_LIMIT], 2)
        self.clock.advance(1799)
        self.assertEqual(self.declined(self.alice, channel(name="third")), text)
        self.clock.advance(1)
        self.created(self.alice, channel(name="third"))
        self.assertEqual(self.declined(self.alice, channel(name="fourth")), text)

    def test_logged(self) -> None:
        """Both of the monitoring guide's searches find the refusal, and its code (decisions 4.1, 4.10)."""
        for name in ("one", "two", "three"):
            self.alice.send(channel(name=name))
        line = self.log_lines()[-1]
        for part in (f"Rate limit exceeded for session {self.alice.id}", "rate limit exceeded", "5002", "2 per hour"):
            self.assertIn(part, line)

    def test_per_account(self) -> None:
        """The limit is the account's, not the session's."""
        account = session_of(self.alice).account
        assert account is not None
        for name in ("one", "two"):
            self.created(self.alice, channel(name=name))
        self.alice.leave()
        again = self.session(account)
        self.assertIn("limit", self.declined(again, channel(name="three")))
        self.created(self.person("bob"), channel(name="three"))

    def test_refusals_cost_nothing(self) -> None:
        """Only channels that were created count."""
        for _ in range(5):
            self.declined(self.alice, channel(name="general"))
            self.declined(self.alice, channel(name="x"))
        for name in ("one", "two"):
            self.created(self.alice, channel(name=name))

    def test_reconfigured(self) -> None:
        """Another limit counts at once, and what was created before counts against it."""
        for name in ("one", "two"):
            self.created(self.alice, channel(name=name))
        self.chat.reconfigure(Config(limits=attrs.evolve(self.limits, max_channel_creates=3)))
        self.created(self.alice, channel(name="three"))
        self.assertIn("max 3 per hour", self.declined(self.alice, channel(name="four")))


class SlowStorage(MemoryStorage):
    """Creates channels when a test says so, if at all."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Deferred[Channel], NewChannel, int]] = []

    def create_channel(self, new: NewChannel, created_at: int) -> Deferred[Channel]:
        deferred: Deferred[Channel] = Deferred()
        self.waiting.append((deferred, new, created_at))
        return deferred

    def go_on(self) -> None:
        """Do what was asked for."""
        waiting, self.waiting = self.waiting, []
        for deferred, new, created_at in waiting:
            super().create_channel(new, created_at).chainDeferred(deferred)


class UnderWayTests(CreatingTestCase):
    """What happens while the storage is at it."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_channel_creates=1)
    storage: SlowStorage

    def make_storage(self) -> SlowStorage:
        return SlowStorage()

    def test_limit_holds(self) -> None:
        """Requests of two sessions at the same moment do not get around the limit."""
        account = session_of(self.alice).account
        assert account is not None
        second = self.session(account)
        self.alice.send(channel(name="one"))
        self.assertIn("limit", self.declined(second, channel(name="two")))
        self.storage.go_on()
        self.assertTrue(next(event for event in self.alice.received() if isinstance(event, ChannelCreated)).success)

    def test_duplicates(self) -> None:
        """Of two that want the same name at the same moment one gets it."""
        bob = self.person("bob")
        self.alice.send(channel())
        bob.send(channel(name="COOKING"))
        self.storage.go_on()
        self.assertEqual(
            [event.success for event in self.alice.received() if isinstance(event, ChannelCreated)], [True]
        )
        answers = [event for event in bob.received() if isinstance(event, ChannelCreated)]
        self.assertEqual([event.success for event in answers], [True, False])
        self.assertEqual(answers[1].message, "Channel name already exists")

    def test_creator_leaves(self) -> None:
        """What was asked for is created and told to the others also when its creator has left."""
        bob = self.connect("bob")
        self.alice.send(channel())
        self.alice.leave()
        self.settle()
        bob.received()
        self.storage.go_on()
        self.assertEqual(self.alice.late_writes, 0)
        self.assertEqual([type(event) for event in bob.received()], [ChannelCreated])

    def test_parent_goes(self) -> None:
        """A parent that is deleted meanwhile is not found."""
        admin = self.admin()
        admin.send(subchannel(GENERAL))
        admin.received()
        ((deferred, _, _),) = self.storage.waiting
        deferred.errback(UnknownChannel("there is no channel 2"))
        self.assertEqual(admin.received(), [SubchannelCreated(success=False, message="Parent channel not found")])

    def test_database_trouble(self) -> None:
        """Trouble of the database is an ERROR, and costs nothing of the limit (wire 0x07)."""
        self.alice.send(channel())
        ((deferred, _, _),) = self.storage.waiting
        self.storage.waiting.clear()
        deferred.errback(Unavailable("disk full"))
        self.assertEqual(self.alice.received(), [Error(error_code=ErrorCode.DATABASE_ERROR, message="Database error")])
        self.alice.send(channel())
        self.storage.go_on()
        self.assertTrue(next(event for event in self.alice.received() if isinstance(event, ChannelCreated)).success)
