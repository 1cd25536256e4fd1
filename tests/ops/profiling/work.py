"""Things to be found in profiles."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, execute

T = TypeVar("T")


def compute(cpu_seconds: float) -> int:
    """Keep this thread busy, for some CPU time and not for some time: a slow machine changes nothing."""
    end = time.thread_time() + cpu_seconds
    turns = 0
    while time.thread_time() < end:
        turns += 1
    return turns


def busy_function() -> int:
    """Compute in a function with a name; much longer than between two samples."""
    return compute(0.3)


def at_once(function: Callable[[], T], /) -> Deferred[T]:
    """Runs in no thread at all."""
    return execute(function)
