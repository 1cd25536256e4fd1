"""Figures that take too long to be taken at every scrape: taken in the background, and remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from superchat.ops.host import free_bytes, open_descriptors
from superchat.ops.threads import InThread
from superchat.storage.interface import IStorage, Size

HOST_SECONDS: Final = 15.0
"""How often the host is looked at."""
SIZE_SECONDS: Final = 60.0
"""How often rows are counted, at most."""
SIZE_SHARE: Final = 0.01
"""How much of the time may go into counting rows, which takes the longer the more there are."""


class Measurements:
    """The latest figures, None until they were taken. What cannot be measured keeps its last figure."""

    _log = Logger()

    def __init__(self, storage: IStorage, directory: Path, clock: IReactorTime, in_thread: InThread) -> None:
        self.free_disk_bytes: int | None = None
        """Of the file system with the database."""
        self.open_descriptors: int | None = None
        self.size: Size | None = None
        self._storage = storage
        self._directory = directory
        self._clock = clock
        self._in_thread = in_thread
        self._calls: dict[str, IDelayedCall] = {}
        self._stopped = False

    def start(self) -> None:
        """Measure now, and then again and again; never twice at the same time."""
        self._look_at_host()
        self._count()

    def stop(self) -> None:
        """Measure no more."""
        self._stopped = True
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()

    def _look_at_host(self) -> None:
        def measured(figures: tuple[int, int]) -> None:
            self.free_disk_bytes, self.open_descriptors = figures

        looking = self._in_thread(lambda: (free_bytes(self._directory), open_descriptors()))
        looking.addCallbacks(measured, self._failed)
        looking.addCallback(lambda _: self._again("host", HOST_SECONDS))

    def _count(self) -> None:
        started = self._clock.seconds()

        def measured(size: Size) -> None:
            self.size = size

        def again(_: object) -> None:
            took = self._clock.seconds() - started
            self._again("size", max(SIZE_SECONDS, took / SIZE_SHARE))

        counting: Deferred[Size] = self._storage.measure()
        counting.addCallbacks(measured, self._failed).addCallback(again)

    def _again(self, what: str, seconds: float) -> None:
        action = {"host": self._look_at_host, "size": self._count}[what]

        def due() -> None:
            del self._calls[what]
            action()

        if not self._stopped:
            self._calls[what] = self._clock.callLater(seconds, due)

    def _failed(self, failure: Failure) -> None:
        self._log.debug("not measured: {why}", why=failure.getErrorMessage())
