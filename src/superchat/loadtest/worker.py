"""One process of load: it connects its share of clients, puts the load on, and checks what arrived."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Final

from superchat.loadtest import talk
from superchat.loadtest.arriving import Arrival
from superchat.loadtest.checker import Checker
from superchat.loadtest.limits import raise_descriptor_limit
from superchat.loadtest.listening import Churner, SlowReader, Subscriber, Visit
from superchat.loadtest.loop import READ, Loop, now_us
from superchat.loadtest.measurements import Measurements
from superchat.loadtest.peer import Peer, Shared
from superchat.loadtest.plan import Share
from superchat.loadtest.posting import Outcome, Poster
from superchat.loadtest.processes import waited_seconds
from superchat.loadtest.texts import Texts

CONNECTING_AT_ONCE: Final = 64
STORM_BATCH: Final = 50
REPORT_US: Final = 500_000
POLL_US: Final = 20_000
SETTLE_US: Final = 100_000
"""After everything has arrived, so long repetitions are still waited for."""


def work(share: Share, pipe: Pipe, inherited: Sequence[Pipe]) -> None:
    """The whole life of the process; it ends when the coordinator says so or is gone.

    ``inherited`` are the coordinator's ends of pipes, which are none of our business.
    """
    for each in inherited:
        each.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator ends us, and wants our report before
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise_descriptor_limit()
    try:
        Worker(share, pipe).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except Exception:  # noqa: BLE001
        pipe.send(talk.Crashed(traceback.format_exc()))


class Worker:
    """The clients of one process, and what phase they are in."""

    def __init__(self, share: Share, pipe: Pipe) -> None:
        plan = share.plan
        self._share = share
        self._pipe = pipe
        self._loop = Loop()
        texts = Texts(plan.run, plan.options.size_bytes)
        self._shared = Shared(
            plan, self._loop, texts, Checker(texts), Measurements(), self._ready, self._failed
        )
        self._posters = [Poster(self._shared, number) for number in share.posters]
        self._subscribers = [Subscriber(self._shared, number) for number in share.subscribers]
        self._slow = [SlowReader(self._shared, number) for number in share.slow]
        self._churners = [Churner(self._shared, number) for number in share.churners]
        self._arrivals = [Arrival(self._shared, number) for number in share.arrivals]
        first = [*self._subscribers, *self._slow, *(each.visit for each in self._churners), *self._posters]
        self._to_connect: deque[Peer] = deque(first)
        self._connecting: set[Peer] = set()
        self._failures: Counter[str] = Counter()
        self._is_set_up = False
        self._grace_us = int(plan.options.grace_seconds * 1_000_000)
        self._begin_us = self._deadline_us = 0

    def run(self) -> None:
        """Work until everything is done. Raises EOFError if the coordinator is gone."""
        self._loop.watch(self._pipe, READ, self._told)
        self._loop.at(now_us() + REPORT_US, self._report_regularly)
        self._begin_us = now_us()
        self._connect_more()
        self._storm(deque(self._arrivals))
        self._see_whether_set_up()
        self._loop.run()

    # Connecting

    def _connect_more(self) -> None:
        while self._to_connect and len(self._connecting) < CONNECTING_AT_ONCE:
            peer = self._to_connect.popleft()
            self._connecting.add(peer)
            peer.connect(now_us())

    def _storm(self, waiting: deque[Arrival]) -> None:
        """Connect the storm: at its rate, or all at once, in batches between which others are served."""
        if not waiting:
            return
        self._connecting.update(waiting)
        rate = self._share.plan.options.arrival_rate * len(self._arrivals) / max(1, self._share.plan.options.arrivals)
        begin = now_us()
        if rate:
            for number, arrival in enumerate(waiting):
                due = begin + int(number / rate * 1_000_000)
                self._loop.at(due, lambda arrival=arrival, due=due: arrival.connect(due))  # type: ignore[misc]
        else:
            self._batch(waiting, lambda arrival: arrival.connect(now_us()))

    def _batch(self, waiting: deque[Arrival], do: Callable[[Arrival], None]) -> None:
        for _ in range(min(STORM_BATCH, len(waiting))):
            do(waiting.popleft())
        if waiting:
            self._loop.at(now_us(), lambda: self._batch(waiting, do))

    def _ready(self, peer: Peer) -> None:
        if peer in self._connecting:
            self._connecting.discard(peer)
            self._connect_more()
            self._see_whether_set_up()
        elif isinstance(peer, Visit):
            self._churner_of(peer).arrived(peer)

    def _failed(self, peer: Peer, reason: str) -> None:
        self._shared.measured.error(f"not connected: {reason}")
        self._shared.measured.fault("disconnected", int(self._is_set_up or isinstance(peer, Arrival)))
        if peer in self._connecting:
            if not isinstance(peer, Arrival):
                self._failures[reason] += 1
            self._connecting.discard(peer)
            self._connect_more()
            self._see_whether_set_up()
        elif isinstance(peer, Visit):
            self._churner_of(peer).missed()

    def _churner_of(self, visit: Visit) -> Churner:
        return next(each for each in self._churners if each.visit is visit)

    def _see_whether_set_up(self) -> None:
        if not self._is_set_up and not self._connecting and not self._to_connect:
            self._is_set_up = True
            self._report()
            self._pipe.send(talk.Ready(self._begin_us, now_us(), dict(self._failures)))

    # What the coordinator says

    def _told(self, events: int) -> None:
        match self._pipe.recv():
            case talk.Start(start_us, end_us):
                self._start(start_us, end_us)
            case talk.Stop():
                self._end_load()
            case talk.Expect(outcomes, deadline_us):
                self._expect(outcomes, deadline_us)

    def _start(self, start_us: int, end_us: int) -> None:
        for poster in self._posters:
            poster.start(start_us, end_us)
        for churner in self._churners:
            churner.start(start_us)
        for slow in self._slow:
            slow.start()
        arrivals = deque(self._arrivals)
        self._loop.at(start_us, lambda: self._batch(arrivals, Arrival.start))
        self._loop.at(start_us, self._await_idleness)
        self._loop.at(end_us, self._end_load)

    @property
    def _is_idle(self) -> bool:
        """Whether nothing can happen any more: a storm is over, and of the others nobody is connected."""
        others: Sequence[Peer] = (*self._posters, *self._subscribers, *self._slow)
        return (
            not self._churners
            and all(each.is_closed for each in others)
            and all(each.is_done for each in self._arrivals)
        )

    def _await_idleness(self) -> None:
        if self._is_idle:
            self._report()
        elif not self._deadline_us:
            self._loop.at(now_us() + POLL_US, self._await_idleness)

    def _end_load(self) -> None:
        if self._deadline_us:
            return
        self._deadline_us = now_us() + self._grace_us
        for poster in self._posters:
            poster.stop()
        for churner in self._churners:
            churner.stop()
        self._await_answers()

    def _await_answers(self) -> None:
        is_done = all(each.is_done for each in self._posters) and all(each.is_done for each in self._arrivals)
        if not is_done and now_us() < self._deadline_us:
            self._loop.at(now_us() + POLL_US, self._await_answers)
            return
        for arrival in self._arrivals:
            arrival.finish()
        outcomes = {each.number: each.finish() for each in self._posters}
        self._report()
        self._pipe.send(talk.Posted(outcomes))

    # The check of completeness

    def _expect(self, outcomes: Mapping[int, Outcome], deadline_us: int) -> None:
        for slow in self._slow:
            slow.hurry()
        left: list[Subscriber] = [*self._slow, *self._subscribers]
        self._await_deliveries(left, outcomes, deadline_us)

    def _await_deliveries(
        self, left: list[Subscriber], outcomes: Mapping[int, Outcome], deadline_us: int
    ) -> None:
        """``left`` are those who may still lack something; who once has everything is not looked at again."""
        while left and (left[-1].is_closed or not left[-1].lacks(outcomes)):
            left.pop()
        if left and now_us() < deadline_us:
            self._loop.at(now_us() + POLL_US, lambda: self._await_deliveries(left, outcomes, deadline_us))
        else:
            self._loop.at(now_us() + SETTLE_US, lambda: self._finish(outcomes))

    def _finish(self, outcomes: Mapping[int, Outcome]) -> None:
        measured = self._shared.measured
        for subscriber in self._subscribers:
            lacking = subscriber.lacks(outcomes)
            poster = min(lacking, default=0)
            example = f"lost: subscriber {subscriber.number} lacks {lacking.get(poster)} of poster {poster}"
            measured.fault("lost", sum(lacking.values()), [example] if lacking else [])
        measured.fault("lost", sum(each.lacks(outcomes) for each in self._churners))
        measured.fault("unasked", sum(each.unasked() for each in (*self._subscribers, *self._slow)))
        for peer in (*self._subscribers, *self._slow, *self._posters, *self._arrivals):
            peer.leave()
        self._report()
        self._pipe.send(talk.Finished())
        self._loop.stop()

    # Reporting

    def _report_regularly(self) -> None:
        self._report()
        self._loop.at(now_us() + REPORT_US, self._report_regularly)

    def _report(self) -> None:
        measured, self._shared.measured = self._shared.measured, Measurements()
        is_idle = self._is_set_up and self._is_idle
        waited = waited_seconds(os.getpid()) or 0.0
        self._pipe.send(talk.Report(measured, time.process_time(), waited, is_idle))
