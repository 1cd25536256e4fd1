"""What can be fuzzed: something that takes bytes, and what must be true of it whatever they are."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from typing import ClassVar


class Target(ABC):
    """One thing that reads what strangers send. Whatever `run` or `check` raises is a failure.

    `run` does the work once and is what coverage is measured of; `check` compares that with what else must be true.
    Neither may depend on what was run before.
    """

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    """Beginnings of the names of the source files that coverage is measured of, from the package's folder on."""
    longest_bytes: ClassVar[int] = 4096
    words: ClassVar[tuple[bytes, ...]] = ()
    """What is worth putting into an input."""
    steps_per_byte: ClassVar[int] = 60
    """Lines of `files` that may be executed for each byte of an input, and `steps_at_least` without any: work that
    grows faster than the input is a failure."""
    steps_at_least: ClassVar[int] = 5_000

    @abstractmethod
    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with, beside the corpus."""

    @abstractmethod
    def run(self, data: bytes) -> Hashable:
        """Take an input, and return in short what came of it: another outcome makes an input worth keeping."""

    def check(self, data: bytes, outcome: Hashable) -> None:  # noqa: B027  # nothing more, for most
        """Make sure of everything else."""

    def shape(self, data: bytes, rng: random.Random) -> bytes:
        """Repair in a mangled input what would keep the rest of it from being read at all, now and then."""
        return data
