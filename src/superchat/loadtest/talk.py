"""What the coordinator and the processes of the load say to each other."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from superchat.loadtest.measurements import Measurements
from superchat.loadtest.posting import Outcome

# To a process


@attrs.frozen
class Start:
    """Put on the load between two moments of the monotonic clock."""

    start_us: int
    end_us: int


@attrs.frozen
class Stop:
    """End the load now."""


@attrs.frozen
class Expect:
    """Everything was posted: wait until it has arrived, at most until then."""

    outcomes: Mapping[int, Outcome]
    deadline_us: int


# From a process


@attrs.frozen
class Report:
    """What was measured since the report before."""

    measured: Measurements
    cpu_seconds: float
    """CPU used by this process so far."""
    waited_seconds: float
    """How long it was ready to run so far and had no core."""
    is_idle: bool
    """Whether there is nothing left to do before the end."""


@attrs.frozen
class Ready:
    """Its clients are connected, which took from one moment to another, but for those that failed, by reason."""

    begin_us: int
    end_us: int
    failures: Mapping[str, int]


@attrs.frozen
class Posted:
    """The load has ended, and every post has its answer or will get none."""

    outcomes: Mapping[int, Outcome]


@attrs.frozen
class Finished:
    """Nothing more will come."""


@attrs.frozen
class Crashed:
    """The process has failed, by a mistake of ours."""

    traceback: str
