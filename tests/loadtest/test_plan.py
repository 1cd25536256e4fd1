"""The work is shared among processes without anybody forgotten or done twice."""

from __future__ import annotations

import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.options import Options
from superchat.loadtest.plan import ROOT, THREADS_EACH, Plan, shares


def plan(threads: int = 0, scenario: str = "mixed", **options: Any) -> Plan:
    """A plan for some server."""
    return Plan(
        options=Options(scenario=scenario, threads=threads, **options),
        family=socket.AF_INET,
        address=("127.0.0.1", 6465),
        run=b"lt000001",
        channel_id=2,
        thread_ids=tuple(range(100, 100 + threads)),
    )


few = st.integers(0, 20)


class SharesTests(SynchronousTestCase):
    """Which process has which clients."""

    @given(few, few, few, few, few, st.integers(0, 9))
    def test_everybody_once(
        self, posters: int, subscribers: int, slow: int, churners: int, arrivals: int, processes: int
    ) -> None:
        """Whatever the numbers, every client is in exactly one process, and there are as many as were asked for."""
        whole = plan(
            posters=posters,
            subscribers=subscribers,
            slow=slow,
            churners=churners,
            arrivals=arrivals,
            processes=processes,
        )
        every = shares(whole)
        for kind, number in (
            ("posters", posters),
            ("subscribers", subscribers),
            ("slow", slow),
            ("churners", churners),
            ("arrivals", arrivals),
        ):
            self.assertEqual(sorted(each for share in every for each in getattr(share, kind)), list(range(number)))
        self.assertEqual(sum(share.connections for share in every), whole.options.connections)
        if processes and posters and whole.options.connections > posters:
            self.assertEqual(len(every), processes)

    def test_posters_apart(self) -> None:
        """A flood of deliveries does not hold up the posters: they have a process of their own."""
        posting, listening = shares(plan(posters=5, subscribers=50))
        self.assertEqual((len(posting.posters), posting.subscribers), (5, ()))
        self.assertEqual((listening.posters, len(listening.subscribers)), ((), 50))


class PlacesTests(SynchronousTestCase):
    """Who posts and listens where."""

    def test_channel_only(self) -> None:
        """Without threads everything happens in the channel."""
        whole = plan(posters=3, subscribers=3)
        self.assertEqual({whole.place_of_poster(each) for each in range(3)}, {ROOT})
        self.assertEqual(whole.places_of_subscriber(2), {ROOT})
        self.assertIsNone(whole.thread_of(ROOT))

    def test_threads_only(self) -> None:
        """In the scenario threads nothing happens in the channel itself, and no thread is left out."""
        whole = plan(threads=7, scenario="threads", posters=20)
        self.assertEqual({whole.place_of_poster(each) for each in range(20)}, set(range(1, 8)))
        listened = [whole.places_of_subscriber(each) for each in range(7)]
        self.assertEqual(set[int]().union(*listened), set(range(1, 8)))
        self.assertEqual({len(each) for each in listened}, {THREADS_EACH})
        self.assertEqual(whole.thread_of(1), 100)

    def test_both(self) -> None:
        """In a mixed load half of the posters are in threads, and subscribers listen to both."""
        whole = plan(threads=2, posters=8)
        self.assertEqual([whole.place_of_poster(each) for each in range(8)], [0, 1, 0, 2, 0, 1, 0, 2])
        self.assertEqual(whole.places_of_subscriber(0), {ROOT, 1, 2})
