"""The stock clients' habits, which must keep working as they are (reference section 11)."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.frames import COMPRESSED
from tests.e2e.peers import Peer, WebSocketStream, connect, connect_websocket, frames_of, names
from tests.e2e.phrases import CHAT, GENERAL, in_channel, page, posting, presence, said_of
from tests.e2e.server import RunningServer

LONG = b"How often this is said! " * 100


def flags(peer: Peer) -> set[int]:
    """The flags of all frames a peer has got."""
    return {header.flags for header in peer.headers}


class WebClient(SynchronousTestCase):
    """The web client: WebSocket only, and it writes version byte 1 (reference 11.2)."""

    def setUp(self) -> None:
        self.server = RunningServer(self, websocket=True)

    def test_nickname_before_greeting(self) -> None:
        """SET_NICKNAME may be sent on opening; SERVER_CONFIG still comes first, then the answers, then channels."""
        for nickname, early in (("on-open", False), ("in-handshake", True)):
            said = frames_of(wire.SetNickname(nickname=nickname), version=1)
            stream = WebSocketStream(self.server.http_port, early=said if early else b"")
            web = Peer(stream, version=1)
            self.addCleanup(web.close)
            if not early:
                stream.send(said)
            web.expect(wire.ServerConfig)
            self.assertTrue(web.expect(wire.NicknameResponse).success)
            own = web.until(wire.ServerPresence, nickname=nickname)
            self.assertTrue(own.online)
            channels = web.ask(wire.ListChannels(from_channel_id=0, limit=100), wire.ChannelList).channels
            self.assertEqual([channel.channel_id for channel in channels], [1, 2, 3, 4, 5])
            self.assertEqual([channel.type for channel in channels], [0, 1, 1, 1, 1])

    def test_never_compressed(self) -> None:
        """Version 1 cannot decompress: neither answers nor broadcasts are compressed for it (decisions 1.2)."""
        web = connect_websocket(self, self.server).named("web")
        modern = connect(self, self.server).named("modern")
        web.until(wire.ServerPresence, nickname="modern")
        for peer in (web, modern):
            peer.ask(wire.SubscribeChannel(channel_id=CHAT), wire.SubscribeOk)
        modern.ask(posting(CHAT, LONG), wire.MessagePosted)
        for peer in (web, modern):
            self.assertEqual(peer.expect(wire.NewMessage).content, LONG)
            (message,) = peer.ask(page(CHAT), wire.MessageList).messages
            self.assertEqual(message.content, LONG)
        self.assertEqual((flags(web), flags(modern)), ({0}, {0, COMPRESSED}))

    def test_deleted_message(self) -> None:
        """It removes the message on MESSAGE_DELETED, which therefore names the id (reference 11.2)."""
        web = connect_websocket(self, self.server).named("web")
        other = connect_websocket(self, self.server).named("other")
        web.until(wire.ServerPresence, nickname="other")
        web.ask(wire.JoinChannel(channel_id=CHAT), wire.JoinResponse)
        web.expect(wire.ChannelPresence)
        mine = other.ask(posting(CHAT, b"oops"), wire.MessagePosted).message_id
        other.ask(wire.DeleteMessage(message_id=mine), wire.MessageDeleted)
        self.assertEqual(web.expect(wire.MessageDeleted).message_id, mine)

    def test_leaves_by_closing(self) -> None:
        """Leaving the page ends the session for everybody, and the closing handshake is answered."""
        web = connect_websocket(self, self.server).named("web")
        other = connect_websocket(self, self.server).named("other")
        web.until(wire.ServerPresence, nickname="other")
        stream = web.stream
        assert isinstance(stream, WebSocketStream)
        stream.say_goodbye()
        self.assertEqual(web.rest(), [])
        self.assertEqual(stream.close_code, 1001)
        self.assertEqual(other.receive(), presence(1, "web", online=False))


class Bot(SynchronousTestCase):
    """The bot library: TCP only (reference 11.3)."""

    def test_life_of_a_bot(self) -> None:
        """It names itself, lists all channels (limit 0), enters each, answers, and says goodbye (reference 11.3)."""
        server = RunningServer(self)
        bot = connect(self, server)
        self.assertTrue(bot.ask(wire.SetNickname(nickname="Assistant"), wire.NicknameResponse).success)
        channels = bot.ask_past_presence(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList).channels
        for channel in channels:
            joined = bot.ask_past_presence(wire.JoinChannel(channel_id=channel.channel_id), wire.JoinResponse)
            self.assertTrue(joined.success)
            bot.ask_past_presence(wire.SubscribeChannel(channel_id=channel.channel_id), wire.SubscribeOk)
        person = connect(self, server).named("person")
        person.ask(posting(CHAT, b"are you there?"), wire.MessagePosted)
        question = bot.until(wire.NewMessage)
        bot.ask(posting(question.channel_id, b"yes"), wire.MessagePosted)
        # It tells its own messages by the bare name, so it sees them as "~Assistant": they must not be left out.
        self.assertEqual(said_of(bot.expect(wire.NewMessage)), ("~Assistant", b"yes", 0))
        bot.send(wire.Disconnect())
        self.assertEqual(bot.rest(), [])
        self.assertEqual(person.receive(), presence(1, "Assistant", online=False))

    def test_its_default_name(self) -> None:
        """The library's default nickname is none, and the bot is told so in the answer (decisions 2.1)."""
        bot = connect(self, RunningServer(self))
        self.assertFalse(bot.ask(wire.SetNickname(nickname="[Bot] Assistant"), wire.NicknameResponse).success)


class Terminal(SynchronousTestCase):
    """The terminal client (reference 11.1)."""

    def setUp(self) -> None:
        self.server = RunningServer(self)

    def started(self, nickname: str) -> Peer:
        """A client after its start: three requests at once, whose answers come in their order."""
        terminal = connect(self, self.server)
        terminal.send(
            wire.ListChannels(from_channel_id=0, limit=1000),
            wire.SetNickname(nickname=nickname),
            wire.GetUserInfo(nickname=nickname),
        )
        came = [message for message in terminal.caught_up() if not isinstance(message, wire.ServerPresence)]
        self.assertEqual(names(came), ["CHANNEL_LIST", "NICKNAME_RESPONSE", "USER_INFO"])
        self.assertEqual(came[2], wire.UserInfo(nickname=nickname, is_registered=False, online=True))
        return terminal

    def test_start(self) -> None:
        """Channels, nickname and USER_INFO asked for together are answered, and no password is asked for."""
        self.started("alice")

    def test_unread_counts_at_start(self) -> None:
        """After CHANNEL_LIST it asks for the counts of all channels since a time in milliseconds (reference 11.1)."""
        alice = self.started("alice")
        since = int(time.time() * 1000) - 60_000
        self.started("bob").ask(posting(CHAT, b"unread"), wire.MessagePosted)
        alice.caught_up()
        targets = tuple(wire.UnreadTarget(channel_id=channel) for channel in (CHAT, GENERAL))
        counts = alice.ask(wire.GetUnreadCounts(since_timestamp=since, targets=targets), wire.UnreadCounts).counts
        self.assertEqual([(count.channel_id, count.unread_count) for count in counts], [(CHAT, 1), (GENERAL, 0)])

    def test_open_channel_and_thread(self) -> None:
        """JOIN, LIST and SUBSCRIBE go out together; own posts are shown from NEW_MESSAGE, deleted ones recognised."""
        alice = self.started("alice")
        alice.send(wire.JoinChannel(channel_id=GENERAL), page(GENERAL, 40), wire.SubscribeChannel(channel_id=GENERAL))
        opened = [
            wire.JoinResponse(success=True, channel_id=GENERAL, message="Joined channel"),
            in_channel(GENERAL, 1, "alice"),
            wire.MessageList(channel_id=GENERAL, messages=()),
            wire.SubscribeOk(type=2, id=GENERAL),
        ]
        self.assertEqual([alice.receive() for _ in opened], opened)
        root = alice.ask(posting(GENERAL, b"a thread"), wire.MessagePosted).message_id
        self.assertEqual(said_of(alice.expect(wire.NewMessage)), ("~alice", b"a thread", 0))
        alice.send(page(GENERAL, 10, parent_id=root), wire.SubscribeThread(thread_id=root))
        thread = [
            wire.MessageList(channel_id=GENERAL, parent_id=root, messages=()),
            wire.SubscribeOk(type=1, id=root),
        ]
        self.assertEqual([alice.receive() for _ in thread], thread)
        alice.ask(posting(GENERAL, b"an answer", root), wire.MessagePosted)
        self.assertEqual(alice.expect(wire.NewMessage).parent_id, root)
        deleted = alice.ask(wire.DeleteMessage(message_id=root), wire.MessageDeleted)
        self.assertTrue(deleted.message.startswith(b"[deleted"))
        (tombstone,) = alice.ask(page(GENERAL, 40), wire.MessageList).messages
        self.assertEqual(said_of(tombstone), ("~alice", b"[deleted by ~alice]", 1))

    def test_load_more(self) -> None:
        """Newest first, and older ones with before_id of the last one shown, until a short page (reference 11.1)."""
        alice = self.started("alice")
        alice.send(*(posting(GENERAL, b"%d" % number) for number in range(60)))
        ids = [alice.expect(wire.MessagePosted).message_id for _ in range(60)]
        shown = [message.message_id for message in alice.ask(page(GENERAL, 25), wire.MessageList).messages]
        while len(more := alice.ask(page(GENERAL, 25, before_id=shown[-1]), wire.MessageList).messages) == 25:
            shown += [message.message_id for message in more]
        shown += [message.message_id for message in more]
        self.assertEqual(shown, ids[::-1])

    def test_leave_channel(self) -> None:
        """LEAVE and UNSUBSCRIBE sent together are both answered, and one's own leaving is told once (decisions 5.1)."""
        alice = self.started("alice")
        alice.send(wire.JoinChannel(channel_id=GENERAL), wire.SubscribeChannel(channel_id=GENERAL))
        alice.caught_up()
        alice.send(wire.LeaveChannel(channel_id=GENERAL), wire.UnsubscribeChannel(channel_id=GENERAL))
        left = [
            wire.LeaveResponse(success=True, channel_id=GENERAL, message="Left channel"),
            in_channel(GENERAL, 1, "alice", joined=False),
            wire.SubscribeOk(type=2, id=GENERAL),
        ]
        self.assertEqual(alice.caught_up(), left)

    def test_read_state_on_leaving(self) -> None:
        """UPDATE_READ_STATE of an anonymous user is ignored without a word (reference 2.1)."""
        alice = self.started("alice")
        alice.send(wire.UpdateReadState(channel_id=GENERAL, timestamp=int(time.time() * 1000)))
        self.assertEqual(alice.caught_up(), [])

    def test_no_directory(self) -> None:
        """LIST_SERVERS of a server that is no directory is answered with 1001, and the session goes on."""
        answer = self.started("alice").ask(wire.ListServers(limit=100), wire.Error)
        self.assertEqual(answer.error_code, ErrorCode.UNSUPPORTED_VERSION)

    def test_quits_without_a_word(self) -> None:
        """It just closes, also in the middle of a frame, and the others learn of it (reference 11.1)."""
        alice, bob = self.started("alice"), self.started("bob")
        alice.stream.send(alice.frames(wire.Ping(timestamp=1))[:9])
        alice.close()
        self.assertEqual(bob.receive(), presence(1, "alice", online=False))

    def test_compression_by_first_version(self) -> None:
        """Only a peer whose first non-zero version byte is exactly 2 gets compressed frames (decisions 1.2)."""
        author = connect(self, self.server).named("author")
        author.ask(posting(CHAT, LONG), wire.MessagePosted)
        for version, expected in ((2, {0, COMPRESSED}), (1, {0}), (3, {0}), (0, {0})):
            peer = connect(self, self.server, version)
            (message,) = peer.ask(page(CHAT), wire.MessageList).messages
            self.assertEqual((message.content, flags(peer)), (LONG, expected), f"version {version}")
