"""What a fault's long form needs outside trial: somebody to complain to, and to clean up."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase


class Outside(SynchronousTestCase):
    """Not a test; but servers and their clients can be started for it, and end with it."""

    def runTest(self) -> None:
        """Nothing of its own."""


@contextmanager
def outside() -> Iterator[Outside]:
    """One of them in a directory that is removed afterwards."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="superchat-faults-") as directory:
        os.chdir(directory)
        case = Outside()
        try:
            yield case
        finally:
            case.doCleanups()
            os.chdir(before)


def seed_of(given: int | None) -> int:
    """The seed that was asked for, or any."""
    return random.SystemRandom().randrange(1 << 32) if given is None else given


def tell(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)
