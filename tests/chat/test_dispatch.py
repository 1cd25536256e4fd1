"""Tests for `superchat.chat.dispatch`: every event gets its answer, however things go wrong."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, fail
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher

from superchat.chat.dispatch import BUSY, MOST_OVERLAPPING
from superchat.config import Limits
from superchat.storage.errors import StorageError, Unavailable
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode, Malformed, Unsupported
from superchat.wire.messages import (
    FROM_CLIENT,
    DeleteMessage,
    Disconnect,
    Error,
    JoinChannel,
    ListMessages,
    MessagePosted,
    Ping,
    Pong,
    PostMessage,
    SetNickname,
    SubscribeChannel,
    SubscribeThread,
    UnsubscribeThread,
)
from superchat.wire.records import Message
from tests.chat.talk import GENERAL, Client, TalkTestCase

T = TypeVar("T")

OF_DIRECTORIES = {"LIST_SERVERS", "REGISTER_SERVER", "HEARTBEAT", "VERIFY_RESPONSE", "VERIFY_REGISTRATION"}
"""What this release does not serve."""
HELLO = PostMessage(channel_id=GENERAL, content=b"hello")


class TableTests(TalkTestCase):
    """What is served, and what is not."""

    def test_directories(self) -> None:
        """The directory's messages answer ERROR 1001, nothing else does, and the connection goes on."""
        unsupported = (ErrorCode.UNSUPPORTED_VERSION, "Unsupported message type")
        for kind in FROM_CLIENT.values():
            client = self.connect()
            heard = client.ask(kind.unpack(bytes(2000)))
            refused = {(one.error_code, one.message) for one in heard if isinstance(one, Error)}
            self.assertEqual(unsupported in refused, kind.NAME in OF_DIRECTORIES, kind.NAME)
            if client.ended is None:
                self.assertEqual(client.ask(Ping(timestamp=-5)), [Pong(client_timestamp=-5)])

    def test_unknown_type(self) -> None:
        """Unknown types answer ERROR 1001 and share one counter, so that nobody can grow it."""
        client = self.connect()
        for code in (0x00, 0x50, 0xFF):
            self.assertEqual(
                client.refusal(Unsupported(code)), (ErrorCode.UNSUPPORTED_VERSION, "Unsupported message type")
            )
        self.assertEqual(self.chat.counters.received, {"UNKNOWN": 3})

    def test_malformed(self) -> None:
        """A payload that cannot be decoded answers ERROR 1000, with the text that the reference has for it."""
        for name, text in (("PING", "Invalid message format"), ("GET_SUBCHANNELS", "Invalid request format")):
            client = self.connect()
            self.assertEqual(client.refusal(Malformed(0, name, "too short")), (ErrorCode.INVALID_FORMAT, text))
            self.assertEqual(self.chat.counters.received[name], 1)

    def test_disconnect(self) -> None:
        """DISCONNECT ends the session without a reply, and nothing is answered after it (reference 1.0)."""
        client = self.connect("alice")
        self.assertEqual(client.ask(Disconnect(reason="bye")), [])
        self.assertEqual(client.ended, (None, "client"))
        self.assertEqual(len(self.chat.sessions), 0)
        self.assertEqual(client.ask(Ping(timestamp=1)), [])

    def test_counters(self) -> None:
        """Frames are counted by type in both directions, refusals by code, ends by cause."""
        client = self.connect()
        for message in (
            SetNickname(nickname="x"),
            JoinChannel(channel_id=999),
            SubscribeChannel(channel_id=999),
        ):
            client.send(message)
        client.leave()
        client.leave()
        counters = self.chat.counters
        self.assertEqual(counters.received, {"SET_NICKNAME": 1, "JOIN_CHANNEL": 1, "SUBSCRIBE_CHANNEL": 1})
        self.assertEqual(
            counters.sent, {"SERVER_CONFIG": 1, "NICKNAME_RESPONSE": 1, "JOIN_RESPONSE": 1, "ERROR": 1}
        )
        expected = {ErrorCode.CHANNEL_NOT_FOUND: 2, ErrorCode.INVALID_NICKNAME: 1}
        self.assertEqual(counters.errors, expected)
        self.assertEqual((counters.sessions_created, counters.sessions_disconnected), (1, {"client": 1}))


class NeedsTests(TalkTestCase):
    """What a message needs is checked before its rule runs (decisions 3.1)."""

    limits = Limits(message_rate_limit=1)

    def test_nickname(self) -> None:
        """Posting needs a nickname, ERROR 2000, and so does deleting, ERROR 6004 (reference 2.3)."""
        client, text = self.connect(), "Nickname required. Use SET_NICKNAME first."
        self.assertEqual(client.refusal(HELLO), (ErrorCode.AUTH_REQUIRED, text))
        self.assertEqual(client.refusal(DeleteMessage(message_id=1)), (ErrorCode.NICKNAME_REQUIRED, text))

    def test_nickname_before_rate(self) -> None:
        """What is refused for want of a nickname does not use up the message rate."""
        client = self.connect()
        for _ in range(3):
            client.refusal(HELLO)
        client.send(SetNickname(nickname="alice"))
        self.post(client)
        self.assertEqual(client.refusal(HELLO)[0], ErrorCode.MESSAGE_RATE_LIMIT)

    def test_only_posts_are_rated(self) -> None:
        """Beyond the message rate, everything else is answered (decisions 4.10)."""
        client = self.connect("alice")
        self.post(client)
        client.refusal(HELLO)
        for number in range(20):
            self.assertEqual(client.ask(Ping(timestamp=number)), [Pong(client_timestamp=number)])

    def test_nothing_kept(self) -> None:
        """Being refused leaves nothing behind, least of all a traceback that keeps the session."""
        client = self.connect()
        for _ in range(10):
            for message in (HELLO, DeleteMessage(message_id=1), SubscribeChannel(channel_id=99)):
                client.refusal(message)
        session = weakref.ref(cast(object, client.session))
        client.leave()
        del client, message
        self.settle()
        gc.collect()
        self.assertIsNone(session())


class FullDisk(MemoryStorage):
    """Fails with *error*, once there is one, whatever is asked."""

    error: Exception | None = None

    def _answer(self, action: Callable[[], T]) -> Deferred[T]:
        return super()._answer(action) if self.error is None else fail(self.error)


class FailureTestCase(TalkTestCase):
    """A chat whose storage fails, and what it logs of that."""

    storage: FullDisk

    def make_storage(self) -> MemoryStorage:
        return FullDisk()

    def setUp(self) -> None:
        super().setUp()
        self.errors: list[LogEvent] = []
        observer = cast(ILogObserver, self.errors.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.client = self.connect("alice")
        self.client.send(SubscribeChannel(channel_id=GENERAL))
        self.storage.error = Unavailable("database or disk is full")

    def assert_goes_on(self) -> None:
        """The session is served as before."""
        self.assertEqual(self.client.ask(Ping(timestamp=1)), [Pong(client_timestamp=1)])
        self.assertEqual(self.chat.counters.under_way, 0)

    def lines(self, level: object) -> list[str]:
        """What was logged of a level."""
        return [formatEvent(event) or "" for event in self.errors if event["log_level"] is level]


class StorageFailureTests(FailureTestCase):
    """A storage that says no."""

    def test_database_error(self) -> None:
        """Whatever needs the storage answers ERROR 9001, tells nobody else, and the connection goes on."""
        for message in (
            HELLO,
            DeleteMessage(message_id=1),
            ListMessages(channel_id=GENERAL, limit=0),
            SubscribeThread(thread_id=1),
        ):
            self.assertEqual(self.client.refusal(message), (ErrorCode.DATABASE_ERROR, "Database error"))
            self.assert_goes_on()
        self.assertEqual(self.chat.counters.errors, {ErrorCode.DATABASE_ERROR: 4})
        self.assertEqual(self.chat.counters.broadcasts, 0)

    def test_unsubscribing(self) -> None:
        """Unsubscribing from something never subscribed to does not even ask the storage."""
        self.assertEqual(len(self.client.ask(UnsubscribeThread(thread_id=1))), 1)

    def test_logged(self) -> None:
        """Each failure is one line among the errors, found by the guide's `grep "database"`, but not by its search for
        those who post most."""
        self.client.send(HELLO)
        self.assertEqual(self.lines(LogLevel.error), ["database error in post message: database or disk is full"])

    def test_every_storage_error(self) -> None:
        """Errors of the storage that no rule foresees are ERROR 9001 as well."""
        self.storage.error = StorageError("no idea")
        self.assertEqual(self.client.refusal(HELLO)[0], ErrorCode.DATABASE_ERROR)


class BugTests(FailureTestCase):
    """A rule with a bug."""

    def test_later(self) -> None:
        """A bug that shows late answers ERROR 9000, is logged with its traceback, and the connection goes on."""
        self.storage.error = ZeroDivisionError("a bug")
        self.assertEqual(self.client.refusal(HELLO), (ErrorCode.INTERNAL_ERROR, "Internal error"))
        self.assertEqual(self.lines(LogLevel.critical), ["Internal error in post message"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_goes_on()

    def test_at_once(self) -> None:
        """So does one that shows at once."""
        self.patch(self.chat.registry, "join", _divide)
        self.assertEqual(
            self.client.refusal(JoinChannel(channel_id=GENERAL)), (ErrorCode.INTERNAL_ERROR, "Internal error")
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_goes_on()


def _divide(*arguments: object) -> None:
    raise ZeroDivisionError("a bug")


class SlowStorage(MemoryStorage):
    """Answers posts when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[Deferred[None]] = []

    def append_message(self, new: Any) -> Deferred[Any]:
        commit: Deferred[None] = Deferred()
        self.commits.append(commit)
        append = super().append_message
        return commit.addCallback(lambda _: append(new))


class UnderWayTests(TalkTestCase):
    """Requests that wait for something."""

    storage: SlowStorage

    def make_storage(self) -> MemoryStorage:
        return SlowStorage()

    def sent(self, client: Client, message: Message) -> None:
        """Have something under way that is not answered yet."""
        self.assertEqual(client.ask(message), [])

    def test_deferred(self) -> None:
        """What is answered at once gives None; what waits, and lets nothing begin, a Deferred for its end."""
        alice = self.connect("alice")
        self.assertIsNone(alice.send(Ping(timestamp=1)))
        self.sent(alice, HELLO)
        waiting = alice.send(Ping(timestamp=2))
        assert waiting is not None
        self.assertNoResult(waiting)
        self.assertEqual((alice.received(), self.chat.counters.under_way), ([], 1))
        self.storage.commits[0].callback(None)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertEqual([type(event) for event in alice.received()], [MessagePosted, Pong])
        self.assertEqual(self.chat.counters.under_way, 0)

    def test_nothing_before_the_commit(self) -> None:
        """Nobody hears of a message before it is committed (decisions 4.6)."""
        alice, bob = self.connect("alice"), self.connect("bob")
        bob.send(SubscribeChannel(channel_id=GENERAL))
        alice.received(), bob.received()
        self.sent(alice, HELLO)
        self.assertEqual((alice.received(), bob.received()), ([], []))
        self.storage.commits[0].callback(None)
        self.assertEqual((len(alice.received()), len(bob.received())), (1, 1))

    def test_order_of_commits(self) -> None:
        """Everybody hears messages in the order of the commits, which is that of their ids (decisions 4.6)."""
        authors = [self.connect(name) for name in ("ann", "bea", "cid")]
        watcher = self.connect()
        watcher.send(SubscribeChannel(channel_id=GENERAL))
        watcher.received()
        for author in authors:
            self.sent(author, HELLO)
        for number in (2, 0, 1):
            self.storage.commits[number].callback(None)
        heard = cast(list[Any], watcher.received())
        self.assertEqual([one.author_nickname for one in heard], ["~cid", "~ann", "~bea"])
        ids = [one.message_id for one in heard]
        self.assertEqual(ids, sorted(ids))

    def test_several_posts(self) -> None:
        """Posts of one session do not wait for each other's commits, and are answered in their order."""
        alice = self.connect("alice")
        for _ in range(3):
            self.assertIsNone(alice.send(HELLO))
        self.assertEqual((len(self.storage.commits), self.chat.counters.under_way), (3, 3))
        for commit in self.storage.commits:
            commit.callback(None)
        ids = [cast(MessagePosted, event).message_id for event in alice.received()]
        self.assertEqual((len(ids), ids), (3, sorted(ids)))

    def test_refusal_in_turn(self) -> None:
        """A post that is refused at once says so after those before it, and the next one waits for that."""
        alice = self.connect("alice")
        self.sent(alice, HELLO)
        waiting = alice.send(PostMessage(channel_id=GENERAL, content=b""))
        assert waiting is not None
        self.assertEqual(alice.received(), [])
        self.storage.commits[0].callback(None)
        self.successResultOf(waiting)
        self.assertEqual([type(event) for event in alice.received()], [MessagePosted, Error])

    def test_unreadable_in_turn(self) -> None:
        """So does what cannot be read."""
        alice = self.connect("alice")
        self.sent(alice, HELLO)
        alice.send(Unsupported(0x7F))
        self.assertEqual(alice.received(), [])
        self.storage.commits[0].callback(None)
        self.assertEqual([type(event) for event in alice.received()], [MessagePosted, Error])

    def test_refused_by_the_storage(self) -> None:
        """One that the storage refuses has its ERROR between the answers of the others."""
        alice = self.connect("alice")
        for post in (HELLO, PostMessage(channel_id=GENERAL, parent_id=404, content=b"to nobody"), HELLO):
            self.sent(alice, post)
        for commit in self.storage.commits:
            commit.callback(None)
        self.assertEqual([type(event) for event in alice.received()], [MessagePosted, Error, MessagePosted])
        self.assertEqual(self.chat.counters.under_way, 0)

    def test_bounded(self) -> None:
        """One session has at most 64 posts under way; then it waits until all are answered."""
        alice = self.connect("alice")
        answers = [alice.send(HELLO) for _ in range(MOST_OVERLAPPING)]
        waiting = answers.pop()
        assert waiting is not None
        self.assertEqual(answers, [None] * (MOST_OVERLAPPING - 1))
        for commit in self.storage.commits:
            self.assertNoResult(waiting)
            commit.callback(None)
        self.successResultOf(waiting)

    def test_busy(self) -> None:
        """While very much is under way in the server, a session waits for each of its posts."""
        alice = self.connect("alice")
        self.chat.counters.under_way = BUSY
        waiting = alice.send(HELLO)
        assert waiting is not None
        self.storage.commits[0].callback(None)
        self.successResultOf(waiting)
        self.assertEqual(self.chat.counters.under_way, BUSY)

    def test_gone_meanwhile(self) -> None:
        """What waits behind a post of a session that leaves is not done."""
        alice = self.connect("alice")
        self.sent(alice, HELLO)
        waiting = alice.send(JoinChannel(channel_id=GENERAL))
        assert waiting is not None
        alice.leave()
        self.storage.commits[0].callback(None)
        self.successResultOf(waiting)
        self.assertEqual(list(self.chat.registry.joined(GENERAL)), [])

    def test_author_gone(self) -> None:
        """An author that leaves meanwhile gets no more words; the others get the message (W1)."""
        alice, bob = self.connect("alice"), self.connect("bob")
        bob.send(SubscribeChannel(channel_id=GENERAL))
        alice.send(SubscribeChannel(channel_id=GENERAL))
        self.sent(alice, HELLO)
        alice.leave()
        self.settle()
        alice.received(), bob.received()
        self.storage.commits[0].callback(None)
        self.assertEqual((alice.received(), alice.late_writes), ([], 0))
        self.assertEqual([type(event).__name__ for event in bob.received()], ["NewMessage"])
        self.assertEqual(self.chat.counters.deliveries, 1)
