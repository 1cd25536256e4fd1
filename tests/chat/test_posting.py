"""Tests for `superchat.chat.posting`: what may be posted, and who hears of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.posting import check_length, clean
from superchat.config import Limits
from superchat.errors import Refused
from superchat.model import Channel
from superchat.storage.errors import UnknownChannel
from superchat.storage.memory import MemoryStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    DeleteMessage,
    JoinChannel,
    ListMessages,
    MessagePosted,
    PostMessage,
    SetNickname,
    SubscribeChannel,
    SubscribeThread,
)
from superchat.wire.messages import (
    NewMessage as NewMessageEvent,
)
from tests.chat.people import PeopleTestCase, account_of, session_of
from tests.chat.slow_look_ups import SlowLookUps
from tests.chat.talk import CHAT, GENERAL, TECH, TalkTestCase


def place(*, is_direct: bool = False) -> Channel:
    """A channel."""
    return Channel(1, "x", "x", "", 1, 0, None, None, 0, is_direct)


class ContentTests(SynchronousTestCase):
    """What becomes of content (decisions 4.4)."""

    def test_controls_removed(self) -> None:
        """Control characters other than newline and tab are removed, C1 included."""
        self.assertEqual(clean("a\x00b\tc\nd\x1b[31me\x7f\x8f".encode(), place()), b"ab\tc\nd[31me")

    def test_empty(self) -> None:
        """Nothing, or nothing left, is ERROR 6000."""
        self.assertEqual(self.assertRaises(Refused, check_length, b"", 99).code, ErrorCode.INVALID_INPUT)
        self.assertEqual(self.assertRaises(Refused, clean, b"\x00\x01", place()).code, ErrorCode.INVALID_INPUT)

    def test_not_utf8(self) -> None:
        """What is not UTF-8 is ERROR 6000, surrogates and overlong forms included."""
        for content in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"a\xe2\x82"):
            self.assertEqual(self.assertRaises(Refused, clean, content, place()).code, ErrorCode.INVALID_INPUT)

    def test_length_in_bytes(self) -> None:
        """The limit counts bytes: at it is fine, one more is ERROR 6001 that names it."""
        check_length("é".encode() * 5, 10)
        refused = self.assertRaises(Refused, check_length, b"x" * 11, 10)
        self.assertEqual((refused.code, refused.text), (ErrorCode.MESSAGE_TOO_LONG, "Message too long (max 10 bytes)"))

    @given(st.text(min_size=1))
    def test_idempotent(self, text: str) -> None:
        """What was cleaned once is clean."""
        try:
            once = clean(text.encode("utf-8", "replace"), place())
        except Refused:
            return
        self.assertEqual(clean(once, place()), once)

    @given(st.binary(min_size=1))
    def test_opaque(self, content: bytes) -> None:
        """In a direct conversation every byte stays as it is, whatever it means."""
        self.assertEqual(clean(content, place(is_direct=True)), content)


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

    def test_rename_does_not_help(self) -> None:
        """An anonymous session has one rate, whatever its nickname."""
        alice = self.connect("alice")
        self.post(alice), self.post(alice)
        alice.send(SetNickname(nickname="alicia"))
        self.assertEqual(alice.refusal(PostMessage(channel_id=GENERAL, content=b"x"))[0], ErrorCode.MESSAGE_RATE_LIMIT)


class AccountRateTests(PeopleTestCase):
    """The message rate of accounts (decisions 4.10)."""

    limits = Limits(message_rate_limit=2, max_connections_per_ip=0)

    def test_sessions_share(self) -> None:
        """All sessions of an account share one rate, also those that come after the others have left."""
        anna = self.person("anna")
        account = account_of(anna)
        other = self.session(account)
        self.post(anna), self.post(other)
        for client in (anna, other):
            code, _ = client.refusal(PostMessage(channel_id=GENERAL, content=b"three"))
            self.assertEqual(code, ErrorCode.MESSAGE_RATE_LIMIT)
        anna.leave()
        other.leave()
        again = self.session(account)
        code, _ = again.refusal(PostMessage(channel_id=GENERAL, content=b"three"))
        self.assertEqual(code, ErrorCode.MESSAGE_RATE_LIMIT)
        self.clock.advance(30)
        self.post(again)

    def test_accounts_do_not_share(self) -> None:
        """One account's rate is not another's, nor that of an anonymous session at the same address."""
        anna, bob, guest = self.person("anna"), self.person("bob"), self.connect("guest")
        for client in (anna, bob, guest):
            self.post(client), self.post(client)

    def test_logging_in_takes_the_account_s_rate(self) -> None:
        """Whoever logs in posts at the rate of the account, and at the session's own again after logging out."""
        anna = self.person("anna")
        self.post(anna), self.post(anna)
        guest = self.connect("guest")
        self.chat.sessions.log_in(session_of(guest), account_of(anna))
        code, _ = guest.refusal(PostMessage(channel_id=GENERAL, content=b"three"))
        self.assertEqual(code, ErrorCode.MESSAGE_RATE_LIMIT)
        self.chat.sessions.log_out(session_of(guest))
        self.post(guest)


class AccountPostTests(PeopleTestCase):
    """POST_MESSAGE by accounts."""

    def test_author(self) -> None:
        """What an account posts has its id, and its name with what its rights put before it (wire 0x89)."""
        anna, mod = self.person("anna"), self.moderator()
        anna.send(SubscribeChannel(channel_id=GENERAL))
        anna.received()
        heard = []
        for client in (anna, mod):
            client.send(PostMessage(channel_id=GENERAL, content=b"hello"))
            heard += [event for event in anna.received() if isinstance(event, NewMessageEvent)]
        expected = [(account_of(anna).id, "anna"), (account_of(mod).id, "@mod")]
        self.assertEqual([(one.author_user_id, one.author_nickname) for one in heard], expected)
        entries = self.entries(anna, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual([(one.author_user_id, one.author_nickname) for one in entries], expected[::-1])

    def test_anonymous_under_the_same_name(self) -> None:
        """Somebody anonymous with an account's name is shown as anonymous (decisions 2.2)."""
        self.person("anna")
        guest = self.connect("anna")
        self.post(guest)
        (entry,) = self.entries(guest, ListMessages(channel_id=GENERAL, limit=0))
        self.assertEqual((entry.author_user_id, entry.author_nickname), (None, "~anna"))

    def test_channel_that_goes(self) -> None:
        """A channel that is deleted while somebody posts in it is unknown: ERROR 4001 (decisions 4.5, 4.13)."""
        self.storage.append_message = lambda new: fail(UnknownChannel("gone"))  # type: ignore[method-assign]
        self.assertEqual(
            self.person("anna").refusal(PostMessage(channel_id=GENERAL, content=b"x")),
            (ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist"),
        )


class DirectPostTests(PeopleTestCase):
    """POST_MESSAGE in direct conversations (decisions 3.2, 4.4)."""

    def setUp(self) -> None:
        super().setUp()
        self.anna, self.bob, self.mod = self.person("anna"), self.person("bob"), self.moderator()
        self.talk = self.conversation(self.anna, self.bob)

    def test_opaque(self) -> None:
        """Content is opaque there: no UTF-8 is asked for, no byte is removed, for everybody who takes part (4.4)."""
        self.bob.send(SubscribeChannel(channel_id=self.talk))
        self.bob.received()
        cipher = bytes(range(256)) * 2
        self.post(self.anna, cipher, channel_id=self.talk)
        (news,) = self.bob.received()
        assert isinstance(news, NewMessageEvent)
        self.assertEqual(news.content, cipher)
        (entry,) = self.entries(self.bob, ListMessages(channel_id=self.talk, limit=0))
        self.assertEqual(entry.content, cipher)

    def test_length(self) -> None:
        """The length is limited there too (decisions 4.4)."""
        for content, code in ((b"", ErrorCode.INVALID_INPUT), (b"\xff" * 4097, ErrorCode.MESSAGE_TOO_LONG)):
            self.assertEqual(self.anna.refusal(PostMessage(channel_id=self.talk, content=content))[0], code)
        self.post(self.anna, b"\xff" * 4096, channel_id=self.talk)

    def test_strangers(self) -> None:
        """For others the conversation does not exist, moderators included (decisions 3.2)."""
        self.assertEqual(
            self.mod.refusal(PostMessage(channel_id=self.talk, content=b"x")),
            (ErrorCode.CHANNEL_NOT_FOUND, "Channel does not exist"),
        )

    def test_parent_of_a_conversation(self) -> None:
        """A parent in somebody else's conversation is unknown, in one's own it is elsewhere (decisions 3.2, 4.5)."""
        message = self.post(self.anna, channel_id=self.talk)
        reply = PostMessage(channel_id=GENERAL, parent_id=message, content=b"x")
        self.assertEqual(self.mod.refusal(reply), (ErrorCode.MESSAGE_NOT_FOUND, "Message not found"))
        self.assertEqual(self.bob.refusal(reply), (ErrorCode.INVALID_INPUT, "Parent message is in another channel"))
        self.shadowban(nickname="somebody")
        self.assertEqual(self.mod.refusal(reply)[0], ErrorCode.MESSAGE_NOT_FOUND)
        self.assertEqual(self.bob.refusal(reply)[0], ErrorCode.INVALID_INPUT)


class LeavesMeanwhileTests(PeopleTestCase):
    """Somebody who goes before their reply is posted."""

    storage: SlowLookUps

    def make_storage(self) -> MemoryStorage:
        return SlowLookUps()

    def test_nothing_posted(self) -> None:
        """A reply whose parent was being looked up is not posted once its author has gone."""
        anna = self.person("anna")
        root = self.post(anna)
        self.shadowban(nickname="somebody")
        anna.send(PostMessage(channel_id=GENERAL, parent_id=root, content=b"x"))
        anna.leave()
        self.storage.answers[0].callback(None)
        self.assertEqual(self.now(self.storage.measure()).messages, 1)
