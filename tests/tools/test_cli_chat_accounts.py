"""Accounts and private conversations within a chat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.client import ServerRefused
from superchat.tools.cli_ask import Declined
from superchat.tools.cli_chat import Chat
from superchat.tools.cli_chat_commands import CHAT_COMMANDS
from superchat.tools.cli_conversations import MOST_OPEN
from superchat.tools.cli_output import Channel
from superchat.wire import messages as wire
from superchat.wire.messages import UnreadCount
from tests.tools.chat_in_memory import entry, news
from tests.tools.following import FakeKeyboard, Situation
from tests.tools.once import account_options
from tests.tools.people_in_memory import CONVERSATION, CREDENTIALS, INVITE, PeopleInMemory, pending, request


class ChatTestCase(SynchronousTestCase):
    """Alice talks; ``server`` is in memory."""

    def setUp(self) -> None:
        self.server = PeopleInMemory()
        self.here = Situation(self.server)
        self.keyboard = FakeKeyboard()
        self.key_file = Path(self.mktemp()) / "dm.key"

    def start(self, command: str = "chat", *channels: str, **more: Any) -> None:
        given = account_options(command, *channels, key_file=self.key_file, limit=20, **more)
        self.chat = Chat(self.here.clock, self.here.listen, given, self.here.output, self.keyboard, CHAT_COMMANDS)
        self.running = Deferred.fromCoroutine(self.chat.run())
        self.addCleanup(lambda: self.running.addErrback(lambda _: None).cancel())

    def type(self, text: str) -> list[str]:
        """Type a line; return what is told."""
        self.here.told()
        Deferred.fromCoroutine(self.chat.line(text))
        return self.here.told()

    def posts(self) -> list[wire.PostMessage]:
        return self.server.heard(wire.PostMessage)



class AccountTests(ChatTestCase):
    """One's own account, in a channel."""

    def test_logged_in(self) -> None:
        """With --login one enters as the account, and again after a lost connection, before entering."""
        self.start("chat", "general")
        self.assertEqual(self.server.heard(wire.AuthRequest), [CREDENTIALS])
        self.assertEqual(self.server.heard(wire.SetNickname), [])
        self.assertEqual(self.keyboard.prompts, ["alice> "])
        self.here.restart_server()
        said = self.server.endpoint.server.heard
        self.assertEqual(said[:2], [CREDENTIALS, wire.JoinChannel(channel_id=1)])

    def test_password_changed_meanwhile(self) -> None:
        """A login that is refused later ends the conversation: nobody goes on as somebody else unawares."""
        self.start("chat", "general")
        self.server.accounts = {}
        self.here.restart_server()
        self.here.clock.advance(0)
        self.assertEqual(str(self.failureResultOf(self.running, Declined).value), "Invalid credentials")

    def test_login(self) -> None:
        """/login asks for the password unseen; from then on one is the account, on later connections too."""
        self.start("chat", "general", credentials=None)
        self.server.accounts = {"queen": "queen:secret".ljust(43, ".")}
        self.keyboard.secrets = ["secret"]
        self.type("/login queen")
        self.assertEqual(self.here.printed(), ["Welcome back, queen!"])
        self.assertEqual(self.keyboard.secrets_asked, ["password of queen: "])
        self.assertEqual(self.keyboard.prompts, ["alice> ", "queen> "])
        self.here.restart_server()
        self.assertEqual([each.nickname for each in self.server.heard(wire.AuthRequest)], ["queen"])

    def test_refused_login(self) -> None:
        """A wrong password changes nothing."""
        self.start("chat", "general", credentials=None)
        self.keyboard.secrets = ["wrong", ""]
        self.assertEqual(self.type("/login"), ["superchat-cli: Invalid credentials"])
        self.assertEqual(self.type("/login"), ["superchat-cli: no password was given"])
        self.assertEqual(self.type("/login"), ["superchat-cli: no terminal"])
        self.here.restart_server()
        self.assertEqual(self.server.heard(wire.SetNickname), [wire.SetNickname(nickname="alice")])

    def test_register(self) -> None:
        """/register makes an account of the nickname one has, with a password that was typed twice."""
        self.server.accounts = {}
        self.start("chat", "general", credentials=None)
        self.keyboard.secrets = ["long enough", "long enough"]
        self.type("/register")
        self.assertEqual(self.here.printed(), ["Successfully registered alice!"])
        self.assertEqual(self.server.accounts, {"alice": "alice:long enough".ljust(43, ".")})
        self.here.restart_server()
        self.assertEqual(len(self.server.heard(wire.AuthRequest)), 1)

    def test_refused_register(self) -> None:
        """A password that is too short or typed differently is not used, a name that is taken not registered."""
        self.start("chat", "general", credentials=None)
        self.keyboard.secrets = ["short", "long enough", "long enouhg", "long enough", "long enough"]
        self.assertIn("8 to 128", self.type("/register")[0])
        self.assertIn("two different", self.type("/register")[0])
        self.assertEqual(self.server.heard(wire.RegisterUser), [])
        self.assertIn("already registered", self.type("/register")[0])

    def test_edit(self) -> None:
        """/edit changes the message with that number."""
        self.server.messages = [entry(50, "helo")]
        self.start("chat", "general")
        self.here.printed()
        self.type("/edit 1 hello")
        expected = wire.EditMessage(message_id=50, new_content=b"hello")
        self.assertEqual(self.server.heard(wire.EditMessage), [expected])
        self.assertEqual(self.here.printed(), ["* [1] now reads hello"])

    def test_delete(self) -> None:
        """/delete deletes it."""
        self.server.messages = [entry(50, "helo")]
        self.start("chat", "general")
        self.here.printed()
        self.type("/delete 1")
        self.assertEqual(self.server.heard(wire.DeleteMessage), [wire.DeleteMessage(message_id=50)])
        self.assertEqual(self.here.printed(), ["* [1] is gone: [deleted by alice]"])

    def test_usage(self) -> None:
        """What is typed wrong is explained and changes nothing."""
        self.server.messages = [entry(50, "helo")]
        self.start("chat", "general")
        for wrong in ("/edit", "/edit 1", "/edit 2 x", "/delete", "/delete 2", "/delete all", "/dm bob", "/dm"):
            self.assertIn("usage: /", self.type(wrong)[0], wrong)
        self.assertEqual(self.server.heard(wire.EditMessage), [])

    def test_unread(self) -> None:
        """/unread lists the channels in which there is something, for accounts."""
        self.start("chat", "general")
        counts = [UnreadCount(channel_id=each, unread_count=each - 1) for each in (1, 2, 3)]
        self.server.endpoint.answer = lambda message: (
            [wire.UnreadCounts(counts=tuple(counts))]
            if isinstance(message, wire.GetUnreadCounts)
            else self.server.answer(message)
        )
        self.type("/unread")
        self.assertEqual(self.here.printed(), ["     2  #general/web", "     1  #lobby"])

    def test_unread_without_account(self) -> None:
        """The server would count nothing for others."""
        self.start("chat", "general", credentials=None)
        self.assertIn("only accounts", self.type("/unread")[0])

    def test_read_position(self) -> None:
        """What was shown counts as read: told when one enters and when one leaves, in the server's time."""
        self.server.messages = [entry(50, "old")]
        self.start("chat", "general")
        self.server.post(entry(60, "new"), entry(70, "elsewhere", channel_id=2))
        self.type("/quit")
        self.assertEqual(
            self.server.heard(wire.UpdateReadState),
            [
                wire.UpdateReadState(channel_id=1, timestamp=50 * 60_000),
                wire.UpdateReadState(channel_id=1, timestamp=70 * 60_000),
            ],
        )

    def test_anonymous_read_position(self) -> None:
        """Without account there is nothing to tell."""
        self.server.messages = [entry(50, "old")]
        self.start("chat", "general", credentials=None)
        self.type("/quit")
        self.assertEqual(self.server.heard(wire.UpdateReadState), [])


class PrivateTests(ChatTestCase):
    """``dm`` without a text."""

    def start_dm(self, **more: Any) -> None:
        self.server.on_dm = self.server.on_dm or [self.server.ready()]
        self.start("dm", user="bob", **more)

    def sealed(self) -> list[str]:
        cipher = self.server.cipher()
        return [cipher.decrypt(each.content).decode() for each in self.posts()]

    def test_talking(self) -> None:
        """The conversation is entered, its past readable, and what is typed encrypted."""
        self.start_dm()
        self.assertEqual(self.keyboard.prompts, ["alice to bob> "])
        self.assertIn("encrypted; the other's key is", self.here.told()[0])
        self.assertEqual(self.server.heard(wire.JoinChannel), [wire.JoinChannel(channel_id=CONVERSATION)])
        self.server.post(self.server.from_bob("hello"))
        self.assertEqual(self.here.printed(), ["[1] 08:20 bob: hello"])
        self.type("hi bob")
        self.assertEqual(self.sealed(), ["hi bob"])

    def test_past(self) -> None:
        """What was said before is decrypted with the same key."""
        self.start_dm()
        self.server.messages = [self.server.from_bob("earlier", 400)]
        self.running.addErrback(lambda _: None).cancel()
        self.here.printed()
        self.start_dm()
        self.assertEqual(self.here.printed(), ["[1] 06:40 bob: earlier"])

    def test_in_the_clear(self) -> None:
        """A message that was not encrypted is marked, one that cannot be decrypted is not shown as a text."""
        self.start_dm()
        self.server.post(
            entry(500, "trust me", channel_id=CONVERSATION, author="bob"),
            entry(501, b"\xff" * 40, channel_id=CONVERSATION, author="bob"),
            entry(502, "bob has left the conversation", channel_id=CONVERSATION, author=""),
        )
        self.assertEqual(
            self.here.printed(),
            [
                "[1] 08:20 bob: (not encrypted) trust me",
                "[2] 08:21 bob: (cannot be decrypted)",
                "[3] 08:22 * bob has left the conversation",
            ],
        )

    def test_edit(self) -> None:
        """/edit encrypts, and edits of others are decrypted."""
        self.start_dm()
        self.server.post(self.server.from_bob("helo"))
        self.here.printed()
        self.type("/edit 1 hello")
        [asked] = self.server.heard(wire.EditMessage)
        self.assertEqual(self.server.cipher().decrypt(asked.new_content), b"hello")
        self.assertEqual(self.here.printed(), ["* [1] now reads hello"])

    def test_reply(self) -> None:
        """There are no threads: /reply just says it."""
        self.start_dm()
        self.server.post(self.server.from_bob("hello"))
        self.type("/reply 1 hi")
        self.assertEqual(self.sealed(), ["hi"])
        self.assertIsNone(self.posts()[0].parent_id)

    def test_other_key(self) -> None:
        """When the other has another key from now on, that is told and used."""
        self.start_dm()
        self.here.told()
        self.server.bob = type(self.server.bob).generate()
        self.server.say(self.server.ready())
        self.assertIn("the other's key is", self.here.told()[0])
        self.type("hi")
        self.assertEqual(self.sealed(), ["hi"])

    def test_downgrade(self) -> None:
        """A server that takes the encryption back changes nothing but what is told."""
        self.start_dm()
        self.server.say(self.server.ready(encrypted=False))
        self.assertIn("is not encrypted", self.here.told()[-1])
        self.type("hi")
        self.assertEqual(self.sealed(), ["hi"])

    def test_reconnected(self) -> None:
        """After a lost connection the account is in the conversation again."""
        self.start_dm()
        self.server.messages = [self.server.from_bob("meanwhile")]
        self.here.restart_server()
        self.assertEqual(self.here.printed(), ["[1] 08:20 bob: meanwhile"])
        self.assertEqual(self.server.heard(wire.JoinChannel), [wire.JoinChannel(channel_id=CONVERSATION)])

    def test_waiting(self) -> None:
        """The conversation begins when the other accepts; a refusal ends it."""
        self.server.on_dm = [pending()]
        self.start_dm()
        self.assertEqual(self.here.told(), ["* Waiting for bob to accept"])
        self.assertIsNone(self.keyboard.chat)
        self.server.say(self.server.ready())
        self.assertIs(self.keyboard.chat, self.chat)

    def test_declined(self) -> None:
        """If the other declines, that is the end."""
        self.server.on_dm = [pending()]
        self.start_dm()
        self.server.say(wire.DMDeclined(dm_channel_id=INVITE, nickname="bob"))
        self.assertEqual(str(self.failureResultOf(self.running, Declined).value), "bob declined")

    def test_no_such_user(self) -> None:
        """Nor does it begin with somebody who does not exist."""
        self.server.on_dm = [wire.Error(error_code=4000, message="User not found")]
        self.start_dm()
        self.failureResultOf(self.running, ServerRefused)

    def test_names_are_safe(self) -> None:
        """The other's name cannot draw on the terminal, not even as part of the prompt."""
        self.server.on_dm = [self.server.ready(name="bob")]
        self.start_dm()
        bad = attrs.evolve(self.chat.follower.home, label="\x1b[2J")
        self.chat.follower._home = Channel(CONVERSATION, bad.label, is_private=True)
        self.chat.show_prompt()
        self.assertEqual(self.keyboard.prompts[-1], "alice to \\x1b[2J> ")


class BesideTests(ChatTestCase):
    """Private conversations beside a channel."""

    def setUp(self) -> None:
        super().setUp()
        self.start("chat", "general")
        self.here.told()

    def test_dm(self) -> None:
        """/dm says something in private, and the answer is shown as private, with a number to reply to."""
        self.server.on_dm = [self.server.ready()]
        self.type("/dm bob psst")
        [post] = self.posts()
        self.assertEqual(post.channel_id, CONVERSATION)
        self.assertEqual(self.server.cipher().decrypt(post.content), b"psst")
        self.assertIn(wire.SubscribeChannel(channel_id=CONVERSATION), self.server.heard(wire.SubscribeChannel))
        self.server.say(news(self.server.from_bob("what?")))
        self.assertEqual(self.here.printed(), ["[1] 08:20 private with bob bob: what?"])
        self.type("/reply 1 nothing")
        self.assertEqual(self.server.cipher().decrypt(self.posts()[1].content), b"nothing")
        self.type("for all")
        self.assertEqual((self.posts()[2].channel_id, self.posts()[2].content), (1, b"for all"))

    def test_again(self) -> None:
        """A conversation is begun once; after the other left it is begun anew."""
        self.server.on_dm = [self.server.ready()]
        for text in ("one", "two"):
            self.type(f"/dm ~Bob {text}")
        self.assertEqual(len(self.server.heard(wire.StartDM)), 1)
        left = wire.DMParticipantLeft(dm_channel_id=CONVERSATION, user_id=8, nickname="bob")
        self.server.say(left)
        self.assertEqual(self.here.told(), ["* bob has left the private conversation"])
        self.server.on_dm = [self.server.ready(channel_id=78)]
        self.type("/dm bob three")
        self.assertEqual([each.channel_id for each in self.posts()], [CONVERSATION, CONVERSATION, 78])

    def test_not_accepted_yet(self) -> None:
        """/dm does not wait: the line is not sent, and when the other accepts, that is told."""
        self.server.on_dm = [pending()]
        running = Deferred.fromCoroutine(self.chat.line("/dm bob psst"))
        self.here.clock.advance(0)
        self.successResultOf(running)
        self.assertEqual(self.here.told(), ["* Waiting for bob to accept", "superchat-cli: bob has not accepted yet"])
        self.server.say(self.server.ready())
        self.assertIn("private conversation 77 with bob", self.here.told()[0])
        self.assertEqual(self.posts(), [])

    def test_request(self) -> None:
        """A request is told, with how to answer it, and /accept begins the conversation."""
        self.server.say(request(1))
        [told] = self.here.told()
        self.assertEqual(
            told, "* bob wants to talk to you alone, encryption required: /accept bob or /decline bob"
        )
        self.server.on_key = [self.server.ready()]
        self.type("/accept bob")
        self.server.say(news(self.server.from_bob("hello")))
        self.assertEqual(self.here.printed(), ["[1] 08:20 private with bob bob: hello"])

    def test_decline(self) -> None:
        """/decline declines, once."""
        self.server.say(request(1))
        self.assertEqual(self.type("/decline bob"), ["* declined to talk to bob"])
        self.assertIn("bob has not asked", self.type("/decline bob")[0])

    def test_opened_by_the_other(self) -> None:
        """A conversation that the other may open without asking is followed (decisions 6.3)."""
        self.server.say(self.server.ready())
        self.assertIn("private conversation 77 with bob, encrypted", self.here.told()[0])
        self.assertIn(wire.SubscribeChannel(channel_id=CONVERSATION), self.server.heard(wire.SubscribeChannel))

    def test_too_many(self) -> None:
        """A server cannot open conversations without end."""
        for number in range(MOST_OPEN + 1):
            self.server.say(self.server.ready(channel_id=1000 + number))
        self.assertIn("too many", self.here.told()[-1])
        self.assertEqual(len(self.chat.follower.channels), MOST_OPEN + 1)

    def test_other_events(self) -> None:
        """Refusals and the server's wish for a key are told."""
        self.server.say(wire.DMDeclined(dm_channel_id=INVITE, nickname="bob\x1b"), wire.KeyRequired(reason="a key"))
        self.assertEqual(self.here.told(), ["* bob\\x1b declined to talk alone", "* a key"])

    def test_subscription_is_refused(self) -> None:
        """What goes wrong beside is told and ends nothing."""
        self.server.refusals = {wire.SubscribeChannel: wire.Error(error_code=5005, message="limit exceeded")}
        self.server.say(self.server.ready())
        self.assertIn("limit exceeded", self.here.told()[-1])
        self.assertNoResult(self.running)

    def test_key_file(self) -> None:
        """A key file that cannot be used is a mistake one is told of, and ends nothing."""
        self.key_file.parent.mkdir()
        self.key_file.write_bytes(b"junk")
        self.key_file.chmod(0o600)
        self.assertIn("no X25519 private key", self.type("/dm bob psst")[0])
        self.server.say(self.server.ready())
        self.assertIn("no X25519 private key", self.here.told()[-1])
        self.assertTrue(self.chat.failed)
