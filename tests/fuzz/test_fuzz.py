"""Some seconds of fuzzing in every run of the tests: from the corpus, by chance, and by the same chance every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import corpus
from tests.fuzz.loop import Failed, Loop
from tests.fuzz.talks import play
from tests.fuzz.targets import TARGETS

SEED = int(os.environ.get("SUPERCHAT_FUZZ_SEED", "1"))
"""Another one can be set from outside; a failure says which it was, and how to replay the input."""
SECONDS_EACH = 1.0
SECONDS_OF_TALKS = 8.0


class FuzzTests(SynchronousTestCase):
    """No more than a taste; `python -m tests.fuzz` is the meal."""

    def fuzz(self, name: str) -> None:
        """Fuzz one target for a moment."""
        with self.saving(name):
            loop = Loop(TARGETS[name], corpus.load(name), SEED)
            loop.run(SECONDS_EACH)
        self.assertGreater(loop.progress.inputs, 0)

    @contextmanager
    def saving(self, name: str) -> Iterator[None]:
        """Write down what fails, and say how to try it again."""
        try:
            yield
        except (Failed, play.Failed) as failed:
            path = corpus.save(name, failed.data, Path.cwd() / "fuzz-failures")
            how = f"SUPERCHAT_FUZZ_SEED={SEED}; replay it with: python -m tests.fuzz {name} --replay {path}"
            raise self.failureException(f"{how}\n{failed}") from failed

    def test_wire(self) -> None:
        """Any bytes from a peer give a message or a documented error, however they are cut (architecture)."""
        self.fuzz("wire")

    def test_websocket(self) -> None:
        """Any WebSocket frames are read as RFC 6455 has them, or close the connection (decisions 1.3)."""
        self.fuzz("websocket")

    def test_proxy(self) -> None:
        """Any beginning of a trusted proxy's connection names a client or ends it (decisions 1.4)."""
        self.fuzz("proxy")

    def test_http(self) -> None:
        """Any request is answered once, and its connection ends in time."""
        self.fuzz("http")

    def test_control(self) -> None:
        """Any request to the administration's socket is answered or refused (decisions 9.7)."""
        self.fuzz("control")

    def test_config(self) -> None:
        """Any configuration file is read, or all of its mistakes are named with their places (decisions 9.6)."""
        self.fuzz("config")

    def test_keys(self) -> None:
        """Any text is an SSH key or is not, and why is said without quoting it."""
        self.fuzz("keys")

    def test_talks(self) -> None:
        """Whatever several clients say, each is answered once and in order, and nothing stays of it (architecture)."""
        with self.saving(play.NAME):
            progress = play.run(SECONDS_OF_TALKS, SEED)
        self.assertGreater(progress.talks, 0)
