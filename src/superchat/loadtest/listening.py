"""Those who listen: subscribers, slow ones, and such that come and go."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Final

from superchat.loadtest.checker import Position
from superchat.loadtest.loop import now_us
from superchat.loadtest.peer import READ_BYTES, Peer, Shared
from superchat.loadtest.plan import ROOT
from superchat.loadtest.posting import Outcome
from superchat.wire import messages as wire

SLOW_BUFFER_BYTES: Final = 4096
SLOW_INTERVAL_US: Final = 250_000
RETRY_US: Final = 1_000_000
HOLED_VISITS_KEPT: Final = 1000


class Subscriber(Peer):
    """Subscribes to its places and checks everything it is sent."""

    counts_deliveries = True

    def __init__(self, shared: Shared, number: int, *, joins_late: bool = False) -> None:
        super().__init__(shared)
        self.number = number
        self.places = shared.plan.places_of_subscriber(number)
        self.position = Position(joined_late=joins_late)
        self._unconfirmed = len(self.places)

    def begin(self) -> None:
        plan = self.shared.plan
        for place in sorted(self.places):
            if place == ROOT:
                self.send(wire.SubscribeChannel(channel_id=plan.channel_id))
            else:
                self.send(wire.SubscribeThread(thread_id=plan.thread_ids[place - 1]))

    def frame(self, code: int, payload: bytes) -> None:
        if code == wire.SubscribeOk.CODE and not self.is_ready:
            self._unconfirmed -= 1
            if not self._unconfirmed:
                self.became_ready()

    def received(self, data: bytes) -> None:
        """The hot path: every byte of every subscriber goes through here."""
        now = now_us()
        step = self.shared.checker.advance(self.position, data)
        self.position = step.after
        measured = self.shared.measured
        if step.due_us and self.counts_deliveries:
            measured.counts["deliveries"] += len(step.due_us)
            measured.latencies["delivery"].add_since(now, step.due_us)
            measured.latest_delivery_us = now
        if step.others:
            measured.counts["other_messages"] += step.others
        if step.faults:
            self._faults(step.faults, step.examples)
        for each in step.frames:
            self.take(each)

    def lacks(self, outcomes: Mapping[int, Outcome]) -> dict[int, int]:
        """For each poster how many of its acknowledged posts did not come; none are left out."""
        lacking = {}
        for poster, outcome in outcomes.items():
            if self.shared.plan.place_of_poster(poster) in self.places:
                number = self.position.lacks(poster, outcome.sent, outcome.failed)
                if number:
                    lacking[poster] = number
        return lacking

    def unasked(self) -> int:
        """How many posts came of posters in other places."""
        place = self.shared.plan.place_of_poster
        return sum(number for poster, number in self.position.following.items() if place(poster) not in self.places)

    def _faults(self, faults: Mapping[str, int], examples: tuple[str, ...]) -> None:
        for kind, times in faults.items():
            self.shared.measured.fault(kind, times)
        self.shared.measured.fault("damaged", 0, [f"{each} (subscriber {self.number})" for each in examples])


class SlowReader(Subscriber):
    """Reads a few bytes now and then; being cut off is no fault, and its deliveries are late by its own doing."""

    counts_deliveries = False

    def prepare(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER_BYTES)

    def start(self) -> None:
        """Become slow."""
        self._is_slow = True
        self.watch_reading(False)
        self._sip()

    def hurry(self) -> None:
        """Read as others do, to see whether the server still is there."""
        self._is_slow = False
        self.watch_reading(True)

    def ended(self, reason: str) -> None:
        self.shared.measured.counts["slow_cut"] += 1
        self.shared.measured.error(f"slow reader disconnected: {reason}")

    def _sip(self) -> None:
        if self.is_closed or not self._is_slow:
            return
        share = self.shared.plan.options.slow_bytes_per_second * SLOW_INTERVAL_US // 1_000_000
        self.read(max(1, min(share, READ_BYTES)))
        self.shared.loop.at(now_us() + SLOW_INTERVAL_US, self._sip)


class Visit(Subscriber):
    """One stay of somebody who comes and goes. What came while it was there must be whole and in order."""

    def __init__(self, shared: Shared, number: int, over: Callable[[Visit], None]) -> None:
        super().__init__(shared, number, joins_late=True)
        self._over = over

    def depart(self) -> None:
        """Leave as planned."""
        if not self.is_closed:
            self.shared.measured.counts["churned"] += 1
            self.leave()
            self._over(self)

    def ended(self, reason: str) -> None:
        super().ended(reason)
        self._over(self)


class Churner:
    """Somebody who comes, stays for a while, goes, and comes again. ``visit`` is where it is at the moment."""

    def __init__(self, shared: Shared, number: int) -> None:
        self._shared = shared
        self._number = number
        self._is_over = False
        self._stay_us = int(shared.plan.options.stay_seconds * 1_000_000)
        self.visit = Visit(shared, number, self._come_again)
        self._holed: list[Position] = []

    def start(self, start_us: int) -> None:
        """Begin to come and go; the first stays are of different lengths, so that not all go at once."""
        turn = (self._number + 1) / self._shared.plan.options.churners
        self._shared.loop.at(start_us + int(self._stay_us * turn), self.visit.depart)

    def stop(self) -> None:
        """Come no more."""
        self._is_over = True
        self.visit.depart()

    def arrived(self, visit: Visit) -> None:
        """A visit after the first one is subscribed."""
        if self._is_over:
            visit.depart()
        else:
            self._shared.loop.at(now_us() + self._stay_us, visit.depart)

    def missed(self) -> None:
        """A visit after the first one came to nothing."""
        self._shared.loop.at(now_us() + RETRY_US, self._come)

    def lacks(self, outcomes: Mapping[int, Outcome]) -> int:
        """How many acknowledged posts did not come although later ones of the same poster did."""
        return sum(
            position.lacks(poster, 0, outcomes[poster].failed)
            for position in self._holed
            for poster in position.missing.keys() & outcomes.keys()
        )

    def _come_again(self, visit: Visit) -> None:
        if visit.position.missing and len(self._holed) < HOLED_VISITS_KEPT:
            self._holed.append(visit.position)
        self._come()

    def _come(self) -> None:
        if not self._is_over:
            self.visit = Visit(self._shared, self._number, self._come_again)
            self.visit.connect(now_us())
