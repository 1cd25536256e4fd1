"""What a run consists of, and how it is shared among processes."""

from __future__ import annotations

import os
import socket
from typing import Any, Final

import attrs

from superchat.loadtest.options import Options

CONNECTIONS_PER_PROCESS: Final = 1000
THREADS_EACH: Final = 5
"""So many threads a subscriber follows, if there are as many."""
ROOT: Final = 0
"""The place of root messages; thread n is place n + 1."""


@attrs.frozen(kw_only=True)
class Plan:
    """The whole run."""

    options: Options
    family: socket.AddressFamily
    address: Any
    run: bytes
    channel_id: int
    thread_ids: tuple[int, ...] = ()

    def place_of_poster(self, poster: int) -> int:
        """Where a poster posts: every second one in a thread if there are any, in ``threads`` all of them."""
        threads = len(self.thread_ids)
        if not threads:
            return ROOT
        if self.options.only_threads:
            return 1 + poster % threads
        return 1 + poster // 2 % threads if poster % 2 else ROOT

    def places_of_subscriber(self, subscriber: int) -> frozenset[int]:
        """What a subscriber listens to."""
        threads = len(self.thread_ids)
        places = {1 + (subscriber + each) % threads for each in range(min(threads, THREADS_EACH))}
        return frozenset(places if self.options.only_threads else places | {ROOT})

    def thread_of(self, place: int) -> int | None:
        """The id of the thread that a place is; None for the channel."""
        return None if place == ROOT else self.thread_ids[place - 1]


@attrs.frozen(kw_only=True)
class Share:
    """What one process does: the numbers of its clients, by kind."""

    plan: Plan
    posters: tuple[int, ...] = ()
    subscribers: tuple[int, ...] = ()
    slow: tuple[int, ...] = ()
    churners: tuple[int, ...] = ()
    arrivals: tuple[int, ...] = ()

    @property
    def connections(self) -> int:
        """How many there are at the same time."""
        listeners = len(self.subscribers) + len(self.slow) + len(self.churners)
        return len(self.posters) + listeners + len(self.arrivals)


def shares(plan: Plan) -> list[Share]:
    """Share a plan among as many processes as it wants; posters have their own where there are two or more."""
    options = plan.options
    others = options.connections - options.posters
    posting = 1 if options.posters else 0
    listening = min(os.cpu_count() or 1, -(-others // CONNECTIONS_PER_PROCESS)) if others else 0
    if options.processes:
        posting = max(1, options.processes // 4) if options.posters else 0
        listening = options.processes - posting if others else 0
    if not listening and others:
        return [_share(plan, 0, 1, 0, 1)]  # one process for everything
    senders = [_share(plan, index, posting, 0, 0) for index in range(posting)]
    return senders + [_share(plan, 0, 0, index, listening) for index in range(listening)]


def _share(plan: Plan, posting: int, posting_of: int, listening: int, listening_of: int) -> Share:
    options = plan.options

    def part(number: int, index: int, of: int) -> tuple[int, ...]:
        return tuple(range(index, number, of)) if of else ()

    return Share(
        plan=plan,
        posters=part(options.posters, posting, posting_of),
        subscribers=part(options.subscribers, listening, listening_of),
        slow=part(options.slow, listening, listening_of),
        churners=part(options.churners, listening, listening_of),
        arrivals=part(options.arrivals, listening, listening_of),
    )


