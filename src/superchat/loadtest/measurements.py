"""What a run measures: counts, latencies, errors by kind and faults; what several processes measured can be merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from superchat.loadtest.latencies import Latencies

LATENCIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connect": "from the wish to connect to SERVER_CONFIG",
        "nickname": "from SET_NICKNAME to its answer, when many take one at the same moment",
        "lag": "from the moment a post was due until the load generator sent it; with a rate only",
        "ack": "from the moment a post was due until MESSAGE_POSTED",
        "delivery": "from the moment a post was due until a subscriber had it",
    }
)

COUNTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connections": "connections that got SERVER_CONFIG",
        "nicknames": "nicknames taken in the storm",
        "posts_sent": "posts sent",
        "posts_acked": "posts acknowledged",
        "posts_refused": "posts refused by the server",
        "posts_unsent": "posts that were due and could not be sent before the end",
        "deliveries": "posts received, summed over all subscribers but slow ones",
        "other_messages": "messages received that were not of this run",
        "received_bytes": "bytes received",
        "churned": "visits of churning connections that ended as planned",
        "slow_cut": "slow readers that the server disconnected",
    }
)

FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lost": "acknowledged posts that a subscriber never got",
        "repeated": "posts that a subscriber got again",
        "reordered": "posts that a subscriber got behind a later one of the same poster",
        "ids_out_of_order": "messages whose id was not above the one before, in a channel or in a poster's answers",
        "damaged": "posts that arrived with another text",
        "unasked": "posts of a place that the subscriber had not asked for",
        "unanswered": "requests of the load that were never answered",
        "disconnected": "connections that the server ended, slow readers apart",
        "invalid": "connections on which the server sent what is no frame or no such message",
    }
)

KINDS_KEPT: Final = 40
KIND_CHARACTERS: Final = 80
EXAMPLES_KEPT: Final = 12
OTHER: Final = "other"


class Measurements:
    """What was counted, in bounded memory: of errors ``KINDS_KEPT`` kinds, of faults some examples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.examples: list[str] = []
        self.latencies = {name: Latencies() for name in LATENCIES}
        self.latest_delivery_us = 0

    def error(self, kind: str, times: int = 1) -> None:
        """Count an error; a new kind beyond the first ``KINDS_KEPT`` counts as ``OTHER``."""
        kind = "".join(each if each.isprintable() else "?" for each in kind[:KIND_CHARACTERS])
        if kind not in self.errors and len(self.errors) >= KINDS_KEPT:
            kind = OTHER
        self.errors[kind] += times

    def fault(self, kind: str, times: int = 1, examples: Iterable[str] = ()) -> None:
        """Count a fault, one of ``FAULTS``; of the examples the first are kept."""
        self.faults[kind] += times
        self.examples += list(examples)[: EXAMPLES_KEPT - len(self.examples)]

    def merge(self, other: Measurements) -> None:
        """Add what was counted elsewhere."""
        self.counts.update(other.counts)
        self.faults.update(other.faults)
        self.examples += other.examples[: EXAMPLES_KEPT - len(self.examples)]
        for kind, times in other.errors.items():
            self.error(kind, times)
        for name, latencies in other.latencies.items():
            self.latencies[name].merge(latencies)
        self.latest_delivery_us = max(self.latest_delivery_us, other.latest_delivery_us)

    @property
    def is_sound(self) -> bool:
        """Whether there is no fault."""
        return not self.faults.total()
