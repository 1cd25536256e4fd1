"""Talking in a channel."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_ask import Declined
from superchat.tools.cli_chat import Chat
from superchat.tools.cli_chat_commands import CHAT_COMMANDS
from superchat.wire import messages as wire
from tests.tools.chat_in_memory import entry, news
from tests.tools.following import FakeKeyboard, Situation, options


class ChatTests(SynchronousTestCase):
    """Lines are posted, commands obeyed, messages shown."""

    def setUp(self) -> None:
        self.here = Situation()
        self.server = self.here.chat

    def start(self, channel: str = "general", patient: bool = False, limit: int = 20) -> None:
        self.keyboard = FakeKeyboard(patient)
        given = options("chat", channel, nickname="alice", limit=limit)
        self.chat = Chat(self.here.clock, self.here.listen, given, self.here.output, self.keyboard, CHAT_COMMANDS)
        self.running = Deferred.fromCoroutine(self.chat.run())
        self.addCleanup(lambda: self.running.addErrback(lambda _: None).cancel())

    def type(self, text: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self.chat.line(text))

    def posts(self) -> list[tuple[int | None, bytes]]:
        return [(each.parent_id, each.content) for each in self.server.heard(wire.PostMessage)]

    def test_entering(self) -> None:
        """The nickname is taken, the channel joined and subscribed to, its past shown, and the prompt is there."""
        self.server.messages = [entry(1, "old"), entry(2, "older")]
        self.start()
        self.assertEqual(self.here.printed(), ["[1] 00:01 ~bob: old", "[2] 00:02 ~bob: older"])
        self.assertEqual(self.server.heard(wire.SetNickname), [wire.SetNickname(nickname="alice")])
        self.assertEqual(self.server.heard(wire.JoinChannel), [wire.JoinChannel(channel_id=1)])
        self.assertEqual(self.server.heard(wire.SubscribeChannel), [wire.SubscribeChannel(channel_id=1)])
        self.assertEqual(self.keyboard.prompts, ["alice> "])
        self.assertIs(self.keyboard.chat, self.chat)

    def test_no_access(self) -> None:
        """A channel that may not be joined ends it with the server's words."""
        self.server.endpoint.answer = lambda message: (
            [wire.JoinResponse(success=False, channel_id=1, message="Not a participant in this DM")]
            if isinstance(message, wire.JoinChannel)
            else self.server.answer(message)
        )
        self.start()
        self.assertIn("Not a participant", str(self.failureResultOf(self.running, Declined).value))
        self.assertIsNone(self.keyboard.chat)

    def test_post(self) -> None:
        """A line is posted as it is."""
        self.start()
        self.type("  hello world ")
        self.type("   ")
        self.assertEqual(self.posts(), [(None, b"  hello world ")])

    def test_bytes(self) -> None:
        """What was typed in another encoding reaches the server byte for byte."""
        self.start()
        self.type(b"caf\xe9".decode("utf-8", "surrogateescape"))
        self.assertEqual(self.posts(), [(None, b"caf\xe9")])

    def test_leading_slash(self) -> None:
        """Two slashes post one."""
        self.start()
        self.type("//etc/passwd")
        self.assertEqual(self.posts(), [(None, b"/etc/passwd")])

    def test_own_messages(self) -> None:
        """One's own message is shown when the server sends it, with a number like all others."""
        self.start()
        self.type("hello")
        self.assertEqual(self.here.printed(), [])
        self.server.say(news(self.server.messages[-1]))
        self.assertEqual(self.here.printed(), ["[1] 01:41 ~bob: hello"])

    def test_reply(self) -> None:
        """/reply answers the message with that number, after subscribing to its thread if need be."""
        self.server.messages = [entry(1, "a"), entry(2, "b")]
        self.start()
        self.type("/reply 2 so it is")
        self.assertEqual(self.posts(), [(2, b"so it is")])
        self.server.post(entry(200, "c", parent_id=2), entry(201, "d", parent_id=200))
        self.type("/reply [4] and so on")
        self.assertEqual(self.posts()[1], (201, b"and so on"))
        self.assertEqual(self.server.threads, {1, 2})

    def test_reply_to_an_old_thread(self) -> None:
        """Replies to one's replies are seen: the thread is subscribed to, in place of the quietest."""
        self.server.messages = [entry(number, "x") for number in range(1, 61)]
        self.start(limit=60)
        self.type("/reply 1 still there?")
        self.assertIn(1, self.server.threads)
        self.assertNotIn(11, self.server.threads)
        self.assertEqual(self.posts(), [(1, b"still there?")])

    def test_reply_to_a_thread_that_is_gone(self) -> None:
        """A reply to what is gone is refused with the server's words, and nothing is posted."""
        self.server.messages = [entry(number, "x") for number in range(1, 61)]
        self.start(limit=60)
        self.server.refusals = {
            wire.SubscribeThread: wire.Error(error_code=4003, message="Thread does not exist")
        }
        self.type("/reply 1 still there?")
        self.assertEqual(self.here.told(), ["superchat-cli: Thread does not exist"])
        self.assertEqual(self.posts(), [])

    def test_reply_in_a_chat_channel(self) -> None:
        """Where there are no threads the server says so."""
        self.server.messages = [entry(1, "a", channel_id=2)]
        self.start("lobby")
        self.server.refusals = {wire.PostMessage: wire.Error(error_code=6000, message="no threaded replies")}
        self.type("/reply 1 hi")
        self.assertEqual(self.here.told(), ["superchat-cli: no threaded replies"])
        self.assertEqual(self.server.heard(wire.SubscribeThread), [])

    def test_shown_replies(self) -> None:
        """A reply is shown with the number of what it answers, else its beginning, else its id."""
        self.server.messages = [entry(1, "old"), entry(2, "a")]
        self.start(limit=1)
        self.here.printed()
        self.server.post(entry(5, "b", parent_id=2), entry(6, "c", parent_id=1), entry(7, "d", parent_id=99))
        self.assertEqual(
            self.here.printed(),
            ["[2] 00:05 ~bob (to [1]): b", '[3] 00:06 ~bob (to "old"): c', "[4] 00:07 ~bob (to 99): d"],
        )

    def test_nick(self) -> None:
        """/nick takes another name, for the next connections too, and the prompt shows it."""
        self.start()
        self.type("/nick queen")
        self.assertEqual(self.keyboard.prompts[-1], "queen> ")
        self.here.restart_server()
        self.assertEqual(self.server.heard(wire.SetNickname), [wire.SetNickname(nickname="queen")])

    def test_refused_nick(self) -> None:
        """A refused name changes nothing."""
        self.start()
        self.server.names_taken = {"bob"}
        self.type("/nick bob")
        self.assertEqual(self.here.told(), ["superchat-cli: taken"])
        self.assertEqual(self.keyboard.prompts, ["alice> "])

    def test_users(self) -> None:
        """/users lists who is there."""
        self.start()
        self.type("/users")
        self.assertEqual(self.here.printed(), ["dave (anonymous)"])

    def test_presence(self) -> None:
        """Who comes and goes is shown."""
        self.start()
        self.server.say(
            wire.ChannelPresence(
                channel_id=1, session_id=9, nickname="dave", is_registered=False, user_flags=0, joined=True
            )
        )
        self.assertEqual(self.here.printed(), ["* dave joined"])

    def test_changes(self) -> None:
        """Edits and deletions name the number."""
        self.server.messages = [entry(1, "a")]
        self.start()
        self.here.printed()
        self.server.say(
            wire.MessageEdited(success=True, message_id=1, edited_at=0, new_content=b"b", message=""),
            wire.MessageDeleted(success=True, message_id=1, deleted_at=0, message=b"[deleted]"),
        )
        self.assertEqual(self.here.printed(), ["* [1] now reads b", "* [1] is gone: [deleted]"])

    def test_help(self) -> None:
        """/help lists the commands; an unknown one, or a wrong use, points there."""
        self.start()
        self.type("/help")
        self.assertIn("/reply N TEXT", " ".join(self.here.told()))
        self.type("/dance")
        self.assertEqual(self.here.told(), ["superchat-cli: there is no command /dance; /help lists them"])
        for wrong in ("/reply", "/reply x y", "/reply 1", "/reply 7 text"):
            self.type(wrong)
        self.assertEqual(len(self.here.told()), 4)
        self.assertEqual(self.posts(), [])

    def test_quit(self) -> None:
        """/quit says goodbye and ends it well."""
        self.start()
        self.type("/quit")
        self.here.clock.advance(0)
        self.assertIsNone(self.successResultOf(self.running))
        self.assertEqual(self.server.heard(wire.Disconnect), [wire.Disconnect()])
        self.assertEqual(self.here.clock.getDelayedCalls(), [])

    def test_refused_post(self) -> None:
        """A refusal is shown and remembered, and the conversation goes on."""
        self.start()
        self.server.refusals = {wire.PostMessage: wire.Error(error_code=5001, message="Rate limit exceeded")}
        self.type("hello")
        self.assertEqual(self.here.told(), ["superchat-cli: Rate limit exceeded"])
        self.assertTrue(self.chat.failed)
        self.assertNoResult(self.running)

    def test_too_long(self) -> None:
        """So is a line that no message can hold."""
        self.start()
        self.type("x" * 70000)
        self.assertEqual(len(self.here.told()), 1)
        self.assertEqual(self.posts(), [])

    def test_one_after_the_other(self) -> None:
        """Lines are posted in the order they were typed, each after the one before is done."""
        self.start()
        self.server.endpoint.answer = lambda message: []
        self.type("one")
        self.type("two")
        self.assertEqual(self.posts(), [(None, b"one")])
        self.server.say(wire.MessagePosted(success=True, message_id=1, message=""))
        self.assertEqual(self.posts(), [(None, b"one"), (None, b"two")])

    def test_typed_without_connection(self) -> None:
        """A line typed while there is no connection is given back, not lost and not posted later unasked."""
        self.start()
        self.server.endpoint.server.drop()
        self.here.told()
        self.type("hello")
        self.assertEqual(self.keyboard.returned, ["hello"])
        self.assertEqual(self.here.told(), ["* not connected; the line was not sent"])

    def test_piped_without_connection(self) -> None:
        """Lines of a script wait for the connection to come back."""
        self.start(patient=True)
        self.server.endpoint.server.drop()
        done = self.type("hello")
        self.assertNoResult(done)
        self.here.clock.advance(30)
        self.successResultOf(done)
        self.assertEqual(self.posts(), [(None, b"hello")])

    def test_lost_in_between(self) -> None:
        """If the connection is lost before the answer, nobody can know; that is said."""
        self.start()
        self.server.endpoint.answer = lambda message: []
        self.type("hello")
        self.server.endpoint.server.drop()
        self.assertIn("may not have been sent", " ".join(self.here.told()))
