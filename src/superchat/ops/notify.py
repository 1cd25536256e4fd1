"""Tells systemd how the server is: ready, reloading, stopping, and that its reactor turns (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_PATIENCE_SECONDS: Final = 1.0
"""How long a change of state may wait for a service manager that does not read; nothing else ever waits for it."""

Status = Callable[[], str]
"""Gives one line about the server as it is now, for `systemctl status`."""


class Silence:
    """Nobody wants to know."""

    def ready(self, status: Status) -> None:
        """The server serves; from now on *status* is asked, with every sign of life."""

    def reloading(self) -> None:
        """A reload begins; `reloaded` follows in every case."""

    def reloaded(self) -> None:
        """The reload is over."""

    def stopping(self) -> None:
        """The server is about to stop; signs of life go on."""

    def stopped(self) -> None:
        """Nothing more will be said."""


class Systemd(Silence):
    """Says it to the socket in $NOTIFY_SOCKET; every *interval_seconds*, if not 0, it gives a sign of life.

    Those come from the reactor: a reactor that is stuck gives none, and systemd starts the server again
    (`WatchdogSec=`).
    """

    _log = Logger()

    def __init__(self, address: str, clock: IReactorTime, interval_seconds: float = 0.0) -> None:
        self._socket: socket.socket | None = None
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._status: Status = str
        self._call: IDelayedCall | None = None
        self._failed = False

    def ready(self, status: Status) -> None:
        self._status = status
        self._send("READY=1", self._status_line())
        self._sign_of_life()

    def reloading(self) -> None:
        # A reload asked for with Type=notify-reload is over with the READY=1 after a RELOADING=1 that is younger.
        now_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_usec}", "STATUS=Reloading")

    def reloaded(self) -> None:
        self._send("READY=1", self._status_line())

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=Stopping")
        self._status = lambda: "Stopping"

    def stopped(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _sign_of_life(self) -> None:
        if self._interval_seconds:
            self._call = self._clock.callLater(self._interval_seconds, self._feed)

    def _feed(self) -> None:
        self._send("WATCHDOG=1", self._status_line(), patience_seconds=0.0)
        self._sign_of_life()

    def _status_line(self) -> str:
        return f"STATUS={self._status()}"

    def _send(self, *lines: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        try:
            if self._socket is None:
                # Kept: without a sign of life systemd would end a server that has no descriptor left for a new one.
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(patience_seconds)
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._log.warn("cannot tell systemd {state}: {error}", state=lines[0], error=error)
        else:
            self._failed = False


def notifier(environ: Mapping[str, str], clock: IReactorTime) -> Silence:
    """What systemd asks for in the environment: $NOTIFY_SOCKET, and $WATCHDOG_USEC, of which half is kept."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return Silence()
    return Systemd(address, clock, _interval_seconds(environ))


def _interval_seconds(environ: Mapping[str, str]) -> float:
    usec = environ.get("WATCHDOG_USEC", "")
    for_us = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(usec) / 1e6 / 2 if for_us and usec.isdecimal() and usec.isascii() else 0.0
