"""Following channels, through lost connections."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from superchat.client import ConnectionClosed
from superchat.tools.cli_ask import Declined
from superchat.tools.cli_options import Options
from superchat.tools.cli_tail import tail
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.tools.chat_in_memory import entry, news
from tests.tools.following import Situation, options


class TailTests(SynchronousTestCase):
    """Every message is printed once, in order."""

    def setUp(self) -> None:
        self.here = Situation()
        self.chat = self.here.chat

    def tail(self, given: Options) -> Deferred[None]:
        running = Deferred.fromCoroutine(tail(self.here.clock, self.here.listen, given, self.here.output))
        self.addCleanup(lambda: running.addErrback(lambda _: None).cancel())
        return running

    def test_new_messages(self) -> None:
        """What is posted is printed; what was there before is not."""
        self.chat.messages = [entry(1, "old")]
        self.tail(options("tail", "general"))
        self.chat.post(entry(5, "hello"), entry(6, "world", author="carol"))
        self.assertEqual(self.here.printed(), ["00:05 ~bob: hello", "00:06 carol: world"])

    def test_reading_is_anonymous(self) -> None:
        """Nobody is announced who only reads, unless a name was asked for."""
        self.tail(options("tail", "general"))
        self.assertEqual(self.chat.heard(wire.SetNickname), [])
        self.tail(options("tail", "general", nickname="alice"))
        self.assertEqual(self.chat.heard(wire.SetNickname), [wire.SetNickname(nickname="alice")])

    def test_several_channels(self) -> None:
        """With several channels each message names its own."""
        self.tail(options("tail", "general", "lobby", "general/web"))
        self.chat.post(entry(5, "a"), entry(6, "b", channel_id=2), entry(7, "c", channel_id=3))
        self.assertEqual(
            self.here.printed(),
            ["00:05 #general ~bob: a", "00:06 #lobby ~bob: b", "00:07 #general/web ~bob: c"],
        )

    def test_first_lines(self) -> None:
        """The last messages can be printed first."""
        self.chat.messages = [entry(number, f"m{number}") for number in range(1, 6)]
        self.tail(options("tail", "general", limit=2))
        self.assertEqual(self.here.printed(), ["00:04 ~bob: m4", "00:05 ~bob: m5"])

    def test_unknown_channel(self) -> None:
        """A channel that does not exist ends it."""
        self.failureResultOf(self.tail(options("tail", "nowhere")), Declined)

    def test_no_server(self) -> None:
        """So does a server that is not there: it may be a typing mistake."""
        self.chat.endpoint.down = True
        self.failureResultOf(self.tail(options("tail", "general")), ConnectionRefusedError)

    def test_changes(self) -> None:
        """Edits and deletions are printed."""
        self.tail(options("tail", "general"))
        self.chat.say(
            wire.MessageEdited(success=True, message_id=5, edited_at=0, new_content=b"new", message=""),
            wire.MessageDeleted(success=True, message_id=5, deleted_at=0, message=b"[deleted by ~bob]"),
        )
        self.assertEqual(
            self.here.printed(), ["* message 5 now reads new", "* message 5 is gone: [deleted by ~bob]"]
        )

    def test_errors_from_nowhere(self) -> None:
        """An ERROR that answers nothing is told."""
        self.tail(options("tail", "general"))
        self.chat.say(wire.Error(error_code=9000, message="oops"))
        self.assertEqual(self.here.told(), ["* error 9000: oops"])

    def test_interrupted(self) -> None:
        """Interrupting it says goodbye to the server."""
        running = self.tail(options("tail", "general"))
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual(self.chat.heard(wire.Disconnect), [wire.Disconnect()])
        self.assertEqual(self.here.clock.getDelayedCalls(), [])

    # Threads

    def test_replies(self) -> None:
        """Replies are printed with what they answer."""
        self.chat.messages = [entry(1, "a question that is rather long, in fact")]
        self.tail(options("tail", "general"))
        self.chat.post(entry(5, "answer", parent_id=1), entry(6, "unknown", parent_id=4))
        self.assertEqual(
            self.here.printed(),
            [
                '00:05 ~bob (to "a question that is rather l..."): answer',
                "00:06 ~bob (to 4): unknown",
            ],
        )

    def test_newest_threads(self) -> None:
        """The newest threads are subscribed to, as many as the server allows."""
        self.chat.messages = [entry(number, "x") for number in range(1, 101)]
        self.tail(options("tail", "general"))
        self.assertEqual(self.chat.threads, set(range(51, 101)))

    def test_chat_channels(self) -> None:
        """Channels without threads cost no thread subscriptions."""
        self.chat.messages = [entry(1, "x", channel_id=2)]
        self.tail(options("tail", "lobby"))
        self.chat.post(entry(5, "y", channel_id=2))
        self.assertEqual(self.chat.heard(wire.SubscribeThread), [])

    def test_new_thread(self) -> None:
        """A new thread is subscribed to; the one silent for longest gives way."""
        self.chat.messages = [entry(number, "x") for number in range(1, 51)]
        self.tail(options("tail", "general"))
        self.chat.post(entry(60, "reply", parent_id=1))
        self.chat.post(entry(61, "new thread"))
        self.assertEqual(self.chat.threads, {1, *range(3, 51), 61})

    def test_old_activity_counts(self) -> None:
        """Which thread is silent for longest is known of replies from before, too."""
        roots = [entry(number, "x", reply_count=int(number == 1)) for number in range(1, 51)]
        self.chat.messages = [*roots, entry(60, "reply", parent_id=1)]
        self.tail(options("tail", "general"))
        self.chat.post(entry(61, "new thread"))
        self.assertIn(1, self.chat.threads)
        self.assertNotIn(2, self.chat.threads)

    # Reconnecting

    def test_missed_messages(self) -> None:
        """After a lost connection what was missed is printed, replies included, in order and once."""
        self.chat.messages = [entry(1, "thread", reply_count=1), entry(2, "old reply", parent_id=1)]
        self.tail(options("tail", "general"))
        self.chat.post(entry(5, "seen"))
        self.here.printed()
        self.chat.messages += [
            entry(6, "missed reply", parent_id=1),
            entry(7, "missed thread", reply_count=1),
            entry(8, "missed reply to it", parent_id=7),
        ]
        self.here.restart_server()
        self.assertEqual(
            self.here.printed(),
            [
                '00:06 ~bob (to "thread"): missed reply',
                "00:07 ~bob: missed thread",
                '00:08 ~bob (to "missed thread"): missed reply to it',
            ],
        )
        self.assertEqual(len(self.here.told()), 2)
        self.assertEqual(self.chat.threads, {1, 5, 7})

    def test_messages_while_catching_up(self) -> None:
        """What is posted during the catching up comes after what was missed."""
        self.tail(options("tail", "general"))
        self.chat.post(entry(5, "seen"))
        self.here.printed()
        late = entry(9, "during")
        answer = self.chat.endpoint.answer

        def busy(message: Message) -> list[Message]:
            if isinstance(message, wire.SubscribeChannel):
                self.chat.messages += [entry(6, "missed"), late]
                return [*answer(message), news(late)]
            return answer(message)

        self.chat.endpoint.answer = busy
        self.here.restart_server()
        self.assertEqual(self.here.printed(), ["00:06 ~bob: missed", "00:09 ~bob: during"])

    def test_too_many_missed(self) -> None:
        """Catching up is bounded, and says so."""
        self.tail(options("tail", "general"))
        self.chat.messages = [entry(number, "x", channel_id=1) for number in range(1, 1500)]
        self.here.restart_server()
        self.assertEqual(len(self.here.printed()), 1000)
        self.assertIn("more messages were missed", " ".join(self.here.told()))

    def test_says_why(self) -> None:
        """The reason a server gives for leaving is told, and when the next attempt is."""
        self.tail(options("tail", "general"))
        self.chat.say(wire.Disconnect(reason="Server shutting down for maintenance"))
        [line] = self.here.told()
        self.assertRegex(line, r"connection lost: Server shutting down for maintenance; trying again in [12] s")
        self.here.clock.advance(3)
        self.assertEqual(self.here.told(), ["* connected again"])

    def test_no_reconnect(self) -> None:
        """With --no-reconnect a lost connection ends it."""
        running = self.tail(options("tail", "general", reconnect=False))
        self.chat.say(wire.Disconnect(reason="bye"))
        self.assertEqual(self.failureResultOf(running, ConnectionClosed).value.reason, "bye")

    def test_nickname_taken_meanwhile(self) -> None:
        """A nickname that is refused after a reconnection is told of; reading goes on without."""
        self.tail(options("tail", "general", nickname="alice"))
        self.chat.names_taken = {"alice"}
        self.here.restart_server()
        self.assertIn("* the nickname alice was refused: taken", self.here.told())
        self.chat.post(entry(5, "hello"))
        self.assertEqual(self.here.printed(), ["00:05 ~bob: hello"])

    def test_threads_that_are_gone(self) -> None:
        """Threads deleted meanwhile are given up without a word."""
        self.chat.messages = [entry(1, "x"), entry(2, "y")]
        self.tail(options("tail", "general"))
        self.chat.refusals = {
            wire.SubscribeThread: wire.Error(error_code=4003, message="Thread does not exist")
        }
        self.here.restart_server()
        self.here.told()
        self.here.restart_server()
        self.assertEqual(self.chat.heard(wire.SubscribeThread), [])
        self.assertEqual(len(self.here.told()), 2)

    def test_thread_limit_at_the_start(self) -> None:
        """A thread that cannot be subscribed to is not counted as followed."""
        self.chat.messages = [entry(1, "x")]
        self.chat.refusals = {
            wire.SubscribeThread: wire.Error(error_code=5004, message="Thread subscription limit exceeded")
        }
        self.tail(options("tail", "general"))
        self.chat.refusals = {}
        self.here.restart_server()
        self.assertEqual(self.chat.heard(wire.SubscribeThread), [])

    # Channels that go away

    def test_deleted_channel(self) -> None:
        """A deleted channel is told of; the last one ends it (decisions 4.13)."""
        running = self.tail(options("tail", "general", "lobby"))
        self.chat.say(wire.ChannelDeleted(success=True, channel_id=1, message=""))
        self.assertEqual(self.here.told(), ["* #general: the channel was deleted"])
        self.assertNoResult(running)
        self.chat.say(wire.ChannelDeleted(success=True, channel_id=2, message=""))
        self.here.clock.advance(0)
        error = self.failureResultOf(running, Declined).value
        self.assertEqual(str(error), "#lobby: the channel was deleted")

    def test_deleted_while_away(self) -> None:
        """It is noticed too when it happened while there was no connection."""
        running = self.tail(options("tail", "general"))
        self.chat.refusals = {wire.SubscribeChannel: wire.Error(error_code=4001, message="Channel not found")}
        self.here.restart_server()
        self.here.clock.advance(0)
        self.failureResultOf(running, Declined)
