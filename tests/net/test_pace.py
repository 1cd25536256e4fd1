"""Tests for `superchat.net.pace`: order, shares of the time, and clocks that jump."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.net.pace import LONGEST_REST_SECONDS, SLICE_SECONDS, Pace


class PaceTests(SynchronousTestCase):
    """Work that takes a known time on a clock that only it moves."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list[tuple[str, float]] = []

    def work(self, name: str, seconds: float) -> Callable[[], None]:
        """Something that takes so long."""

        def run() -> None:
            self.done.append((name, self.clock.seconds()))
            self.clock.rightNow += seconds

        return run

    def test_at_once(self) -> None:
        """Work that takes no time to speak of is done on the spot, and leaves nothing behind."""
        pace = Pace(self.clock, 1)
        for name in "abc":
            pace.add(self.work(name, 0))
        self.assertEqual([name for name, _ in self.done], ["a", "b", "c"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rest(self) -> None:
        """After work comes a rest that is so many times as long; what is added in it waits."""
        pace = Pace(self.clock, 4)
        pace.add(self.work("a", 0.5 * SLICE_SECONDS))
        pace.add(self.work("b", 0))
        self.clock.advance(1.9 * SLICE_SECONDS)
        self.assertEqual(len(self.done), 1)
        self.clock.advance(0.2 * SLICE_SECONDS)
        self.assertEqual([name for name, _ in self.done], ["a", "b"])

    def test_slices(self) -> None:
        """What has piled up is done in order, a slice at a time, with a rest between two."""
        pace = Pace(self.clock, 1)
        pace.add(self.work("first", SLICE_SECONDS))
        for name in "abcd":
            pace.add(self.work(name, 0.6 * SLICE_SECONDS))
        self.clock.pump([0.1 * SLICE_SECONDS] * 100)
        self.assertEqual([name for name, _ in self.done], ["first", *"abcd"])
        started = [when / SLICE_SECONDS for _, when in self.done]
        gaps = [later - earlier for earlier, later in pairwise(started)]
        for gap, expected in zip(gaps, (1 + 1, 0.6, 0.6 + 1.2, 0.6), strict=True):
            self.assertTrue(expected - 0.01 < gap < expected + 0.11, gaps)

    def test_share(self) -> None:
        """However much there is, it gets no more than its share."""
        pace = Pace(self.clock, 4)
        spent = 0.0

        def work() -> None:
            nonlocal spent
            spent += 0.002
            self.clock.rightNow += 0.002
            pace.add(work)

        pace.add(work)
        while self.clock.seconds() < 10:
            self.clock.advance(0.001)
        self.assertLess(spent / self.clock.seconds(), 0.21)
        self.assertGreater(spent / self.clock.seconds(), 0.17)

    def test_added_by_work(self) -> None:
        """Work that brings more work is finished before that begins."""
        pace = Pace(self.clock, 1)

        def outer() -> None:
            pace.add(self.work("inner", 0))
            self.done.append(("outer", 0))

        pace.add(outer)
        self.assertEqual([name for name, _ in self.done], ["outer", "inner"])

    def test_clock_jumps(self) -> None:
        """A clock that is set, forward or back, stops nothing."""
        pace = Pace(self.clock, 4)
        pace.add(self.work("forward", 1e6))
        pace.add(self.work("back", -1e6))
        self.clock.advance(LONGEST_REST_SECONDS)
        self.assertEqual(len(self.done), 2)
        pace.add(self.work("on", 0))
        self.assertEqual(len(self.done), 3)
