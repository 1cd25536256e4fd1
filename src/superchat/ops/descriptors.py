"""File descriptors: as many as the system allows, some kept for the server itself, and few words when they run out."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import attrs
from twisted.internet import tcp
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger, LogPublisher, globalLogPublisher
from zope.interface import implementer

from superchat.chat.counters import Counters
from superchat.config import Limits
from superchat.ops.noise import ACCEPTING

RESERVED: Final = 64
"""Descriptors that are not for clients: listeners, database, logs, and whoever asks for metrics and health."""
LEAST: Final = 64
"""With fewer no server starts: it needs some thirty for itself, more while it starts, and as many for clients."""
PAUSE_SECONDS: Final = 1.0
"""Between two lines about it, and before accepting is tried again."""

_CLOSED: Final = "EMFILE recovery: Closed socket"
_GAVE_UP: Final = "Could not accept"
_LACKING: Final = frozenset({"EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"})


class TooFewDescriptors(Exception):
    """The process may not open as many as a server needs; the text says so."""


def require(descriptors: int) -> None:
    """Raise `TooFewDescriptors` if a process that may open so many cannot be a server."""
    if descriptors != resource.RLIM_INFINITY and descriptors < LEAST:
        raise TooFewDescriptors(
            f"this process may open {descriptors} files and connections, and the server needs {LEAST} or more "
            "(ulimit -n, or LimitNOFILE= in a unit)"
        )


def raise_limit() -> int:
    """Use as many descriptors as this process may have without asking for rights; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def within(limits: Limits, descriptors: int) -> Limits:
    """The limits with `max_users` lowered to what the descriptors allow.

    So a server that is full says so, instead of failing to accept, and can still be asked how it is.
    """
    if descriptors == resource.RLIM_INFINITY:
        return limits
    connections = descriptors - min(RESERVED, descriptors // 2)
    return attrs.evolve(limits, max_users=min(limits.max_users or connections, connections))


@implementer(ILogObserver)
class AcceptFailures:
    """Counts the connections that Twisted had to drop or leave waiting, and says so once a second at most.

    Twisted writes three lines for each, which `noise` keeps out of the logs. With its reserve descriptor gone as
    well it would try again at once, for ever: then *listeners* pause for a second. Before they go on, *reserve* has it
    take a reserve again, which it does by itself only when it begins to listen. Without, those who have waited
    and left would be accepted one by one, as descriptors become free, before anybody who is still there.
    """

    _log = Logger()

    def __init__(
        self,
        counters: Counters,
        clock: IReactorTime,
        listeners: Callable[[], Sequence[Any]],
        reserve: Callable[[], object] = tcp._reservedFD.reserve,
    ) -> None:
        self._reserve = reserve
        self._counters = counters
        self._clock = clock
        self._listeners = listeners
        self._untold = 0
        self._reason = ""
        self._quiet: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None

    def start(self, publisher: LogPublisher = globalLogPublisher) -> None:
        """Listen to what Twisted says."""
        publisher.addObserver(self)

    def stop(self, publisher: LogPublisher = globalLogPublisher) -> None:
        """Listen no more."""
        publisher.removeObserver(self)
        for call in (self._quiet, self._rest):
            if call is not None:
                call.cancel()
        self._quiet = self._rest = None

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") not in ACCEPTING:
            return
        text = str(event.get("log_format"))
        if text.startswith(_GAVE_UP) and event.get("acceptError") in _LACKING:
            self._count(str(event["acceptError"]))
            self._pause()
        elif text.startswith(_CLOSED):
            self._count("EMFILE")

    def _count(self, reason: str) -> None:
        self._counters.accept_failures += 1
        self._untold += 1
        self._reason = reason
        if self._quiet is None:
            self._tell()

    def _tell(self) -> None:
        self._quiet = None
        if self._untold:
            count, self._untold = self._untold, 0
            reason = os.strerror(getattr(errno, self._reason))
            self._log.error("Connections not accepted: {count} ({reason})", count=count, reason=reason)
            self._quiet = self._clock.callLater(PAUSE_SECONDS, self._tell)

    def _pause(self) -> None:
        for port in self._listeners():
            port.stopReading()
        if self._rest is None:
            self._rest = self._clock.callLater(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._rest = None
        self._reserve()
        for port in self._listeners():
            if port.connected and not port.disconnecting:
                port.startReading()
