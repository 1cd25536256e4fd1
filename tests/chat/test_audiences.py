"""Tests for `superchat.chat.audiences`: listeners by place, and the largest audiences at any moment."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.audiences import Audiences
from superchat.chat.session import Session
from tests.chat.test_registry import new_session

ACTS = st.tuples(st.booleans(), st.integers(1, 6), st.integers(0, 4))


class AudiencesTests(SynchronousTestCase):
    """The audiences beside a naive model."""

    @settings(max_examples=40, derandomize=True, database=None)
    @given(acts=st.lists(ACTS, min_size=20, max_size=80))
    def test_any_acts(self, acts: list[tuple[bool, int, int]]) -> None:
        """Listeners come and go, twice too; counts and the largest audiences follow (decisions 9.4)."""
        sessions = [new_session(number) for number in range(5)]
        audiences, model = Audiences(), dict[int, list[Session]]()
        for comes, place, number in acts:
            listeners, session = model.setdefault(place, []), sessions[number]
            if comes:
                audiences.add(place, session)
                if session not in listeners:
                    listeners.append(session)
            else:
                last = listeners == [session]
                self.assertEqual(audiences.discard(place, session), last)
                if session in listeners:
                    listeners.remove(session)
            self.check(audiences, model)

    def check(self, audiences: Audiences, model: dict[int, list[Session]]) -> None:
        """Both say the same."""
        live = {place: listeners for place, listeners in model.items() if listeners}
        self.assertEqual(len(audiences), len(live))
        self.assertEqual(audiences.listeners, sum(map(len, live.values())))
        for place, listeners in model.items():
            self.assertEqual(list(audiences.of(place)), listeners)
        sizes = sorted(map(len, live.values()), reverse=True)
        for number in (0, 1, 3, 9):
            largest = audiences.largest(number)
            self.assertEqual([size for _, size in largest], sizes[:number])
            self.assertEqual({place: len(live[place]) for place, _ in largest}, dict(largest))
