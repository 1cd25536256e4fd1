"""Counting what one has not read."""

from __future__ import annotations

import time

from superchat.client import ServerRefused
from superchat.tools.cli_unread import TARGETS_PER_REQUEST
from superchat.wire import messages as wire
from superchat.wire.messages import UnreadCount, UnreadTarget
from superchat.wire.records import Message
from tests.tools.chat_in_memory import channel
from tests.tools.once import CommandTestCase, account_options


class UnreadTests(CommandTestCase):
    """How many, where."""

    def setUp(self) -> None:
        super().setUp()
        self.server.endpoint.answer = self.answer

    def answer(self, message: Message) -> list[Message]:
        if isinstance(message, wire.GetUnreadCounts):
            counts = [UnreadCount(channel_id=each.channel_id, unread_count=each.channel_id) for each in message.targets]
            return [wire.UnreadCounts(counts=tuple(counts))]
        return self.server.answer(message)

    def test_all(self) -> None:
        """All channels and subchannels are counted, since the account has read there (wire 0x18)."""
        printed = self.do(account_options("unread"))
        self.assertEqual(printed, ["     1  #general", "     3  #general/web", "     2  #lobby"])
        targets = tuple(UnreadTarget(channel_id=each) for each in (1, 3, 2))
        self.assertEqual(self.server.heard(wire.GetUnreadCounts), [wire.GetUnreadCounts(targets=targets)])

    def test_some(self) -> None:
        """Or those that are named."""
        self.assertEqual(self.do(account_options("unread", "lobby")), ["     2  #lobby"])

    def test_since(self) -> None:
        """Since a time anybody can count."""
        self.do(account_options("unread", "lobby", since_ms=1234, credentials=None))
        [asked] = self.server.heard(wire.GetUnreadCounts)
        self.assertEqual(asked.since_timestamp, 1234)
        self.assertEqual(self.server.heard(wire.AuthRequest), [])

    def test_many(self) -> None:
        """More channels than fit a request take several (decisions 4.12)."""
        self.server.channels = [channel(number, f"c{number}") for number in range(1, TARGETS_PER_REQUEST + 2)]
        self.assertEqual(len(self.do(account_options("unread"))), TARGETS_PER_REQUEST + 1)
        sizes = [len(each.targets) for each in self.server.heard(wire.GetUnreadCounts)]
        self.assertEqual(sizes, [TARGETS_PER_REQUEST, 1])

    def test_mark_read(self) -> None:
        """What was counted counts as read from now on, in milliseconds."""
        self.patch(time, "time", lambda: 1000.5)
        self.do(account_options("unread", "lobby", mark_read=True))
        expected = wire.UpdateReadState(channel_id=2, timestamp=1_000_500)
        self.assertEqual(self.server.heard(wire.UpdateReadState), [expected])

    def test_refused_mark(self) -> None:
        """A refusal does not go unnoticed, although the request has no reply."""
        self.server.refusals = {wire.UpdateReadState: wire.Error(error_code=4001, message="Channel not found")}
        failed = self.begin(account_options("unread", "lobby", mark_read=True))
        self.assertEqual(self.failureResultOf(failed, ServerRefused).value.code, 4001)
