"""What can be asked of superchat-loadtest, as a value, and what each scenario asks for by itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from superchat.loadtest.expectations import Expectation


@attrs.frozen(kw_only=True)
class Options:
    """One run."""

    scenario: str
    host: str = "localhost"
    port: int = 6465
    channel: str | None = None
    """Name, parent/name or id; None is the first one."""
    duration_seconds: float = 10.0
    grace_seconds: float = 10.0
    timeout_seconds: float = 10.0
    rate: float = 0.0
    """Posts per second of all posters together, as an open loop; 0 saturates."""
    posters: int = 0
    in_flight: int = 0
    """Posts of one poster that may wait for their answer; 0 is unlimited, in an open loop only."""
    size_bytes: int = 140
    subscribers: int = 0
    threads: int = 0
    slow: int = 0
    slow_bytes_per_second: int = 2000
    churners: int = 0
    stay_seconds: float = 1.0
    arrivals: int = 0
    arrival_rate: float = 0.0
    """Connections of the storm per second; 0 is as fast as possible."""
    processes: int = 0
    """0: as many as seem useful."""
    pid: int | None = None
    ignore_limits: bool = False
    json: bool = False
    quiet: bool = False
    expectations: tuple[Expectation, ...] = ()

    @property
    def connections(self) -> int:
        """How many there are at the same time."""
        return self.posters + self.subscribers + self.slow + self.churners + self.arrivals

    @property
    def only_threads(self) -> bool:
        """Whether everything happens in threads, and nothing in the channel itself."""
        return self.scenario == "threads"


@attrs.frozen
class Scenario:
    """A purpose, and the options that serve it where nothing else is said."""

    summary: str
    defaults: Mapping[str, Any]


def _scenario(summary: str, **defaults: Any) -> Scenario:
    return Scenario(summary, MappingProxyType(defaults))


SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "fanout": _scenario("many subscribers, and posters that saturate", subscribers=200, posters=10, in_flight=8),
        "posts": _scenario("posters that saturate, and nobody listens", posters=50, in_flight=8),
        "threads": _scenario(
            "replies in threads, to those subscribed to them",
            threads=20,
            subscribers=200,
            posters=20,
            in_flight=4,
        ),
        "storm": _scenario("everybody connects, then takes a nickname at the same moment", arrivals=500),
        "slow-readers": _scenario(
            "some read so slowly that the server must not wait for them",
            slow=20,
            subscribers=50,
            posters=10,
            rate=400.0,
            size_bytes=2000,
        ),
        "churn": _scenario(
            "some come and go all the time while others listen",
            churners=100,
            subscribers=50,
            posters=5,
            rate=50.0,
        ),
        "mixed": _scenario(
            "all of it: channel and threads, slow readers, coming and going",
            threads=10,
            subscribers=200,
            posters=20,
            slow=5,
            churners=20,
            rate=200.0,
        ),
    }
)
