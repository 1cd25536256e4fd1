"""Tests for `superchat.chat.channels`: lists, joining and leaving, rosters, and both addressings of subchannels."""

from __future__ import annotations

from typing import Any

from superchat.config import SeedChannel
from superchat.wire.errors import ErrorCode
from superchat.wire.frames import MAX_LENGTH
from superchat.wire.messages import (
    ChannelEntry,
    ChannelList,
    ChannelUserList,
    GetSubchannels,
    JoinChannel,
    JoinResponse,
    LeaveChannel,
    LeaveResponse,
    ListChannels,
    ListChannelUsers,
    SubchannelEntry,
    SubchannelList,
    SubscribeChannel,
)
from tests.chat.talk import GENERAL, TECH, TalkTestCase

UNKNOWN = 999


class ListTests(TalkTestCase):
    """LIST_CHANNELS."""

    def ids(self, **request: Any) -> list[int]:
        message = ListChannels(**{"from_channel_id": 0, "limit": 0, **request})
        return [one.channel_id for one in self.connect().one(ChannelList, message).channels]

    def test_all(self) -> None:
        """Ascending ids, limit 0 means all of them (decisions 4.1)."""
        self.assertEqual(self.ids(), [1, 2, 3, 4, 5])
        self.assertEqual(len(self.chat.directory), 5)

    def test_cursor_and_limit(self) -> None:
        """The cursor is an id and exclusive; the limit counts from there (W39)."""
        self.assertEqual(self.ids(from_channel_id=2), [3, 4, 5])
        self.assertEqual(self.ids(from_channel_id=2, limit=2), [3, 4])
        self.assertEqual(self.ids(from_channel_id=5), [])
        self.assertEqual(self.ids(from_channel_id=2**64 - 1), [])

    def test_entry(self) -> None:
        """The count is that of the channel's subscribers."""
        for _ in range(3):
            self.connect().send(SubscribeChannel(channel_id=1))
        entry = self.connect().one(ChannelList, ListChannels(from_channel_id=0, limit=1)).channels[0]
        self.assertEqual(
            entry,
            ChannelEntry(
                channel_id=1,
                name="chat",
                description="General chat (linear conversation)",
                user_count=3,
                is_operator=False,
                type=0,
                retention_hours=24,
                has_subchannels=False,
                subchannel_count=0,
            ),
        )


class VeryManyChannelsTests(TalkTestCase):
    """More channels than one frame holds."""

    channels = tuple(SeedChannel(f"channel{n}", description="x" * 500) for n in range(2100))

    def test_fits_a_frame(self) -> None:
        """The list is as long as one frame allows, and the cursor reaches the rest."""
        client = self.connect()
        seen: list[int] = []
        while True:
            request = ListChannels(from_channel_id=seen[-1] if seen else 0, limit=0)
            answer = client.one(ChannelList, request)
            self.assertLessEqual(len(answer.pack()) + 3, MAX_LENGTH)
            if not answer.channels:
                break
            seen += [one.channel_id for one in answer.channels]
        self.assertEqual(seen, list(range(1, 2101)))


class SubchannelTests(TalkTestCase):
    """A subchannel is the same place by its own id and by (parent, subchannel) (decisions 4.2)."""

    channels = (
        SeedChannel("general"),
        SeedChannel("zebra", parent="general", description="stripes"),
        SeedChannel("apple", parent="general", type="chat", retention_hours=5),
        SeedChannel("other"),
    )
    parent, zebra, apple, other = 1, 2, 3, 4

    def test_list(self) -> None:
        """GET_SUBCHANNELS lists them by name; LIST_CHANNELS only counts them."""
        client = self.connect()
        self.assertEqual(
            client.ask(GetSubchannels(channel_id=self.parent)),
            [
                SubchannelList(
                    channel_id=self.parent,
                    subchannels=(
                        SubchannelEntry(
                            subchannel_id=self.apple, name="apple", description="", type=0, retention_hours=5
                        ),
                        SubchannelEntry(
                            subchannel_id=self.zebra,
                            name="zebra",
                            description="stripes",
                            type=1,
                            retention_hours=168,
                        ),
                    ),
                )
            ],
        )
        entries = client.one(ChannelList, ListChannels(from_channel_id=0, limit=0)).channels
        self.assertEqual(
            [(one.channel_id, one.has_subchannels, one.subchannel_count) for one in entries],
            [(self.parent, True, 2), (self.other, False, 0)],
        )

    def test_unknown_parent(self) -> None:
        """An unknown channel is ERROR 4001."""
        self.assertEqual(
            self.connect().refusal(GetSubchannels(channel_id=UNKNOWN)),
            (ErrorCode.CHANNEL_NOT_FOUND, "Channel not found"),
        )

    def test_join_both_ways(self) -> None:
        """Both addressings join the same place, and the reply echoes the request."""
        alice, bob = self.connect("alice"), self.connect("bob")
        reply = alice.one(JoinResponse, JoinChannel(channel_id=self.parent, subchannel_id=self.zebra))
        self.assertEqual((reply.channel_id, reply.subchannel_id), (self.parent, self.zebra))
        reply = bob.one(JoinResponse, JoinChannel(channel_id=self.zebra))
        self.assertEqual((reply.channel_id, reply.subchannel_id), (self.zebra, None))
        roster = bob.one(ChannelUserList, ListChannelUsers(channel_id=self.zebra))
        self.assertEqual([user.nickname for user in roster.users], ["alice", "bob"])
        self.assertEqual(
            roster.users,
            bob.one(ChannelUserList, ListChannelUsers(channel_id=self.parent, subchannel_id=self.zebra)).users,
        )

    def test_leave_both_ways(self) -> None:
        """A place joined one way may be left the other."""
        alice = self.connect("alice")
        alice.send(JoinChannel(channel_id=self.zebra))
        reply = alice.one(
            LeaveResponse, LeaveChannel(channel_id=self.parent, subchannel_id=self.zebra, permanent=False)
        )
        self.assertEqual((reply.success, reply.channel_id, reply.subchannel_id), (True, self.zebra, None))

    def test_foreign_subchannel(self) -> None:
        """A subchannel of another parent is not found."""
        alice = self.connect("alice")
        wrong = JoinChannel(channel_id=self.other, subchannel_id=self.zebra)
        self.assertFalse(alice.one(JoinResponse, wrong).success)
        self.assertEqual(
            alice.refusal(ListChannelUsers(channel_id=self.other, subchannel_id=self.zebra)),
            (ErrorCode.SUBCHANNEL_NOT_FOUND, "Subchannel does not exist"),
        )


class JoinTests(TalkTestCase):
    """JOIN_CHANNEL and LEAVE_CHANNEL; the presence that goes with them is tested with presence."""

    def test_unknown(self) -> None:
        """An unknown channel is success=false with the requested id (reference 2.2)."""
        for channel_id in (UNKNOWN, 0, 2**64 - 1):
            self.assertEqual(
                self.connect("alice").ask(JoinChannel(channel_id=channel_id)),
                [JoinResponse(success=False, channel_id=channel_id, message="Channel not found")],
            )

    def test_without_nickname(self) -> None:
        """No nickname is needed."""
        self.assertTrue(self.connect().one(JoinResponse, JoinChannel(channel_id=GENERAL)).success)

    def test_leave_nothing(self) -> None:
        """Leaving without having joined is refused with the requested id."""
        self.assertEqual(
            self.connect("alice").ask(LeaveChannel(channel_id=GENERAL, permanent=False)),
            [LeaveResponse(success=False, channel_id=GENERAL, message="Not currently joined to any channel")],
        )

    def test_leave_another(self) -> None:
        """Leaving another channel than the joined one is refused, known or not."""
        alice = self.connect("alice")
        alice.send(JoinChannel(channel_id=GENERAL))
        for channel_id in (TECH, UNKNOWN):
            text = "Session is not joined to the requested channel"
            self.assertEqual(
                alice.ask(LeaveChannel(channel_id=channel_id, permanent=False)),
                [LeaveResponse(success=False, channel_id=channel_id, message=text)],
            )

    def test_leave_whatever(self) -> None:
        """Channel 0 means whatever is joined (wire 0x06)."""
        alice = self.connect()
        alice.send(JoinChannel(channel_id=TECH))
        self.assertEqual(
            alice.ask(LeaveChannel(channel_id=0, permanent=False)),
            [LeaveResponse(success=True, channel_id=TECH, message="Left channel")],
        )


class RosterTests(TalkTestCase):
    """LIST_CHANNEL_USERS."""

    def test_sorted(self) -> None:
        """Those who joined, by nickname, nobody without one (decisions 5.2)."""
        for nickname in ("carol", "alice", "bob", None):
            self.connect(nickname).send(JoinChannel(channel_id=GENERAL))
        self.connect("stranger").send(SubscribeChannel(channel_id=GENERAL))
        roster = self.connect().one(ChannelUserList, ListChannelUsers(channel_id=GENERAL))
        self.assertEqual([user.nickname for user in roster.users], ["alice", "bob", "carol"])

    def test_unknown(self) -> None:
        """ERROR 4001 for an unknown channel, 0 included, each with its text (reference 2.1)."""
        for channel_id, text in ((0, "Channel not found"), (UNKNOWN, "Channel does not exist")):
            self.assertEqual(
                self.connect().refusal(ListChannelUsers(channel_id=channel_id)),
                (ErrorCode.CHANNEL_NOT_FOUND, text),
            )
