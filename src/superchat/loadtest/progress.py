"""How a run stands, on standard error: a bar that moves on a terminal, else a line every few seconds."""

from __future__ import annotations

import shutil
import time
from typing import Final, TextIO

from superchat.loadtest.coordinator import Moment

BAR_CHARACTERS: Final = 20
REDRAW_SECONDS: Final = 0.2
LINE_SECONDS: Final = 5.0

_ERASE: Final = "\r\x1b[K"


class Progress:
    """Shows moments as they come, not more often than is of use."""

    def __init__(self, file: TextIO, duration_seconds: float, quiet: bool) -> None:
        self._file = file
        self._duration_seconds = duration_seconds
        self._is_quiet = quiet
        self._is_terminal = file.isatty()
        self._next = 0.0
        self._phase = ""

    def show(self, moment: Moment) -> None:
        """Show how the run stands, if it is time to."""
        now = time.monotonic()
        if self._is_quiet or (now < self._next and moment.phase == self._phase):
            return
        self._phase = moment.phase
        self._next = now + (REDRAW_SECONDS if self._is_terminal else LINE_SECONDS)
        line = describe(moment, self._duration_seconds, self._is_terminal)
        if self._is_terminal:
            columns = shutil.get_terminal_size().columns
            self._file.write(_ERASE + line[: columns - 1])
        else:
            self._file.write(line + "\n")
        self._file.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._is_terminal and not self._is_quiet:
            self._file.write(_ERASE)
            self._file.flush()


def describe(moment: Moment, duration_seconds: float, with_bar: bool) -> str:
    """A line about a moment."""
    measured = moment.measured
    counts = measured.counts
    parts = []
    if with_bar:
        full = int(moment.fraction * BAR_CHARACTERS)
        parts.append(f"[{'#' * full}{'.' * (BAR_CHARACTERS - full)}]")
    parts.append(f"{moment.load_seconds:.0f}/{duration_seconds:.0f} s" if moment.load_seconds else moment.phase)
    parts.append(f"{counts['connections']:,} connected")
    seconds = moment.load_seconds
    if seconds and counts["posts_acked"]:
        parts.append(f"{counts['posts_acked'] / seconds:,.0f} posts/s")
    if seconds and counts["deliveries"]:
        parts.append(f"{counts['deliveries'] / seconds:,.0f} deliveries/s")
    for name in ("ack", "delivery", "nickname"):
        p99 = measured.latencies[name].percentile_ms(99)
        if p99 is not None:
            parts.append(f"{name} p99 {p99:.1f} ms")
    if measured.errors:
        parts.append(f"{measured.errors.total():,} errors")
    if measured.faults.total():
        parts.append(f"{measured.faults.total():,} faults")
    return "  ".join(parts)
