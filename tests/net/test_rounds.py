"""Tests for `superchat.net.rounds`: nobody waits for ever, and nobody for long."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.net.rounds import SLICE_SECONDS, Rounds


class Turning(Clock):
    """A clock that runs in turns, as a reactor does: what is added in one is for the next."""

    def turn(self) -> None:
        """Run what is due."""
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        for call in due:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class RoundsTests(SynchronousTestCase):
    """Steps that take a known time on a clock that only they move."""

    def setUp(self) -> None:
        self.clock = Turning()
        self.rounds = Rounds(self.clock)
        self.done: list[str] = []

    def add(self, name: str, steps: int, seconds: float = 0.0) -> None:
        """Add a step that takes so long, and adds the next one."""

        def step() -> None:
            self.done.append(name)
            self.clock.rightNow += seconds
            if steps > 1:
                self.add(name, steps - 1, seconds)

        self.rounds.add(step)

    def turn(self) -> str:
        """Let the reactor turn once; what was done in that turn."""
        self.done.clear()
        self.clock.turn()
        return "".join(self.done)

    def test_later(self) -> None:
        """Nothing is done before the next turn of the reactor, and nothing stays behind."""
        self.add("a", 1)
        self.assertEqual(self.done, [])
        self.assertEqual(self.turn(), "a")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_after_the_other(self) -> None:
        """Who has much to do takes a step, and lets everybody else take one before the next."""
        for name in "abc":
            self.add(name, 2)
        self.assertEqual([self.turn(), self.turn(), self.turn()], ["abc", "abc", ""])

    def test_slices(self) -> None:
        """A turn ends with the step that fills the slice, and the next one goes on with whoever is next."""
        for name in "abc":
            self.add(name, 3, 0.6 * SLICE_SECONDS)
        self.assertEqual([self.turn() for _ in range(5)], ["ab", "ca", "bc", "ab", "c"])

    def test_newcomers(self) -> None:
        """Two who never come to an end do not keep a third one waiting for ever."""
        for name in "ab":
            self.add(name, 1000, SLICE_SECONDS)
        self.turn()
        self.add("c", 1)
        self.assertEqual([self.turn(), self.turn(), self.turn()], ["b", "a", "cb"])

    def test_giving_way(self) -> None:
        """As long as there is more to do, others get a chance at the end of each turn, and at no other time."""
        self.rounds = Rounds(self.clock, lambda: self.done.append("."))
        for name in "abc":
            self.add(name, 2, 0.6 * SLICE_SECONDS)
        self.assertEqual([self.turn() for _ in range(4)], ["ab.", "ca.", "bc", ""])
