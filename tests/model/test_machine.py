"""The real services against the model: whatever happens in whatever order, both agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.model.acts import act
from tests.model.simulate import play
from tests.model.world import World

T = TypeVar("T")


@attrs.frozen
class Drawn:
    """Choices that Hypothesis makes, and can make smaller."""

    data: Any

    def one_of(self, options: Sequence[T]) -> T:
        """One of several."""
        index: int = self.data.draw(st.integers(0, len(options) - 1))
        return options[index]


class ChatMachine(RuleBasedStateMachine):
    """Many sessions that do anything they can; a failure is shrunk to the few acts that show it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.setUp()

    @rule(data=st.data())
    def something_happens(self, data: Any) -> None:
        """One act of somebody."""
        act(self.world, Drawn(data))

    @invariant()
    def nobody_is_written_to_after_the_end(self) -> None:
        """Sessions that are over get nothing more."""
        assert all(not client.late_writes for client in self.world.clients.values())

    def teardown(self) -> None:
        self.world.tearDown()


class MachineTests(SynchronousTestCase):
    """Short runs of what `python -m tests.model.simulate` does for long."""

    def test_machine(self) -> None:
        """No sequence of acts makes the chat answer otherwise than the model (decisions 3, 4, 7)."""
        run_state_machine_as_test(
            ChatMachine,
            settings=settings(
                max_examples=25, stateful_step_count=40, derandomize=True, database=None, deadline=None
            ),
        )

    def test_seeds(self) -> None:
        """The first seeds of the simulation, in memory."""
        for seed in range(40):
            play(seed, 120, on_disk=False)

    def test_seeds_on_disk(self) -> None:
        """And on SQLite, restarts included."""
        for seed in range(8):
            play(seed, 120, on_disk=True)
