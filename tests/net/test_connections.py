"""Tests for `superchat.net.connections`: who is connected, and who has fallen silent."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.counters import CloseCause
from superchat.net.connections import AHEAD_SECONDS, Connections

TIMEOUT = 120.0


class Line:
    """A connection that notes when it was ended."""

    def __init__(self, clock: Clock, connections: Connections, timeout: float = TIMEOUT) -> None:
        self._clock = clock
        self._connections = connections
        self._timeout = timeout
        self.idle_at = clock.seconds() + timeout
        self.ended: list[float] = []
        connections.add(self)

    def speak(self) -> None:
        self.idle_at = self._clock.seconds() + self._timeout

    def leave(self) -> None:
        self.idle_at = inf
        self._connections.discard(self)

    def time_out(self) -> None:
        if self.idle_at < inf:
            self.ended.append(self._clock.seconds())
            self.idle_at = inf

    def retire(self, reason: str, cause: CloseCause) -> None:
        """Nobody asks for it here."""

    def abort(self) -> None:
        """Neither for this."""


class Faulty(Line):
    """One that cannot be ended."""

    def time_out(self) -> None:
        super().time_out()
        raise RuntimeError("no")


class ConnectionsTests(SynchronousTestCase):
    """One timer for all of them (decisions 1.6)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.connections = Connections(self.clock)

    def line(self, timeout: float = TIMEOUT) -> Line:
        return Line(self.clock, self.connections, timeout)

    def run_until(self, time: float) -> None:
        """Let time pass as a reactor does: from one call to the next."""
        while (calls := self.clock.getDelayedCalls()) and min(call.getTime() for call in calls) <= time:
            self.clock.advance(max(0.0, min(call.getTime() for call in calls) - self.clock.seconds()))
        self.clock.advance(time - self.clock.seconds())

    def test_exactly(self) -> None:
        """Each is ended when its own time is over, however close to the next one's."""
        lines = []
        for _ in range(5):
            lines.append(self.line())
            self.clock.advance(0.3)
        self.run_until(TIMEOUT + 10)
        for number, line in enumerate(lines):
            self.assertAlmostEqual(line.ended[0], TIMEOUT + 0.3 * number)

    def test_who_speaks_stays(self) -> None:
        """A connection's time begins anew with whatever is heard of it, up to the last moment."""
        line = self.line()
        others = [self.line() for _ in range(3)]
        self.run_until(TIMEOUT - AHEAD_SECONDS / 2)
        line.speak()
        self.run_until(2 * TIMEOUT - AHEAD_SECONDS / 2 - 0.01)
        self.assertEqual((line.ended, [other.ended for other in others]), ([], [[TIMEOUT]] * 3))
        self.run_until(3 * TIMEOUT)
        self.assertEqual(line.ended, [2 * TIMEOUT - AHEAD_SECONDS / 2])

    def test_shorter_time(self) -> None:
        """A connection with less time than those before it, as after a reload, has exactly that (decisions 9.5)."""
        long, short = self.line(), self.line(AHEAD_SECONDS)
        self.run_until(TIMEOUT)
        self.assertEqual((long.ended, short.ended), ([TIMEOUT], [AHEAD_SECONDS]))

    def test_for_ever(self) -> None:
        """Who may be silent for ever costs no timer."""
        line = self.line(inf)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(1e9)
        self.assertEqual(line.ended, [])

    def test_one_timer(self) -> None:
        """However many there are, one call waits in the reactor; none when they are gone."""
        lines = [self.line() for _ in range(100)]
        for _ in range(10):
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            self.clock.advance(25)
            for line in lines:
                line.speak()
        for line in lines:
            line.leave()
        self.assertEqual((self.clock.getDelayedCalls(), len(self.connections)), ([], 0))

    def test_one_that_cannot_be_ended(self) -> None:
        """It is told of in the log, and the others have their times."""
        Faulty(self.clock, self.connections)
        self.clock.advance(0.1)
        line = self.line()
        self.run_until(TIMEOUT + 1)
        self.assertEqual(line.ended, [TIMEOUT + 0.1])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_gone(self) -> None:
        """Whoever waits for the last one hears of it when it is gone, at once when there is none."""
        self.successResultOf(self.connections.gone())
        lines = [self.line(), self.line()]
        gone = self.connections.gone()
        lines[0].leave()
        self.assertNoResult(gone)
        lines[1].leave()
        self.successResultOf(gone)

    @given(acts=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3), st.booleans()), max_size=60))
    def test_whatever_they_do(self, acts: list[tuple[int, float, bool]]) -> None:
        """Nobody is ended before it has been silent for its time, nor later than that."""
        self.setUp()
        lines = [self.line(1 + number) for number in range(6)]
        for number, pause, leaves in acts:
            self.run_until(self.clock.seconds() + pause)
            line = lines[number]
            expected = [] if line.idle_at == inf else [line.idle_at]
            if expected and leaves and pause > 2:
                line.leave()
            elif expected:
                line.speak()
            else:
                lines[number] = self.line(1 + number)
        due = {line: line.idle_at for line in lines if line.idle_at < inf}
        self.run_until(self.clock.seconds() + 20)
        for line, time in due.items():
            self.assertAlmostEqual(line.ended[0], time, places=6)
