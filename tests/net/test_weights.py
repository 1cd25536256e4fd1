"""Tests for `superchat.net.weights`: what dear frames are worth."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.net.weights import weight
from superchat.wire.messages import GetUnreadCounts, ListMessages, Ping, UnreadTarget


class WeightTests(SynchronousTestCase):
    """How many frames more than one they are."""

    def test_ordinary(self) -> None:
        """What most clients send most of the time is worth what it is: one frame."""
        self.assertEqual(weight(Ping(timestamp=1), 8), 0)
        self.assertEqual(weight(GetUnreadCounts(targets=(UnreadTarget(channel_id=1),) * 7), 200), 0)

    def test_pages(self) -> None:
        """A page is worth more the longer it may get; no limit is the default, and none is above the maximum."""
        asked = {limit: weight(ListMessages(channel_id=1, limit=limit), 20) for limit in (0, 10, 50, 200, 65_535)}
        self.assertEqual(asked, {0: 3, 10: 0, 50: 3, 200: 12, 65_535: 12})

    def test_unread_counts(self) -> None:
        """Counts are worth more the more places they are asked for."""
        self.assertEqual(weight(GetUnreadCounts(targets=(UnreadTarget(channel_id=1),) * 500), 9_000), 15)

    def test_payload(self) -> None:
        """A payload counts by what it is once it is decompressed, whatever is in it."""
        self.assertEqual(weight(Ping(timestamp=1), 1 << 20), 64)
