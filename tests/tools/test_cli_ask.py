"""Questions that take more than one message."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.client import ConnectionClosed, connect_endpoint
from superchat.tools.cli_ask import Declined, Questions, indented
from superchat.wire import messages as wire
from tests.tools.chat_in_memory import ChatInMemory, channel, entry

T = TypeVar("T")


class IndentedTests(SynchronousTestCase):
    """Threads read like conversations."""

    def test_depth_first(self) -> None:
        """Replies stand below what they answer, siblings by age, whatever order they came in."""
        replies = [entry(5, "b1", parent_id=3), entry(4, "a1", parent_id=2), entry(2, "a", parent_id=1)]
        replies += [entry(3, "b", parent_id=1), entry(6, "a11", parent_id=4)]
        order = [(each.message_id, depth) for each, depth in indented(1, replies)]
        self.assertEqual(order, [(2, 1), (4, 2), (6, 3), (3, 1), (5, 2)])

    def test_missing_parent(self) -> None:
        """A reply whose parent is not here stands below the root."""
        self.assertEqual([depth for _, depth in indented(1, [entry(9, "x", parent_id=8)])], [1])

    def test_hostile_parents(self) -> None:
        """Replies that claim to answer themselves or each other are shown all the same, once."""
        replies = [entry(2, "x", parent_id=2), entry(3, "y", parent_id=4), entry(4, "z", parent_id=3)]
        self.assertEqual([each.message_id for each, _ in indented(1, replies)], [2, 3, 4])

    def test_deep(self) -> None:
        """Depth is no reason to fail."""
        replies = [entry(number, "x", parent_id=number - 1) for number in range(2, 5000)]
        self.assertEqual(list(indented(1, replies))[-1][1], 4998)


class QuestionsTests(SynchronousTestCase):
    """Asking a server."""

    def setUp(self) -> None:
        self.chat = ChatInMemory()
        clock = Clock()
        client = self.successResultOf(connect_endpoint(self.chat.endpoint, clock))
        self.questions = Questions(client, 5.0)

    def answer(self, question: Coroutine[Deferred[Any], Any, T]) -> T:
        return self.successResultOf(Deferred.fromCoroutine(question))

    def decline(self, question: Coroutine[Deferred[Any], Any, Any]) -> str:
        return str(self.failureResultOf(Deferred.fromCoroutine(question), Declined).value)

    def test_channel_names(self) -> None:
        """Channels go by name in any case, with or without #, by parent/name and by id."""
        for name in ("general", "GENERAL", "#general", "1"):
            self.assertEqual(self.answer(self.questions.channel(name)).channel_id, 1, name)
        for name in ("general/web", "#General/Web", "3"):
            self.assertEqual(self.answer(self.questions.channel(name)).label, "general/web", name)

    def test_unknown_channels(self) -> None:
        """Unknown names are refused; unknown ids are left to the server, which shows not all it has."""
        self.assertEqual(self.decline(self.questions.channel("nowhere")), "there is no channel nowhere")
        self.assertEqual(self.decline(self.questions.channel("general/x")), "there is no channel general/x")
        self.assertEqual(self.answer(self.questions.channel("99")).label, "99")

    def test_name_of_digits(self) -> None:
        """# marks a name even if it looks like an id."""
        self.chat.channels.append(channel(50, "2"))
        self.assertEqual(self.answer(self.questions.channel("#2")).channel_id, 50)
        self.assertEqual(self.answer(self.questions.channel("2")).channel_id, 2)

    def test_channels(self) -> None:
        """Subchannels stand behind their parents."""
        labels = [each.label for each in self.answer(self.questions.channels())]
        self.assertEqual(labels, ["general", "general/web", "lobby"])

    def test_many_channels(self) -> None:
        """Long lists come in pages."""
        self.chat.channels = [channel(number, f"channel-{number}") for number in range(1, 1001)]
        self.assertEqual(len(self.answer(self.questions.channels())), 1000)
        self.assertEqual([each.from_channel_id for each in self.chat.heard(wire.ListChannels)], [0, 1000])

    def test_newest(self) -> None:
        """Any number of messages can be had, newest first, in pages the server allows (decisions 4.3)."""
        self.chat.messages = [entry(number, "x") for number in range(1, 500)]
        found = self.answer(self.questions.newest(1, 450))
        self.assertEqual([each.message_id for each in found], list(range(499, 49, -1)))
        self.assertEqual([each.limit for each in self.chat.heard(wire.ListMessages)], [200, 200, 50])

    def test_fewer_than_asked_for(self) -> None:
        """The end of the messages is noticed."""
        self.chat.messages = [entry(number, "x") for number in range(1, 4)]
        self.assertEqual(len(self.answer(self.questions.newest(1, 50))), 3)
        self.assertEqual(len(self.answer(self.questions.newest(1, 50, before_id=2))), 1)

    def test_since(self) -> None:
        """What is newer comes oldest first, up to a limit."""
        self.chat.messages = [entry(number, "x") for number in range(1, 500)]
        found = self.answer(self.questions.since(1, 10, 300))
        self.assertEqual([each.message_id for each in found], list(range(11, 311)))

    def test_thread(self) -> None:
        """A thread is found by its id alone, with or without replies."""
        self.chat.messages = [
            entry(1, "root"),
            entry(2, "lonely", channel_id=3),
            entry(3, "reply", parent_id=1),
        ]
        root, replies = self.answer(self.questions.thread(1, 50))
        self.assertEqual((root, replies), (self.chat.messages[0], [self.chat.messages[2]]))
        root, replies = self.answer(self.questions.thread(2, 50))
        self.assertEqual((root, replies), (self.chat.messages[1], []))
        self.assertEqual(self.decline(self.questions.thread(77, 50)), "there is no thread 77")

    def test_below_a_reply(self) -> None:
        """What stands below a reply can be read too, though the reply itself cannot be asked for."""
        self.chat.messages = [entry(1, "root"), entry(2, "a", parent_id=1), entry(3, "b", parent_id=2)]
        root, replies = self.answer(self.questions.thread(2, 50))
        self.assertIsNone(root)
        self.assertEqual([each.message_id for each in replies], [3])

    def test_all_at_once(self) -> None:
        """Refusals among many requests leave the others' replies in their places; a lost connection does not."""
        self.chat.refusals = {wire.GetSubchannels: wire.Error(error_code=4001, message="no")}
        asked = [wire.ListUsers(limit=0), wire.GetSubchannels(channel_id=9), wire.ListUsers(limit=0)]
        replies = self.answer(self.questions.ask_all(asked))
        self.assertEqual([type(each) for each in replies], [wire.UserList, type(None), wire.UserList])
        self.chat.endpoint.server.drop()
        failed = Deferred.fromCoroutine(self.questions.ask_all(asked))
        self.failureResultOf(failed, ConnectionClosed)
