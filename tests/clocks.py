"""Dates for tests, in which only the test lets time pass."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from superchat.clocks import NowMs


def now_ms_of(clock: IReactorTime) -> NowMs:
    """Dates that go with *clock*, as if nobody ever set it."""
    return lambda: int(clock.seconds() * 1000)
