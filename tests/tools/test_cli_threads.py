"""Choosing threads to listen to."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.tools.cli_threads import MESSAGES_REMEMBERED, UNLIMITED_THREADS, Threads
from tests.tools.chat_in_memory import entry


class ThreadsTests(SynchronousTestCase):
    """The threads with the latest activity are followed."""

    def setUp(self) -> None:
        self.followed: dict[int, None] = {}
        self.threads = Threads(self.followed)
        self.threads.limit(2)

    def test_room(self) -> None:
        """When there is no room, the thread that was silent for longest gives way."""
        self.assertEqual(self.threads.admit(1, 7), [])
        self.assertEqual(self.threads.admit(2, 7), [])
        self.assertEqual(self.threads.admit(3, 7), [1])
        self.assertEqual(list(self.followed), [2, 3])

    def test_activity(self) -> None:
        """A reply anywhere in a thread makes it the most recent."""
        for root in (1, 2):
            self.threads.admit(root, 7)
            self.threads.note(entry(root, "root"))
        self.threads.note(entry(10, "reply", parent_id=1))
        self.assertEqual(self.threads.note(entry(11, "reply to the reply", parent_id=10)), 1)
        self.assertEqual(self.threads.admit(3, 7), [2])

    def test_again(self) -> None:
        """Following a followed thread costs nothing."""
        self.threads.admit(1, 7)
        self.threads.admit(2, 7)
        self.assertEqual(self.threads.admit(1, 7), [])
        self.assertEqual(list(self.followed), [2, 1])

    def test_smaller_limit(self) -> None:
        """A server that allows less after a restart is respected."""
        self.threads.admit(1, 7)
        self.threads.admit(2, 7)
        self.threads.limit(1)
        self.assertEqual(self.threads.admit(3, 7), [1, 2])

    def test_channel(self) -> None:
        """Where a followed thread is, is known as long as it is followed."""
        self.threads.admit(1, 7)
        self.threads.admit(2, 8)
        self.assertEqual((self.threads.channel_of(1), self.threads.channel_of(2)), (7, 8))
        self.threads.admit(3, 9)
        self.assertIsNone(self.threads.channel_of(1))
        del self.followed[2]
        self.assertIsNone(self.threads.channel_of(2))

    def test_no_limit(self) -> None:
        """A limit of 0 means none; then a bound of one's own holds."""
        self.threads.limit(0)
        self.assertEqual(self.threads.capacity, UNLIMITED_THREADS)

    def test_unknown(self) -> None:
        """A reply to a message from before one's time belongs nowhere known."""
        self.assertIsNone(self.threads.note(entry(10, "reply", parent_id=9)))

    def test_memory_is_bounded(self) -> None:
        """Old knowledge is forgotten."""
        for number in range(MESSAGES_REMEMBERED + 1):
            self.threads.note(entry(number + 1, "x"))
        self.assertIsNone(self.threads.root_of(1))
        self.assertEqual(self.threads.root_of(2), 2)
