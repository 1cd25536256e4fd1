"""What the load writes: texts that say which run, poster and post they are, and when they were meant to be sent."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

STAMP: Final = b"%b p%05x s%08x t%014x "
STAMP_BYTES: Final = 42
RUN_BYTES: Final = 8
POSTERS_MAXIMUM: Final = 0xFFFFF


class Stamp(NamedTuple):
    """Which post a text is: of which poster, its number there from 0, and when it was due (monotonic clock)."""

    poster: int
    sequence: int
    due_us: int


class Texts:
    """Makes and reads the texts of one run; all have the same size, ``size_bytes``, at least ``STAMP_BYTES``."""

    def __init__(self, run: bytes, size_bytes: int) -> None:
        self.run = run
        filler = size_bytes - STAMP_BYTES
        self._filler = b"x" * filler
        self._pattern = re.compile(
            rb"%b p([0-9a-f]{5}) s([0-9a-f]{8}) t([0-9a-f]{14}) x{%d}" % (run, filler)
        )

    def make(self, poster: int, sequence: int, due_us: int) -> bytes:
        """The text of a post."""
        return STAMP % (self.run, poster, sequence, due_us) + self._filler

    def is_ours(self, text: bytes) -> bool:
        """Whether a text was made by this run."""
        return text.startswith(self.run)

    def read(self, text: bytes) -> Stamp:
        """Read a text of this run. Raises ValueError if it is not exactly as it was made."""
        matched = self._pattern.fullmatch(text)
        if matched is None:
            raise ValueError("a post with another text than it was sent with")
        poster, sequence, due = matched.groups()
        return Stamp(int(poster, 16), int(sequence, 16), int(due, 16))


def run_name(number: int) -> bytes:
    """The first bytes of every text of the run with this number, below 2^24."""
    return b"lt%06x" % number
