"""Tests for `superchat.chat.deliveries`: sums are exact, and no series ever shrinks (decisions 9.4)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat import deliveries
from superchat.chat.deliveries import Deliveries

PLACES = st.integers(1, 9)
ACTS = st.one_of(
    st.tuples(st.just("add"), PLACES, st.integers(0, 20)),
    st.tuples(st.just("forget"), PLACES, st.just(0)),
    st.tuples(st.just("report"), st.just(0), st.integers(0, 4)),
)


def report(counted: Deliveries, number: int) -> tuple[dict[int, int], int]:
    """The series of the *number* busiest channels, and what is left for `other`."""
    shown = {flow.channel_id: flow.shown for flow in counted.busiest(number)}
    return shown, counted.total - sum(shown.values())


class DeliveriesTests(SynchronousTestCase):
    """Deliveries by place."""

    def test_few(self) -> None:
        """As long as each place has its series, each shows all it got."""
        counted = Deliveries()
        counted.add(7, 7, None, 3)
        counted.add(8, 8, None, 5)
        counted.add(7, 7, None, 4)
        self.assertEqual(report(counted, 100), ({7: 7, 8: 5}, 0))

    def test_threads(self) -> None:
        """A thread's series names its channel too."""
        counted = Deliveries()
        counted.add(99, 2, 99, 3)
        (flow,) = counted.busiest(1)
        self.assertEqual((flow.channel_id, flow.thread_id, flow.shown), (2, 99, 3))

    def test_to_nobody(self) -> None:
        """A broadcast that reaches nobody makes no series."""
        counted = Deliveries()
        counted.add(7, 7, None, 0)
        self.assertEqual(report(counted, 100), ({}, 0))

    def test_dead(self) -> None:
        """What a place had when it dies moves to `other`; when it lives again it begins anew."""
        counted = Deliveries()
        counted.add(7, 7, None, 3)
        counted.forget(7)
        counted.forget(8)
        self.assertEqual(report(counted, 100), ({}, 3))
        counted.add(7, 7, None, 1)
        self.assertEqual(report(counted, 100), ({7: 1}, 3))

    def test_busiest(self) -> None:
        """Those with most deliveries have series; one that becomes busy later begins with what it got since."""
        counted = Deliveries()
        counted.add(1, 1, None, 10)
        counted.add(2, 2, None, 5)
        self.assertEqual(report(counted, 1), ({1: 10}, 5))
        counted.add(2, 2, None, 100)
        self.assertEqual(report(counted, 1), ({2: 100}, 15))

    @settings(max_examples=60, derandomize=True, database=None)
    @given(acts=st.lists(ACTS, min_size=20, max_size=60))
    def test_any_acts(self, acts: list[tuple[str, int, int]]) -> None:
        """Whatever lives, dies and is reported, the sum is exact and nothing shrinks while it is reported."""
        self.patch(deliveries, "CONTENDERS", 3)
        counted, expected = Deliveries(), 0
        last: Counter[int] = Counter()
        last_other = 0
        for act, place, number in acts:
            if act == "add":
                counted.add(place, place, None, number)
                expected += number
            elif act == "forget":
                counted.forget(place)
                del last[place]
            else:
                shown, other = report(counted, number)
                self.assertLessEqual(len(shown), number)
                self.assertEqual(sum(shown.values()) + other, expected)
                self.assertGreaterEqual(other, last_other)
                for channel_id, deliveries_shown in shown.items():
                    self.assertGreaterEqual(deliveries_shown, last[channel_id])
                last, last_other = Counter(shown), other
