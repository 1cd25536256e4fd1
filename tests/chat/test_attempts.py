"""Tests for `superchat.chat.attempts`: how often somebody may try."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.attempts import Attempts


class AttemptsTests(SynchronousTestCase):
    """Times are seconds, given by the tests."""

    def test_per_minute(self) -> None:
        """That many at once, and then one for each part of a minute (decisions 2.6)."""
        attempts = Attempts(10)
        self.assertEqual([attempts.take("a", 0.0) for _ in range(12)], [True] * 10 + [False] * 2)
        self.assertFalse(attempts.take("a", 5.0))
        self.assertTrue(attempts.take("a", 6.0))
        self.assertFalse(attempts.take("a", 6.0))

    def test_each_its_own(self) -> None:
        """Nobody's attempts count for others."""
        attempts = Attempts(1)
        self.assertEqual([attempts.take(key, 0.0) for key in ("a", "b", 1, "a")], [True, True, True, False])

    def test_steady(self) -> None:
        """Who keeps trying is allowed no more than the rate, however long ago they began."""
        attempts = Attempts(10)
        allowed = sum(attempts.take("a", second / 2) for second in range(2 * 600))
        self.assertLessEqual(allowed, 10 + 100)
        self.assertGreaterEqual(allowed, 100)

    def test_unlimited(self) -> None:
        """0 means unlimited, and nothing is kept."""
        attempts = Attempts(0)
        self.assertTrue(all(attempts.take("a", 0.0) for _ in range(1000)))
        self.assertEqual(len(attempts), 0)

    def test_forgotten(self) -> None:
        """Who has not tried for a minute is forgotten."""
        attempts = Attempts(10)
        for key in range(100):
            attempts.take(key, 0.0)
        attempts.take("late", 59.0)
        self.assertEqual(len(attempts), 101)
        attempts.take("later", 60.0)
        self.assertEqual(len(attempts), 2)

    def test_bounded(self) -> None:
        """A crowd of strangers is remembered as far as there is room, those who tried last for longest."""
        attempts = Attempts(1, most_keys=100)
        for key in range(1000):
            attempts.take(key, 0.0)
        self.assertLessEqual(len(attempts), 100)
        self.assertFalse(attempts.take(999, 0.0))
        self.assertTrue(attempts.take(0, 0.0))

    def test_clock_set_back(self) -> None:
        """A clock that jumps backwards allows nothing more, and fails nobody."""
        attempts = Attempts(1)
        attempts.take("a", 1000.0)
        self.assertFalse(attempts.take("a", 0.0))
        self.assertTrue(attempts.take("b", 0.0))
