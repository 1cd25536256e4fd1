"""A clock for servers, which a test sets and lets run."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import Final

from tests.faults import preload

_OFFSETS: Final = struct.Struct("=qq")
_NANOSECONDS: Final = 1_000_000_000


class WallClock:
    """The clock of all servers that are started in its `environment`."""

    def __init__(self, directory: Path) -> None:
        """Make it, in a directory of the test's. Raises `subprocess.CalledProcessError` without a C compiler."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory.absolute() / "clock"
        path.write_bytes(bytes(_OFFSETS.size))
        with path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), _OFFSETS.size)
        self.environment = preload.environment(preload.build("clock", directory), FAULTS_CLOCK=str(path))
        self._wrong = self._passed = 0

    @property
    def wrong_seconds(self) -> float:
        """How far the wall clock is ahead of what it would be if nobody had set it."""
        return self._wrong / _NANOSECONDS

    def jump(self, seconds: float) -> None:
        """Set the wall clock ahead, or back; no time passes."""
        self._wrong += round(seconds * _NANOSECONDS)
        self._write()

    def put_right(self) -> None:
        """Set the wall clock to what it would be if nobody had ever set it."""
        self._wrong = 0
        self._write()

    def pass_time(self, seconds: float) -> None:
        """Let time pass; a server that sleeps learns of it when something wakes it up."""
        self._passed += round(seconds * _NANOSECONDS)
        self._write()

    def now_ms(self) -> int:
        """The date as the servers have it, Unix milliseconds."""
        return (time.time_ns() + self._wrong + self._passed) // 1_000_000

    def close(self) -> None:
        """Need it no more."""
        self._mapped.close()

    def _write(self) -> None:
        # Both at once would be better, but no server needs that: jumps and passing time are separate acts.
        self._mapped[:] = _OFFSETS.pack(self._wrong, self._passed)
