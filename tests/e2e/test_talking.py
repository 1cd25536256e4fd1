"""Two people talk: what a real server says, frame by frame (reference section 14 as the decisions amend it)."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.frames import HEADER
from tests.e2e.peers import Peer, WebSocketStream, connect, connect_websocket, names
from tests.e2e.phrases import CHAT, GENERAL, TECH, in_channel, page, posting, presence, said_of
from tests.e2e.server import RunningServer


class Transcripts:
    """What is true on every transport; a test case supplies ``connect``."""

    server: RunningServer
    connect: Any
    assertEqual: Any

    def person(self, nickname: str) -> Peer:
        """A client with a nickname."""
        peer: Peer = self.connect()
        return peer.named(nickname)

    def post(self, author: Peer, channel_id: int, content: bytes, parent_id: int | None = None) -> int:
        """Post a message and return its id."""
        return author.ask(posting(channel_id, content, parent_id), wire.MessagePosted).message_id

    def test_anonymous_start(self) -> None:
        """After SERVER_CONFIG and SET_NICKNAME come the answer, the others' presence and one's own (reference 14)."""
        bob = self.person("bob")
        self.connect()  # somebody without a name, whom nobody hears of
        alice = self.connect()
        alice.send(wire.SetNickname(nickname="alice"))
        expected = [
            wire.NicknameResponse(success=True, message="Nickname set to alice"),
            presence(1, "bob"),
            presence(3, "alice"),
        ]
        self.assertEqual([alice.receive() for _ in expected], expected)
        self.assertEqual(bob.receive(), presence(3, "alice"))
        self.assertEqual(alice.caught_up(), [])

    def test_post(self) -> None:
        """The author gets MESSAGE_POSTED, then NEW_MESSAGE as every subscriber does, once (decisions 4.6)."""
        alice, bob, carol = self.person("alice"), self.person("bob"), self.person("carol")
        alice.until(wire.ServerPresence, nickname="carol")
        bob.until(wire.ServerPresence, nickname="carol")
        for peer in (alice, bob):
            answer = peer.ask(wire.SubscribeChannel(channel_id=GENERAL), wire.SubscribeOk)
            self.assertEqual(answer, wire.SubscribeOk(type=2, id=GENERAL))
        alice.send(posting(GENERAL, "Grüße".encode()))
        posted = alice.expect(wire.MessagePosted)
        self.assertEqual((posted.success, posted.message), (True, "Message posted"))
        for peer in (alice, bob):
            news = peer.expect(wire.NewMessage)
            self.assertEqual(news.message_id, posted.message_id)
            self.assertEqual((news.channel_id, news.parent_id, news.author_user_id), (GENERAL, None, None))
            self.assertEqual(said_of(news), ("~alice", "Grüße".encode(), 0))
        self.assertEqual([peer.caught_up() for peer in (alice, bob, carol)], [[], [], []])

    def test_switch_channel(self) -> None:
        """Joining another channel tells of the one left, answers, and tells of the one entered, each once."""
        alice = self.person("alice")
        alice.ask(wire.JoinChannel(channel_id=GENERAL), wire.JoinResponse)
        self.assertEqual(alice.receive(), in_channel(GENERAL, 1, "alice"))
        alice.send(wire.JoinChannel(channel_id=TECH))
        expected = [
            in_channel(GENERAL, 1, "alice", joined=False),
            wire.JoinResponse(success=True, channel_id=TECH, message="Joined channel"),
            in_channel(TECH, 1, "alice"),
        ]
        self.assertEqual([alice.receive() for _ in expected], expected)
        self.assertEqual(alice.caught_up(), [])

    def test_leave_channel(self) -> None:
        """Leaving is answered, and then told once, also to a leaver who is subscribed (decisions 5.1)."""
        alice, bob = self.person("alice"), self.person("bob")
        alice.until(wire.ServerPresence, nickname="bob")
        for peer in (alice, bob):
            peer.ask(wire.SubscribeChannel(channel_id=GENERAL), wire.SubscribeOk)
        alice.ask(wire.JoinChannel(channel_id=GENERAL), wire.JoinResponse)
        alice.expect(wire.ChannelPresence)
        self.assertEqual(bob.receive(), in_channel(GENERAL, 1, "alice"))
        alice.send(wire.LeaveChannel(channel_id=0))
        gone = in_channel(GENERAL, 1, "alice", joined=False)
        expected = [wire.LeaveResponse(success=True, channel_id=GENERAL, message="Left channel"), gone]
        self.assertEqual([alice.receive() for _ in expected], expected)
        self.assertEqual(bob.receive(), gone)
        alice.ask(wire.SetNickname(nickname="alicia"), wire.NicknameResponse)  # what is told after it, comes next
        self.assertEqual(bob.receive(), presence(1, "alicia"))
        self.assertEqual(alice.receive(), presence(1, "alicia"))

    def test_other_side_drops(self) -> None:
        """Of one who vanishes, the channel is told first and then everybody, each once (reference section 14)."""
        alice, bob = self.person("alice"), self.person("bob")
        bob.ask(wire.JoinChannel(channel_id=GENERAL), wire.JoinResponse)
        bob.until(wire.ChannelPresence, nickname="bob")
        alice.ask_past_presence(wire.JoinChannel(channel_id=GENERAL), wire.JoinResponse)
        bob.until(wire.ChannelPresence, nickname="alice")
        alice.close()
        expected = [in_channel(GENERAL, 1, "alice", joined=False), presence(1, "alice", online=False)]
        self.assertEqual([bob.receive() for _ in expected], expected)
        self.assertEqual(bob.caught_up(), [])

    def test_delete(self) -> None:
        """MESSAGE_DELETED with the replacement text goes once to the actor and to everybody there (decisions 4.8)."""
        alice, bob = self.person("alice"), self.person("bob")
        alice.until(wire.ServerPresence, nickname="bob")
        bob.ask(wire.SubscribeChannel(channel_id=GENERAL), wire.SubscribeOk)
        bob.ask(wire.JoinChannel(channel_id=GENERAL), wire.JoinResponse)
        bob.expect(wire.ChannelPresence)
        first, second = self.post(alice, GENERAL, b"first"), self.post(alice, GENERAL, b"second")
        self.assertEqual([bob.expect(wire.NewMessage).message_id for _ in range(2)], [first, second])
        refusal = bob.ask(wire.DeleteMessage(message_id=first), wire.Error)
        self.assertEqual(refusal.error_code, ErrorCode.PERMISSION_DENIED)
        deleted = alice.ask(wire.DeleteMessage(message_id=first), wire.MessageDeleted)
        self.assertEqual((deleted.success, deleted.message_id, deleted.message), (True, first, b"[deleted by ~alice]"))
        self.assertEqual(bob.receive(), deleted)
        self.assertEqual((alice.caught_up(), bob.caught_up()), ([], []))
        listed = bob.ask(page(GENERAL), wire.MessageList).messages
        self.assertEqual([message.message_id for message in listed], [second])

    def test_replies_in_request_order(self) -> None:
        """Requests sent all at once are answered one after the other in their order (reference 1.0)."""
        alice = self.connect()
        alice.send(
            wire.SetNickname(nickname="alice"),
            posting(CHAT, b"hello"),
            page(CHAT),
            wire.ListChannels(from_channel_id=0, limit=0),
            posting(CHAT, b"again"),
            wire.ListChannelUsers(channel_id=CHAT),
            wire.Ping(timestamp=42),
            posting(999, b"nowhere"),
            wire.GetUserInfo(nickname="alice"),
        )
        came = [message for message in alice.caught_up() if not isinstance(message, wire.ServerPresence)]
        self.assertEqual(
            names(came),
            [
                "NICKNAME_RESPONSE",
                "MESSAGE_POSTED",
                "MESSAGE_LIST",
                "CHANNEL_LIST",
                "MESSAGE_POSTED",
                "CHANNEL_USER_LIST",
                "PONG",
                "ERROR",
                "USER_INFO",
            ],
        )
        self.assertEqual(len(came[2].messages), 1)

    def test_what_cannot_be_read(self) -> None:
        """An unknown type is answered with 1001, a payload cut short with 1000; the connection goes on (wire 1)."""
        alice = self.connect()
        for code, payload, error in (
            (0x7F, b"", ErrorCode.UNSUPPORTED_VERSION),
            (wire.NewMessage.CODE, b"x" * 40, ErrorCode.UNSUPPORTED_VERSION),
            (wire.Ping.CODE, b"1234567", ErrorCode.INVALID_FORMAT),
        ):
            alice.stream.send(HEADER.pack(3 + len(payload), 2, code, 0) + payload)
            self.assertEqual(alice.expect(wire.Error).error_code, error)
        alice.stream.send(HEADER.pack(3 + 9, 200, wire.Ping.CODE, 0xFE) + (7).to_bytes(8, "big") + b"!")
        self.assertEqual(alice.receive(), wire.Pong(client_timestamp=7))

    def test_goodbye(self) -> None:
        """DISCONNECT, with any payload, ends the connection without another frame (reference 1.0)."""
        for payload in (b"", b"\x00", b"\x01\x00\x03bye", b"\xff"):
            alice = self.connect()
            alice.stream.send(HEADER.pack(3 + len(payload), 2, wire.Disconnect.CODE, 0) + payload)
            self.assertEqual(alice.rest(), [])


class OverTCP(Transcripts, SynchronousTestCase):
    """The transcripts on the plain transport, and the rules that know of no transport."""

    def setUp(self) -> None:
        self.server = RunningServer(self)

    def connect(self) -> Peer:
        return connect(self, self.server)

    def test_greeting(self) -> None:
        """SERVER_CONFIG comes first, plain, and announces the limits of the configuration (reference 1.0)."""
        greeting = connect(self, self.server, greeted=False)
        config = greeting.expect(wire.ServerConfig)
        self.assertEqual(
            config,
            wire.ServerConfig(
                protocol_version=2,
                max_message_rate=0,
                max_channel_creates=5,
                inactive_cleanup_days=90,
                max_connections_per_ip=0,
                max_message_length=4096,
                max_thread_subscriptions=50,
                max_channel_subscriptions=10,
                directory_enabled=False,
            ),
        )
        self.assertEqual(greeting.headers[0][:3], (2, wire.ServerConfig.CODE, 0))

    def test_rename(self) -> None:
        """A new nickname is just another presence of the same session; the same one again is "set" once more."""
        alice, bob = self.person("alice"), self.person("bob")
        alice.until(wire.ServerPresence, nickname="bob")
        self.assertEqual(
            alice.ask(wire.SetNickname(nickname="alicia"), wire.NicknameResponse).message, "Nickname changed to alicia"
        )
        self.assertEqual(alice.receive(), presence(1, "alicia"))
        self.assertEqual(bob.receive(), presence(1, "alicia"))
        self.assertEqual(
            alice.ask(wire.SetNickname(nickname="alicia"), wire.NicknameResponse).message, "Nickname set to alicia"
        )

    def test_bad_nickname(self) -> None:
        """A nickname of wrong length or alphabet is refused in the answer, never with an ERROR (decisions 2.1)."""
        alice = self.connect()
        text = "Invalid nickname. Must be 3-20 characters, alphanumeric plus - and _"
        for bad in ("", "ab", "a" * 21, "two words", "newline\n", "ünïcode"):
            answer = alice.ask(wire.SetNickname(nickname=bad), wire.NicknameResponse)
            self.assertEqual(answer, wire.NicknameResponse(success=False, message=text))
        self.assertEqual(alice.caught_up(), [])

    def test_reply(self) -> None:
        """A reply goes to the subscribers of its thread, not to those of the channel (reference section 4)."""
        alice, bob, carol = self.person("alice"), self.person("bob"), self.person("carol")
        alice.until(wire.ServerPresence, nickname="carol")
        bob.until(wire.ServerPresence, nickname="carol")
        carol.ask(wire.SubscribeChannel(channel_id=GENERAL), wire.SubscribeOk)
        root = self.post(alice, GENERAL, b"root")
        carol.expect(wire.NewMessage)
        answer = bob.ask(wire.SubscribeThread(thread_id=root), wire.SubscribeOk)
        self.assertEqual(answer, wire.SubscribeOk(type=1, id=root))
        reply = self.post(alice, GENERAL, b"reply", root)
        nested = self.post(alice, GENERAL, b"nested", reply)
        self.assertEqual([bob.expect(wire.NewMessage).message_id for _ in range(2)], [reply, nested])
        self.assertEqual(carol.caught_up(), [])
        (listed,) = carol.ask(page(GENERAL), wire.MessageList).messages
        self.assertEqual(said_of(listed), ("~alice", b"root", 2))
        thread = carol.ask(page(GENERAL, parent_id=root), wire.MessageList).messages
        self.assertEqual([(each.message_id, each.reply_count) for each in thread], [(reply, 1), (nested, 0)])

    def test_pages(self) -> None:
        """Pages are newest first, with after_id oldest first, 50 by default and 200 at most (decisions 4.3)."""
        alice = self.person("alice")
        alice.send(*(posting(CHAT, b"%d" % number) for number in range(230)))
        ids = [alice.expect(wire.MessagePosted).message_id for _ in range(230)]
        self.assertEqual(ids, sorted(ids))
        newest_first = ids[::-1]

        def listed(limit: int, **cursor: int) -> list[int]:
            answer = alice.ask(page(CHAT, limit, **cursor), wire.MessageList)
            return [message.message_id for message in answer.messages]

        self.assertEqual(listed(0), newest_first[:50])
        self.assertEqual(listed(1000), newest_first[:200])
        self.assertEqual(listed(100, before_id=ids[10]), newest_first[-10:])
        self.assertEqual(listed(3, after_id=ids[5]), ids[6:9])
        self.assertEqual(listed(3, after_id=ids[5], before_id=ids[20]), newest_first[-20:-17])

    def test_rosters(self) -> None:
        """Who is online: newest first, once each, nobody without a name; rosters by nickname (decisions 5.2)."""
        zoe, bob, other_bob = self.person("zoe"), self.person("bob"), self.person("bob")
        self.connect()
        for peer in (zoe, bob, other_bob):
            peer.ask_past_presence(wire.JoinChannel(channel_id=GENERAL), wire.JoinResponse)
        online = zoe.ask_past_presence(wire.ListUsers(limit=0), wire.UserList)
        self.assertEqual([user.nickname for user in online.users], ["bob", "zoe"])
        roster = zoe.ask_past_presence(wire.ListChannelUsers(channel_id=GENERAL), wire.ChannelUserList)
        self.assertEqual(
            [(user.nickname, user.session_id) for user in roster.users], [("bob", 2), ("bob", 3), ("zoe", 1)]
        )


class OverWebSocket(Transcripts, SynchronousTestCase):
    """The transcripts on a WebSocket, spoken like the web client (version byte 1), and what is special there."""

    def setUp(self) -> None:
        self.server = RunningServer(self, websocket=True)

    def connect(self) -> Peer:
        return connect_websocket(self, self.server)

    def test_one_frame_is_one_message(self) -> None:
        """Each frame arrives as one binary message, however many leave together (decisions 1.3)."""
        alice = self.person("alice")
        alice.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
        alice.send(*(posting(CHAT, b"x" * size) for size in (1, 100, 200, 4000)), page(CHAT))
        alice.caught_up()
        stream = alice.stream
        assert isinstance(stream, WebSocketStream)
        self.assertEqual(len(stream.messages), len(alice.headers))
        for message in stream.messages:
            self.assertEqual(int.from_bytes(message[:4], "big"), len(message) - 4)

    def test_message_boundaries_mean_nothing(self) -> None:
        """A frame may come in many messages, and many frames in one (reference 1.3)."""
        alice = self.connect()
        for byte in alice.frames(wire.Ping(timestamp=1)):
            alice.stream.send(bytes((byte,)))
        self.assertEqual(alice.receive(), wire.Pong(client_timestamp=1))
        alice.send(*(wire.Ping(timestamp=number) for number in range(50)))
        self.assertEqual(
            [alice.receive() for _ in range(50)], [wire.Pong(client_timestamp=number) for number in range(50)]
        )

    def test_both_transports_meet(self) -> None:
        """People on TCP and on WebSocket see each other and talk to each other."""
        web, terminal = self.person("web"), connect(self, self.server).named("terminal")
        web.until(wire.ServerPresence, nickname="terminal")
        for peer in (web, terminal):
            peer.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
        self.post(web, CHAT, b"from the web")
        self.assertEqual(said_of(terminal.expect(wire.NewMessage)), ("~web", b"from the web", 0))
        web.expect(wire.NewMessage)
        self.post(terminal, CHAT, b"from the terminal")
        self.assertEqual(said_of(web.expect(wire.NewMessage)), ("~terminal", b"from the terminal", 0))
