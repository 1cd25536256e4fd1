"""The metrics of what watches the server: the canary and the log files."""

from __future__ import annotations

from collections.abc import Iterator

from superchat.ops.canary import Canary
from superchat.ops.logs import LogFiles
from superchat.ops.series.families import Family, counter, gauge


def families(canary: Canary, logs: LogFiles) -> Iterator[Family]:
    """Whether a message of the server's own arrives, and whether lines do."""
    yield gauge(
        "superchat_canary_age_seconds",
        "Time since the server's own message was last posted and delivered, or since the start.",
        canary.age_seconds,
    )
    yield gauge(
        "superchat_canary_duration_seconds",
        "Time from the post of that message to its delivery, its commit included.",
        canary.duration_seconds,
    )
    yield counter("superchat_canary_failures_total", "Messages of its own that did not arrive.", canary.failures)
    yield counter("superchat_log_write_failures_total", "Writes to log files that failed.", logs.failures)
    yield counter("superchat_log_lines_lost_total", "Log lines that could not be written in time.", logs.lost)
