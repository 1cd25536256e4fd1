"""Tests for `superchat.clocks`: what happens later does so whatever becomes of the wall clock."""

from __future__ import annotations

import time

from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.clocks import steady, wall_ms, wall_seconds


class TimedReactor(ReactorBase):
    """Twisted's reactor as far as it keeps time, by a wall clock that a test may set."""

    def __init__(self, wall: Clock) -> None:
        self.wall = wall
        super().__init__()

    def seconds(self) -> float:
        return self.wall.seconds()

    def installWaker(self) -> None:
        """Nothing ever sleeps here."""


class SteadyTests(SynchronousTestCase):
    """A reactor that goes by the monotonic clock."""

    def setUp(self) -> None:
        self.wall, self.monotonic = Clock(), Clock()
        self.wall.advance(1_800_000_000)
        self.monotonic.advance(777)
        self.patch(time, "monotonic", self.monotonic.seconds)
        self.reactor = TimedReactor(self.wall)
        self.called: list[str] = []

    def later(self, seconds: float, name: str) -> None:
        """Have something called."""
        self.reactor.callLater(seconds, self.called.append, name)

    def pass_time(self, seconds: float) -> list[str]:
        """What is called while time passes."""
        for clock in (self.wall, self.monotonic):
            clock.advance(seconds)
        self.called.clear()
        self.reactor.runUntilCurrent()
        return [*self.called]

    def test_set_back(self) -> None:
        """What is to happen at the end of the turn, or in a minute, does so though the clock is set back an hour."""
        steady(self.reactor)
        self.later(0, "at once")
        self.later(60, "in a minute")
        self.wall.rightNow -= 3600
        self.assertEqual(self.pass_time(0), ["at once"])
        self.assertEqual(self.reactor.timeout(), 60)
        self.assertEqual(self.pass_time(60), ["in a minute"])

    def test_set_ahead(self) -> None:
        """No time-out comes early because the clock is set ahead."""
        steady(self.reactor)
        self.later(60, "in a minute")
        self.wall.rightNow += 3600
        self.assertEqual(self.pass_time(59), [])
        self.assertEqual(self.pass_time(1), ["in a minute"])

    def test_scheduled_before(self) -> None:
        """What was scheduled before comes when it would have come, also when it is put off later."""
        self.later(5, "soon")
        put_off = self.reactor.callLater(5, self.called.append, "put off")
        self.reactor.runUntilCurrent()
        self.later(6, "a little later")
        steady(self.reactor)
        put_off.reset(8)
        self.assertEqual(self.pass_time(4), [])
        self.assertEqual(self.pass_time(1), ["soon"])
        self.assertEqual(self.pass_time(1), ["a little later"])
        self.assertEqual(self.pass_time(2), ["put off"])

    def test_twice(self) -> None:
        """It may be said again."""
        steady(self.reactor)
        self.later(5, "soon")
        steady(self.reactor)
        self.assertEqual(self.pass_time(4), [])
        self.assertEqual(self.pass_time(1), ["soon"])


class WallTests(SynchronousTestCase):
    """The date."""

    def test_units(self) -> None:
        """It is the machine's, in seconds and in whole milliseconds."""
        before = int(wall_seconds() * 1000) - 1
        now = wall_ms()
        self.assertLessEqual(before, now)
        self.assertLessEqual(now, wall_seconds() * 1000)
        self.assertIsInstance(now, int)
