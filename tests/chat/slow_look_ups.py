"""A storage whose look-ups of messages take as long as a test says, so that things happen meanwhile."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from superchat.storage.memory import MemoryStorage


class SlowLookUps(MemoryStorage):
    """Answers the look-up of a message when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Deferred[None]] = []

    def message(self, *arguments: Any) -> Deferred[Any]:
        answer: Deferred[None] = Deferred()
        self.answers.append(answer)
        look_up = super().message
        return answer.addCallback(lambda _: look_up(*arguments))
