"""Whether the server does its work, computed when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from superchat.clocks import NowMs
from superchat.storage.interface import IStorage

OK: Final = "ok"
PROBE_SECONDS: Final = 1.0
"""How long the answer of one probe of the database serves everybody."""
DEADLINE_SECONDS: Final = 2.0
"""How long the database may take to store one small value."""
LAG_SECONDS: Final = 1.0
"""How late the reactor may be."""


class Phase(Enum):
    """What the server is doing with its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class DatabaseProbe:
    """Stores a small value for real, at most once every `PROBE_SECONDS`, and never a second one while the first has
    not come back."""

    def __init__(self, storage: IStorage, clock: IReactorTime, now_ms: NowMs) -> None:
        self._storage = storage
        self._clock = clock
        self._now_ms = now_ms
        self._answer = OK
        self._answered_at: float | None = None
        self._running = False
        self._waiters: list[Deferred[str]] = []

    def check(self) -> Deferred[str]:
        """`OK`, or what is wrong; after `DEADLINE_SECONDS` at the latest."""
        now = self._clock.seconds()
        if self._answered_at is not None and 0 <= now - self._answered_at < PROBE_SECONDS:
            return succeed(self._answer)
        waiter: Deferred[str] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        if not self._running:
            self._start()
        return waiter.addTimeout(DEADLINE_SECONDS, self._clock, _overdue)

    def _start(self) -> None:
        self._running = True
        probing: Deferred[None] = self._storage.probe(self._now_ms())
        probing.addCallbacks(lambda _: OK, _reason).addCallback(self._finish)

    def _finish(self, answer: str) -> None:
        self._answer, self._answered_at, self._running = answer, self._clock.seconds(), False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(answer)


def _overdue(result: object, seconds: float) -> str:
    return f"nothing stored within {seconds:g} seconds"


def _reason(failure: Failure) -> str:
    return failure.getErrorMessage() or "it failed without a reason"


@attrs.frozen
class Report:
    """What /health says: the guide's keys, and the reasons when something is wrong."""

    uptime: int  # seconds
    sessions: int
    database: str
    directory_enabled: bool
    reasons: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """The object of the monitoring guide; `reasons` is there only when there are some."""
        body: dict[str, Any] = {
            "status": OK if self.ok else "error",
            "uptime": self.uptime,
            "sessions": self.sessions,
            "database": self.database,
            "directory_enabled": self.directory_enabled,
        }
        return body if self.ok else {**body, "reasons": list(self.reasons)}


class Health:
    """Asks everything that could be wrong; *checks* each give a reason, or None."""

    def __init__(
        self,
        storage: IStorage,
        sessions: Callable[[], int],
        checks: Callable[[], Iterator[str]],
        clock: IReactorTime,
        now_ms: NowMs,
    ) -> None:
        self.phase = Phase.STARTING
        self._sessions = sessions
        self._checks = checks
        self._clock = clock
        self._started_at = clock.seconds()
        self._probe = DatabaseProbe(storage, clock, now_ms)

    async def report(self) -> Report:
        """How it is; takes `DEADLINE_SECONDS` at the most."""
        serving = self.phase is Phase.SERVING
        database = await self._probe.check() if serving else self.phase.value
        reasons = [] if serving else [f"server: {self.phase.value}"]
        if serving and database != OK:
            reasons.append(f"database: {database}")
        if serving:
            reasons.extend(self._checks())
        return Report(
            uptime=max(0, int(self._clock.seconds() - self._started_at)),
            sessions=self._sessions(),
            database=database,
            directory_enabled=False,
            reasons=tuple(reasons),
        )
