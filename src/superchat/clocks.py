"""Which clock is asked for what: lengths of time go by one that nobody sets, dates by the wall clock.

The wall clock may be set at any moment, by hand, by the network or by a host that wakes up. So whatever lasts, such as
timeouts, limits and what is measured, goes by the reactor's clock, which `steady` makes the monotonic one; and whatever
is a date, stored, sent or logged, goes by a `NowMs`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

NowMs: TypeAlias = Callable[[], int]
"""The date, in Unix milliseconds. It may be less than it was the last time."""


wall_seconds: Final = time.time
"""The date as the machine has it, in Unix seconds."""


def wall_ms() -> int:
    """The date as the machine has it: the `NowMs` of every process."""
    return time.time_ns() // 1_000_000


def steady(reactor: Any) -> None:
    """Let a reactor's time go on as it did when the wall clock is set.

    Twisted's is the wall clock: set back by an hour, everything that is to happen "later" comes an hour late, also
    what is to happen at the end of the turn. What is scheduled already stays as far away as it is.
    """
    shift = time.monotonic() - reactor.seconds()
    for call in reactor.getDelayedCalls():
        call.delay(shift)
        call.seconds = time.monotonic
    reactor.seconds = time.monotonic
