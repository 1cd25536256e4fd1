"""Tests for `superchat.chat.posting`: what may be posted and deleted, and who hears of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.posting import clean
from superchat.config import Limits
from superchat.errors import Refused
from superchat.storage.interface import UnknownMessage
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    DeleteMessage,
    JoinChannel,
    ListMessages,
    MessageDeleted,
    MessagePosted,
    PostMessage,
    SetNickname,
    SubscribeChannel,
    SubscribeThread,
)
from superchat.wire.messages import (
    NewMessage as NewMessageEvent,
)
from tests.chat.talk import CHAT, GENERAL, TECH, TalkTestCase


class ContentTests(SynchronousTestCase):
    """What becomes of content (decisions 4.4)."""

    def test_controls_removed(self) -> None:
        """Control characters other than newline and tab are removed, C1 included."""
        self.assertEqual(clean("a\x00b\tc\nd\x1b[31me\x7f\x8f".encode(), 99), b"ab\tc\nd[31me")

    def test_empty(self) -> None:
        """Nothing, or nothing left, is ERROR 6000."""
        for content in (b"", b"\x00\x01"):
            self.assertEqual(self.assertRaises(Refused, clean, content, 99).code, ErrorCode.INVALID_INPUT)

    def test_not_utf8(self) -> None:
        """What is not UTF-8 is ERROR 6000, surrogates and overlong forms included."""
        for content in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"a\xe2\x82"):
            self.assertEqual(self.assertRaises(Refused, clean, content, 99).code, ErrorCode.INVALID_INPUT)

    def test_length_in_bytes(self) -> None:
        """The limit counts bytes: at it is fine, one more is ERROR 6001 that names it."""
        self.assertEqual(clean("é".encode() * 5, 10), "ééééé".encode())
        refused = self.assertRaises(Refused, clean, b"x" * 11, 10)
        self.assertEqual((refused.code, refused.text), (ErrorCode.MESSAGE_TOO_LONG, "Message too long (max 10 bytes)"))

    @given(st.text(min_size=1))
    def test_idempotent(self, text: str) -> None:
        """What was cleaned once is clean."""
        try:
            once = clean(text.encode("utf-8", "replace"), 65_000)
        except Refused:
            return
        self.assertEqual(clean(once, 65_000), once)


class PostTests(TalkTestCase):
    """POST_MESSAGE."""

    def test_without_nickname(self) -> None:
        """A nickname is needed: ERROR 2000 (reference 2.3)."""
        self.assertEqual(
            self.connect().refusal(PostMessage(channel_id=GENERAL, content=b"hello")),
            (ErrorCode.AUTH_REQUIRED, "Nickname required. Use SET_NICKNAME first."),
        )

    def test_author_first(self) -> None:
        """The author gets MESSAGE_POSTED before its own NEW_MESSAGE (decisions 4.6)."""
        alice = self.connect("alice")
        alice.send(SubscribeChannel(channel_id=GENERAL))
        posted, new = alice.ask(PostMessage(channel_id=GENERAL, content=b"hello"))
        assert isinstance(posted, MessagePosted)
        self.assertEqual((posted.success, posted.message), (True, "Message posted"))
        self.assertEqual(
            new,
            NewMessageEvent(
                message_id=posted.message_id,
                channel_id=GENERAL,
                author_nickname="~alice",
                content=b"hello",
                created_at=int(self.clock.seconds() * 1000),
                reply_count=0,
            ),
        )

    def test_root_goes_to_subscribers(self) -> None:
        """Roots go to the channel's subscribers; having joined is neither needed nor enough (reference 4)."""
        alice, subscriber, member, elsewhere = (self.connect(name) for name in ("alice", "sub", "mem", "els"))
        subscriber.send(SubscribeChannel(channel_id=GENERAL))
        member.send(JoinChannel(channel_id=GENERAL))
        elsewhere.send(SubscribeChannel(channel_id=TECH))
        self.settle()
        for client in (subscriber, member, elsewhere):
            client.received()
        self.post(alice)
        heard = [[type(event) for event in client.received()] for client in (subscriber, member, elsewhere)]
        self.assertEqual(heard, [[NewMessageEvent], [], []])

    def test_reply_goes_to_the_thread(self) -> None:
        """Replies of any depth go to those subscribed to the root, not to the channel (reference 4)."""
        alice, channel, thread = self.connect("alice"), self.connect(), self.connect()
        root = self.post(alice)
        channel.send(SubscribeChannel(channel_id=GENERAL))
        thread.send(SubscribeThread(thread_id=root))
        channel.received(), thread.received()
        reply = self.post(alice, b"reply", parent_id=root)
        deeper = self.post(alice, b"deeper", parent_id=reply)
        self.assertEqual(channel.received(), [])
        heard = [event for event in thread.received() if isinstance(event, NewMessageEvent)]
        self.assertEqual([(one.message_id, one.parent_id) for one in heard], [(reply, root), (deeper, reply)])

    def test_parent_zero(self) -> None:
        """Parent 0 is no parent (reference 4)."""
        alice = self.connect("alice")
        self.post(alice, parent_id=0)
        page = self.entries(alice, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual([entry.parent_id for entry in page], [None])

    def test_refusals(self) -> None:
        """Unknown and foreign parents, unknown channels and replies in chat channels (decisions 4.5)."""
        alice = self.connect("alice")
        root = self.post(alice)
        no_channel = (ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist")
        no_message = (ErrorCode.MESSAGE_NOT_FOUND, "Message not found")
        for where, refusal in (
            ({"channel_id": 999}, no_channel),
            ({"channel_id": 0}, no_channel),
            ({"subchannel_id": 998}, (ErrorCode.SUBCHANNEL_NOT_FOUND, "Subchannel does not exist")),
            ({"parent_id": 12345}, no_message),
            ({"parent_id": 2**64 - 1}, no_message),
            (
                {"channel_id": TECH, "parent_id": root},
                (ErrorCode.INVALID_INPUT, "Parent message is in another channel"),
            ),
            (
                {"channel_id": CHAT, "parent_id": root},
                (ErrorCode.INVALID_INPUT, "Chat channels do not support threaded replies"),
            ),
            ({"content": b""}, (ErrorCode.INVALID_INPUT, "Message must not be empty")),
            ({"content": b"\x1b\x07"}, (ErrorCode.INVALID_INPUT, "Message must not be empty")),
            ({"content": b"\xff"}, (ErrorCode.INVALID_INPUT, "Message is not valid UTF-8")),
            ({"content": b"x" * 4097}, (ErrorCode.MESSAGE_TOO_LONG, "Message too long (max 4096 bytes)")),
        ):
            message: dict[str, Any] = {"channel_id": GENERAL, "content": b"hello", **where}
            self.assertEqual(alice.refusal(PostMessage(**message)), refusal, where)
        self.assertEqual(len(self.entries(alice, ListMessages(channel_id=GENERAL, limit=0))), 1)

    def test_longest(self) -> None:
        """A message as long as the limit is fine, and control characters are gone from what others get (4.4)."""
        alice = self.connect("alice")
        alice.send(SubscribeChannel(channel_id=GENERAL))
        for content, clean_content in ((b"x" * 4096, b"x" * 4096), (b"\x1b[1mhi\x00\r\n\tthere", b"[1mhi\n\tthere")):
            _, news = alice.ask(PostMessage(channel_id=GENERAL, content=content))
            assert isinstance(news, NewMessageEvent)
            self.assertEqual(news.content, clean_content)

    def test_deleted_parent(self) -> None:
        """A reply to a tombstone is fine (reference 2.3)."""
        alice = self.connect("alice")
        root = self.post(alice)
        self.post(alice, parent_id=root)
        alice.send(DeleteMessage(message_id=root))
        self.post(alice, parent_id=root)
        (entry,) = self.entries(alice, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual(entry.reply_count, 2)

    def test_log_line(self) -> None:
        """The sender is the fourth field of the log line, and the text is not in it (monitoring guide)."""
        self.post(self.connect("alice"), b"a secret")
        (line,) = [line for line in self.log_lines() if "POST_MESSAGE" in line]
        self.assertEqual(f"2025/10/08 14:30:25.456789 [INFO] {line}".split()[3], "~alice")
        self.assertNotIn("secret", line)

    def test_counters(self) -> None:
        """A broadcast counts once, its deliveries and frames as often as they are sent."""
        alice = self.connect("alice")
        for _ in range(3):
            self.connect().send(SubscribeChannel(channel_id=GENERAL))
        self.post(alice)
        counters = self.chat.counters
        self.assertEqual((counters.broadcasts, counters.deliveries, counters.sent["NEW_MESSAGE"]), (1, 3, 3))


class RateTests(TalkTestCase):
    """The message rate (decisions 4.10)."""

    limits = Limits(message_rate_limit=2)

    def test_refused(self) -> None:
        """Beyond the burst: ERROR 5001, a log line that both searches of the guide find, and a count."""
        alice = self.connect("alice")
        self.post(alice), self.post(alice)
        self.assertEqual(
            alice.refusal(PostMessage(channel_id=GENERAL, content=b"three")),
            (ErrorCode.MESSAGE_RATE_LIMIT, "Message rate limit exceeded (2 per minute)"),
        )
        (line,) = [line for line in self.log_lines() if "Rate limit exceeded for session 1" in line]
        self.assertIn("rate limit exceeded", line)
        self.assertEqual(self.chat.counters.rate_limited, 1)
        self.clock.advance(30)
        self.post(alice)

    def test_each_session(self) -> None:
        """One session's rate is not another's."""
        alice, bob = self.connect("alice"), self.connect("bob")
        self.post(alice), self.post(alice), self.post(bob)


class DeleteTests(TalkTestCase):
    """DELETE_MESSAGE by the session that posted."""

    def test_tombstone_text(self) -> None:
        """The actor gets the replacement text, with its name, once (decisions 4.7, W26, W36)."""
        alice = self.connect("alice")
        alice.send(SubscribeChannel(channel_id=GENERAL))
        message = self.post(alice)
        self.assertEqual(
            alice.ask(DeleteMessage(message_id=message)),
            [
                MessageDeleted(
                    success=True,
                    message_id=message,
                    deleted_at=int(self.clock.seconds() * 1000),
                    message=b"[deleted by ~alice]",
                )
            ],
        )

    def test_who_hears(self) -> None:
        """Joined, subscribed to the channel, subscribed to the thread: everyone once, nobody else (4.8)."""
        alice = self.connect("alice")
        root = self.post(alice)
        everything, member, thread, stranger = (self.connect() for _ in range(4))
        for client in (everything, member):
            client.send(JoinChannel(channel_id=GENERAL))
        everything.send(SubscribeChannel(channel_id=GENERAL))
        for client in (everything, thread):
            client.send(SubscribeThread(thread_id=root))
        self.settle()
        for client in (everything, member, thread, stranger):
            client.received()
        reply = self.post(alice, parent_id=root)
        for client in (everything, thread):
            client.received()
        alice.send(DeleteMessage(message_id=reply))
        heard = [[type(event) for event in one.received()] for one in (everything, member, thread, stranger)]
        self.assertEqual(heard, [[MessageDeleted], [MessageDeleted], [MessageDeleted], []])

    def test_refusals(self) -> None:
        """No nickname 6004, unknown 4002, somebody else's 3000 (W2), twice 6000 (decisions 3.3, W35)."""
        alice, namesake = self.connect("alice"), self.connect("alice")
        message = self.post(alice)
        self.assertEqual(
            self.connect().refusal(DeleteMessage(message_id=message)),
            (ErrorCode.NICKNAME_REQUIRED, "Nickname required. Use SET_NICKNAME first."),
        )
        for message_id in (1, 2**64 - 1):
            self.assertEqual(
                alice.refusal(DeleteMessage(message_id=message_id)),
                (ErrorCode.MESSAGE_NOT_FOUND, "Message not found"),
            )
        self.assertEqual(
            namesake.refusal(DeleteMessage(message_id=message)),
            (ErrorCode.PERMISSION_DENIED, "You can only delete your own messages"),
        )
        alice.send(DeleteMessage(message_id=message))
        self.assertEqual(
            alice.refusal(DeleteMessage(message_id=message)),
            (ErrorCode.INVALID_INPUT, "Message is already deleted"),
        )

    def test_later_session(self) -> None:
        """Whoever reconnects is somebody else; session ids of another run prove nothing."""
        alice = self.connect("alice")
        message = self.post(alice)
        alice.leave()
        code, _ = self.connect("alice").refusal(DeleteMessage(message_id=message))
        self.assertEqual(code, ErrorCode.PERMISSION_DENIED)

    def test_after_rename(self) -> None:
        """The session that posted may delete after a rename; the tombstone shows who did it."""
        alice = self.connect("alice")
        message = self.post(alice)
        alice.send(SetNickname(nickname="alicia"))
        deleted = alice.one(MessageDeleted, DeleteMessage(message_id=message))
        self.assertEqual(deleted.message, b"[deleted by ~alicia]")


class ForgetfulStorage(MemoryStorage):
    """Loses a message between two questions, as retention may."""

    def delete_message(self, *arguments: Any) -> Deferred[Any]:
        return fail(UnknownMessage("there is no such message"))


class ForgetfulStorageTests(TalkTestCase):
    """Messages that go while they are being deleted."""

    def make_storage(self) -> MemoryStorage:
        return ForgetfulStorage()

    def test_unknown(self) -> None:
        """A message that is gone by the time it is deleted is unknown: ERROR 4002 (decisions 4.11)."""
        alice = self.connect("alice")
        self.assertEqual(
            alice.refusal(DeleteMessage(message_id=self.post(alice))),
            (ErrorCode.MESSAGE_NOT_FOUND, "Message not found"),
        )
