"""SIGTERM, SIGINT, SIGHUP and SIGSTOP in every state a server can be in; see `signals`."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.faults import signals
from tests.faults.outside import seed_of

SEED = seed_of(int(os.environ.get("SC_SIGNALS_SEED", "0")) or None)
"""What chance does; a failure names it."""


class SignalTests(SynchronousTestCase):
    """A server ends within its time, with exit code 0, everything acknowledged stored, and nothing in errors.log
    (decisions 1.8)."""

    def play(self, scene: Callable[..., None], **smaller: Any) -> None:
        """Bring a server into a state, and signal."""
        try:
            scene(self, random.Random(SEED), **smaller)
        except (AssertionError, TimeoutError) as error:
            raise self.failureException(f"SC_SIGNALS_SEED={SEED}: {error}") from error

    def test_talking(self) -> None:
        """While two hundred people post; they are told why, and the signal may come again."""
        self.play(signals.talking)

    def test_paused(self) -> None:
        """A process that was stopped and continued goes on with everybody; then it gets SIGINT."""
        self.play(signals.paused)

    def test_stalled(self) -> None:
        """While it holds megabytes for readers that have stalled."""
        self.play(signals.stalled)

    def test_half_sent(self) -> None:
        """While frames, requests and handshakes are half sent, and a profile is being taken."""
        self.play(signals.half_sent)

    def test_logging_in(self) -> None:
        """While more passwords wait than can be computed."""
        self.play(signals.logging_in)

    def test_removing(self) -> None:
        """While retention removes messages and an operator makes a backup."""
        self.play(signals.removing)

    def test_starting(self) -> None:
        """While it makes, migrates or recovers its database, and right after the start; nothing is lost."""
        self.play(signals.starting)

    def test_reloading(self) -> None:
        """SIGHUP again and again under load loses no message, no connection and no line of the logs, and SIGTERM may
        come with it (decisions 9.5)."""
        self.play(signals.reloading)
