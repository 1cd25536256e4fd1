"""What a server writes into its log when something went wrong inside it; nothing a stranger sends may cause that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher


@contextmanager
def no_troubles() -> Iterator[list[str]]:
    """The tracebacks that the block has logged; any that is left in the list at the end of it is a failure."""
    found: list[str] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            found.append(f"{formatEvent(event)}\n{event['log_failure'].getTraceback()}")

    observer = cast(ILogObserver, observe)
    globalLogPublisher.addObserver(observer)
    try:
        yield found
    finally:
        globalLogPublisher.removeObserver(observer)
    assert not found, found[0]
