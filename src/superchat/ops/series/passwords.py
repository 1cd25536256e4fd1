"""The metrics of logging in: what is computed for passwords, and how long that takes."""

from __future__ import annotations

from collections.abc import Iterator

from superchat.auth.passwords import PasswordWork
from superchat.ops.series.families import Family, counter, gauge, histogram


def families(work: PasswordWork) -> Iterator[Family]:
    """Everything about passwords."""
    yield gauge("superchat_password_waiting", "Passwords that wait for a thread to compute them.", work.waiting)
    yield gauge("superchat_password_running", "Passwords that are computed now.", work.running)
    yield counter(
        "superchat_password_refused_total",
        "Passwords that were refused because too many waited already.",
        work.refused,
    )
    yield histogram(
        "superchat_password_duration_seconds",
        "Time from when a password was to be hashed or compared until it was, the wait included.",
        work.seconds.snapshot(),
    )
