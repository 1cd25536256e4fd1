"""Tests for `superchat.chat.presence`: who hears what of whom, once, in order, and within 100 ms."""

from __future__ import annotations

from superchat.chat.presence import COLLECT_SECONDS
from superchat.wire.messages import (
    ChannelPresence,
    JoinChannel,
    JoinResponse,
    LeaveChannel,
    LeaveResponse,
    NicknameResponse,
    ServerPresence,
    SetNickname,
    SubscribeChannel,
    UnsubscribeChannel,
)
from tests.chat.talk import GENERAL, TECH, Client, TalkTestCase


def online(client: Client, nickname: str) -> ServerPresence:
    """The event that says so."""
    return _server_event(client, nickname, True)


def offline(client: Client, nickname: str) -> ServerPresence:
    """The event that says so."""
    return _server_event(client, nickname, False)


def _server_event(client: Client, nickname: str, is_online: bool) -> ServerPresence:
    return ServerPresence(
        session_id=client.id, nickname=nickname, is_registered=False, user_flags=0, online=is_online
    )


def in_channel(client: Client, nickname: str, channel_id: int, joined: bool) -> ChannelPresence:
    """The event that says so."""
    return ChannelPresence(
        channel_id=channel_id,
        session_id=client.id,
        nickname=nickname,
        is_registered=False,
        user_flags=0,
        joined=joined,
    )


class ServerPresenceTests(TalkTestCase):
    """SERVER_PRESENCE."""

    def test_arrival(self) -> None:
        """The newcomer gets its reply, everybody who is here, and itself, at once and in this order."""
        alice, bob = self.connect("alice"), self.connect("bob")
        carol = self.connect()
        self.assertEqual(
            carol.ask(SetNickname(nickname="carol")),
            [
                NicknameResponse(success=True, message="Nickname set to carol"),
                online(alice, "alice"),
                online(bob, "bob"),
                online(carol, "carol"),
            ],
        )

    def test_others_hear_soon(self) -> None:
        """Everybody else hears within 100 ms, also those without a nickname (decisions 5.1)."""
        listeners = [self.connect("alice"), self.connect()]
        bob = self.connect()
        bob.send(SetNickname(nickname="bob"))
        self.clock.advance(0.1)
        for listener in listeners:
            self.assertEqual(listener.received(), [online(bob, "bob")])
        self.assertLess(COLLECT_SECONDS, 0.1)

    def test_nobody_hears_of_the_nameless(self) -> None:
        """A session without a nickname comes, joins and goes unmentioned."""
        alice = self.connect("alice")
        alice.send(SubscribeChannel(channel_id=GENERAL))
        alice.received()
        nameless = self.connect()
        nameless.send(JoinChannel(channel_id=GENERAL))
        nameless.leave()
        self.settle()
        self.assertEqual(alice.received(), [])

    def test_pair_cancels(self) -> None:
        """Who comes and goes before anybody was told is never mentioned (decisions 5.1)."""
        alice = self.connect("alice")
        bob = self.connect()
        bob.send(SetNickname(nickname="bob"))
        bob.leave()
        self.settle()
        self.assertEqual(alice.received(), [])

    def test_pair_cancels_again(self) -> None:
        """What was told in one batch does not keep a pair of the next from cancelling."""
        alice = self.connect("alice")
        Client(self.chat).connect().send(SetNickname(nickname="bob"))
        Client(self.chat).connect().send(SetNickname(nickname="carol"))
        self.settle()
        alice.received()
        dave = self.connect()
        dave.send(SetNickname(nickname="dave"))
        dave.send(SetNickname(nickname="david"))
        dave.leave()
        self.settle()
        self.assertEqual(alice.received(), [])

    def test_not_told_again(self) -> None:
        """The snapshot leaves out whom the newcomer has heard of since it connected (decisions 5.1)."""
        alice, early = self.connect("alice"), self.connect()
        bob = self.connect("bob")
        self.assertEqual(early.received(), [online(bob, "bob")])
        carol = self.connect()
        carol.send(SetNickname(nickname="carol"))
        self.assertEqual(
            early.ask(SetNickname(nickname="early")),
            [
                NicknameResponse(success=True, message="Nickname set to early"),
                online(alice, "alice"),
                online(carol, "carol"),
                online(early, "early"),
            ],
        )
        self.settle()
        self.assertEqual(early.received(), [])

    def test_no_pair_once_told(self) -> None:
        """Whoever was told of an arrival, by the snapshot too, is told of the departure."""
        bob = self.connect()
        bob.send(SetNickname(nickname="bob"))
        carol = Client(self.chat).connect()
        carol.send(SetNickname(nickname="carol"))
        self.assertIn(online(bob, "bob"), carol.received())
        bob.leave()
        self.settle()
        self.assertEqual(carol.received(), [offline(bob, "bob")])

    def test_rename(self) -> None:
        """A new nickname is announced as online again, once to everyone (reference section 3)."""
        alice, bob = self.connect("alice"), self.connect("bob")
        self.assertEqual(
            alice.ask(SetNickname(nickname="alicia")),
            [NicknameResponse(success=True, message="Nickname changed to alicia"), online(alice, "alicia")],
        )
        self.settle()
        self.assertEqual((alice.received(), bob.received()), ([], [online(alice, "alicia")]))

    def test_same_nickname(self) -> None:
        """Taking the same nickname again is announced too, without a new snapshot."""
        self.connect("bob")
        alice = self.connect("alice")
        self.assertEqual(
            alice.ask(SetNickname(nickname="alice")),
            [NicknameResponse(success=True, message="Nickname set to alice"), online(alice, "alice")],
        )

    def test_departure(self) -> None:
        """Everybody hears that somebody has left: first the channel, then the server (reference 1.0)."""
        alice, bob = self.connect("alice"), self.connect("bob")
        alice.send(SubscribeChannel(channel_id=GENERAL))
        bob.send(JoinChannel(channel_id=GENERAL))
        self.settle()
        alice.received()
        bob.leave()
        self.settle()
        self.assertEqual(
            alice.received(), [in_channel(bob, "bob", GENERAL, False), offline(bob, "bob")]
        )

    def test_late_departure_reaches_newcomers(self) -> None:
        """A newcomer that heard of somebody before it had a nickname hears that he left meanwhile."""
        bob, nameless = self.connect("bob"), self.connect()
        carol = self.connect("carol")
        nameless.received()
        carol.leave()
        nameless.send(SetNickname(nickname="dave"))
        heard = nameless.received()
        self.assertIn(offline(carol, "carol"), heard)
        self.assertNotIn(online(carol, "carol"), heard)
        self.assertIn(online(bob, "bob"), heard)

    def test_storm_is_cheap(self) -> None:
        """A hundred arrivals at once reach a session that looks on in one write, in order (decisions 5.1)."""
        watcher = self.connect("watcher")
        clients = [Client(self.chat).connect() for _ in range(100)]
        for number, client in enumerate(clients):
            client.send(SetNickname(nickname=f"user{number}"))
        before = watcher.writes
        self.settle()
        self.assertEqual(watcher.writes, before + 1)
        self.assertEqual(watcher.received(), [online(client, f"user{n}") for n, client in enumerate(clients)])

    def test_silent_shutdown(self) -> None:
        """During shutdown no presence is sent, not even what was collected before (reference 1.5)."""
        alice, bob = self.connect("alice"), self.connect("bob")
        alice.received()
        bob.send(SetNickname(nickname="bobby"))
        self.chat.stop()
        bob.leave()
        self.settle()
        self.assertEqual(alice.received(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ChannelPresenceTests(TalkTestCase):
    """CHANNEL_PRESENCE."""

    def test_join(self) -> None:
        """The joiner hears of itself after the reply, members and subscribers soon after (reference 2.2)."""
        member, subscriber, stranger = self.connect("member"), self.connect(), self.connect("stranger")
        member.send(JoinChannel(channel_id=GENERAL))
        subscriber.send(SubscribeChannel(channel_id=GENERAL))
        self.settle()
        for client in (member, subscriber, stranger):
            client.received()
        alice = self.connect("alice")
        self.assertEqual(
            alice.ask(JoinChannel(channel_id=GENERAL)),
            [
                JoinResponse(success=True, channel_id=GENERAL, message="Joined channel"),
                in_channel(alice, "alice", GENERAL, True),
            ],
        )
        self.settle()
        joined = in_channel(alice, "alice", GENERAL, True)
        self.assertIn(joined, member.received())
        self.assertIn(joined, subscriber.received())
        self.assertNotIn(joined, stranger.received())
        self.assertEqual(alice.received(), [])

    def test_switch(self) -> None:
        """Joining another channel leaves the first: left, reply, joined, each once (W36)."""
        alice = self.connect("alice")
        alice.send(JoinChannel(channel_id=GENERAL))
        self.assertEqual(
            alice.ask(JoinChannel(channel_id=TECH)),
            [
                in_channel(alice, "alice", GENERAL, False),
                JoinResponse(success=True, channel_id=TECH, message="Joined channel"),
                in_channel(alice, "alice", TECH, True),
            ],
        )
        self.settle()
        self.assertEqual(alice.received(), [])

    def test_leave(self) -> None:
        """The leaver hears of it once, also when it is subscribed (W36)."""
        alice = self.connect("alice")
        alice.send(JoinChannel(channel_id=GENERAL))
        alice.send(SubscribeChannel(channel_id=GENERAL))
        self.assertEqual(
            alice.ask(LeaveChannel(channel_id=GENERAL, permanent=False)),
            [
                LeaveResponse(success=True, channel_id=GENERAL, message="Left channel"),
                in_channel(alice, "alice", GENERAL, False),
            ],
        )
        self.settle()
        self.assertEqual(alice.received(), [])

    def test_nickname_in_channel(self) -> None:
        """A new nickname is announced to the channel that its bearer has joined."""
        alice, bob = self.connect("alice"), self.connect("bob")
        for client in (alice, bob):
            client.send(JoinChannel(channel_id=GENERAL))
        self.settle()
        bob.received()
        alice.send(SetNickname(nickname="alicia"))
        self.settle()
        self.assertIn(in_channel(alice, "alicia", GENERAL, True), bob.received())

    def test_unsubscribing_misses_nothing(self) -> None:
        """What happened before a session unsubscribed still reaches it, what came after does not."""
        alice, bob = self.connect("alice"), self.connect("bob")
        alice.send(SubscribeChannel(channel_id=GENERAL))
        bob.send(JoinChannel(channel_id=GENERAL))
        alice.send(UnsubscribeChannel(channel_id=GENERAL))
        bob.send(LeaveChannel(channel_id=GENERAL, permanent=False))
        self.settle()
        heard = [event for event in alice.received() if isinstance(event, ChannelPresence)]
        self.assertEqual(heard, [in_channel(bob, "bob", GENERAL, True)])

    def test_nameless_leaver(self) -> None:
        """A session without a nickname that leaves has heard everything until then."""
        nameless, bob = self.connect(), self.connect("bob")
        nameless.send(JoinChannel(channel_id=GENERAL))
        bob.send(JoinChannel(channel_id=GENERAL))
        nameless.received()
        nameless.send(LeaveChannel(channel_id=0, permanent=False))
        self.assertIn(in_channel(bob, "bob", GENERAL, True), nameless.received())
