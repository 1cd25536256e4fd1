"""How many messages were delivered where: exact sums, and series of their own for the busiest places only."""

from __future__ import annotations

from heapq import nlargest
from operator import attrgetter
from typing import Final

import attrs

CONTENDERS: Final = 400
"""How many places are watched closely, so that some are left when places die."""

_by_total = attrgetter("total")


@attrs.define(eq=False)
class Flow:
    """Deliveries at one live place: a channel, or a thread of a channel."""

    channel_id: int
    thread_id: int | None
    total: int = 0
    """Since the place has listeners."""
    hidden: int = 0
    """That part of *total* that has been reported under `other`, and stays there."""

    @property
    def shown(self) -> int:
        """That part of *total* that is reported under the name of the place."""
        return self.total - self.hidden


class Deliveries:
    """Deliveries by live place, for one kind of places (decisions 9.4).

    - `total` is exact, and the sum of what `busiest` and `other` report.
    - What is reported for a place, or under `other`, MUST NOT shrink while it is reported: Prometheus would take
      that for a restart. So what was once counted under `other` stays there, and a place that becomes one of the
      busiest begins with what it got since. What a place had when it dies, or falls back, moves to `other`.

    As long as there are no more places than series, each place shows everything since it is live.
    """

    def __init__(self) -> None:
        self.total = 0
        self._flows: dict[int, Flow] = {}
        self._contenders: dict[int, Flow] = {}
        self._entry_total = 0

    def add(self, place_id: int, channel_id: int, thread_id: int | None, number: int) -> None:
        """Count *number* deliveries of one broadcast at a live place."""
        if not number:
            return
        self.total += number
        flow = self._flows.get(place_id)
        if flow is None:
            flow = self._flows[place_id] = Flow(channel_id, thread_id)
        flow.total += number
        if place_id not in self._contenders:
            self._consider(place_id, flow, number)

    def forget(self, place_id: int) -> None:
        """A place has lost its last listener: what it had is reported under `other` from now on."""
        self._flows.pop(place_id, None)
        self._contenders.pop(place_id, None)

    def busiest(self, number: int) -> list[Flow]:
        """The *number* places with most deliveries, in series of their own; the rest is ``total`` less these."""
        top = nlargest(number, self._contenders.values(), key=_by_total)
        for flow in {*self._contenders.values()}.difference(top):
            flow.hidden = flow.total
        return top

    def _consider(self, place_id: int, flow: Flow, number: int) -> None:
        """Watch a place closely if it got more than those that were given up for busier ones."""
        if flow.total <= self._entry_total and len(self._contenders) >= CONTENDERS:
            return
        flow.hidden = flow.total - number
        self._contenders[place_id] = flow
        if len(self._contenders) >= 2 * CONTENDERS:
            best = nlargest(CONTENDERS, self._contenders.items(), key=lambda item: item[1].total)
            self._contenders = dict(best)
            self._entry_total = best[-1][1].total
