"""Takes out what is older than its channel keeps messages, and gives the space back, without anybody waiting for it.

Time is the risk of every retention: a clock that is wrong must not cost anybody a message. So a message that was
posted while the clock was slow does not go early (see ``IStorage.expire``), and a clock that jumps ahead is believed
only when that has lasted from one pass to the next (see `SteadyClock`), an interval in which it can be put right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from superchat.chat.channels import ChannelDirectory
from superchat.chat.registry import ChannelRegistry
from superchat.clocks import NowMs
from superchat.model import Channel
from superchat.storage.errors import StorageError
from superchat.storage.interface import Expired, IStorage, Swept

FIRST_SECONDS: Final = 30.0
"""How long after the start the first pass begins: the server before may have left something to sweep."""
BUSY_PAUSE_SECONDS: Final = 0.02
"""How long the writer is left to others after a slice if they wait for it: some four times as long as a slice takes,
and short enough that retention keeps up with ten thousand posts a second."""
JUMP_SECONDS: Final = 60.0
"""A wall clock that gains this much on the reactor's within a pass has been set."""

_HOUR_MS: Final = 3_600_000


class SteadyClock:
    """The date, without a jump ahead that has just happened.

    It is the lesser of what the wall clock says, and of what it said when it was asked before plus the time that has
    passed since.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, now_ms: NowMs) -> None:
        self._clock = clock
        self._now_ms = now_ms
        self._lead = self._new_lead()

    def now_ms(self) -> int:
        """The date to go by until this is called again, Unix milliseconds."""
        before, self._lead = self._lead, self._new_lead()
        if self._lead - before > JUMP_SECONDS:
            self._log.warn(
                "the clock has jumped ahead by {seconds:.0f} seconds; retention goes by the old time in this pass",
                seconds=self._lead - before,
            )
        return int((min(before, self._lead) + self._clock.seconds()) * 1000)

    def _new_lead(self) -> float:
        return self._now_ms() / 1000 - self._clock.seconds()


@attrs.frozen
class Removed:
    """What is gone for good."""

    threads: int = 0  # that have expired
    messages: int = 0  # of those and of deleted channels
    freed_bytes: int = 0  # given back to the file system


class Retention:
    """Expires and sweeps at an interval (decisions 4.11), and sweeps when something was deleted (decisions 4.13).

    It asks the storage for one slice of work at a time, and leaves the reactor and the writer to others in between.
    """

    _log = Logger()

    def __init__(
        self,
        storage: IStorage,
        directory: ChannelDirectory,
        registry: ChannelRegistry,
        clock: IReactorTime,
        now_ms: NowMs,
        interval_minutes: int,
    ) -> None:
        self.interval_minutes = interval_minutes
        """From the end of a pass to the next one; a change counts from the next pass on."""
        self.removed = Removed()
        """Since the start."""
        self._storage = storage
        self._directory = directory
        self._registry = registry
        self._clock = clock
        self._steady_clock = SteadyClock(clock, now_ms)
        self._timer: IDelayedCall | None = None
        self._pause: Deferred[None] | None = None
        self._is_started = False
        self._is_working = False

    def start(self) -> None:
        """Begin the first pass soon."""
        self._is_started = True
        self._schedule(FIRST_SECONDS)

    def stop(self) -> None:
        """Begin nothing more; a slice that is under way is the storage's to finish."""
        self._is_started = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._pause is not None:
            self._pause.cancel()

    def sweep_soon(self) -> None:
        """Something was deleted: have its rows removed. A pass that is under way does that in the end anyway."""
        if self._is_started and not self._is_working:
            Deferred.fromCoroutine(self._work(expiring=()))

    def _schedule(self, seconds: float) -> None:
        self._timer = self._clock.callLater(seconds, self._begin)

    def _begin(self) -> None:
        if self._is_working:
            self._schedule(FIRST_SECONDS)
        else:
            Deferred.fromCoroutine(self._pass())

    async def _pass(self) -> None:
        await self._work(self._directory.expiring())
        if self._is_started:
            self._schedule(self.interval_minutes * 60)

    async def _work(self, expiring: Sequence[Channel]) -> None:
        """Expire in these channels, then sweep; what goes wrong is for the next pass to do."""
        self._is_working = True
        before, began = self.removed, self._clock.seconds()
        try:
            if expiring:
                await self._expire(expiring)
            await self._sweep()
        except CancelledError:
            pass  # it was stopped
        except StorageError as error:
            self._log.error("retention has stopped until its next pass: {error}", error=error)
        except Exception:  # noqa: BLE001 (a mistake here must not end retention for ever)
            self._log.failure("retention has stopped until its next pass")
        finally:
            self._is_working = False
        self._report(before, self._clock.seconds() - began)

    async def _expire(self, channels: Sequence[Channel]) -> None:
        now_ms = self._steady_clock.now_ms()
        for channel in channels:
            before_ms = now_ms - channel.retention_hours * _HOUR_MS
            next_id: int | None = 0
            while next_id is not None:
                expired: Expired = await self._storage.expire(channel.id, before_ms, next_id)
                next_id = expired.next_id
                self._count(len(expired.roots), expired.messages, 0)
                for root_id in expired.roots:
                    self._registry.forget_thread(root_id)
                # Of a hundred thousand conversations few have anything old; those must not wait for the others.
                await self._breathe(is_idle=not expired.roots and next_id is None)
                if expired.roots and not expired.messages:
                    # A long thread is gone, but its rows are there: more than a few such would slow down readers.
                    await self._remove_rows()

    async def _remove_rows(self) -> None:
        while (await self._slice()).messages:
            pass

    async def _sweep(self) -> None:
        while (await self._slice()).more:
            pass

    async def _slice(self) -> Swept:
        swept: Swept = await self._storage.sweep()
        self._count(0, swept.messages, swept.freed_bytes)
        await self._breathe()
        return swept

    async def _breathe(self, *, is_idle: bool = False) -> None:
        """Let the reactor do what there is to do; after a slice that was not *is_idle*, leave the writer to others if
        they wait for it. Raises CancelledError."""
        if self._is_started:
            others_wait = not is_idle and self._storage.statistics().pending > 0
            self._pause = deferLater(self._clock, BUSY_PAUSE_SECONDS if others_wait else 0.0)
            await self._pause
        if not self._is_started:
            raise CancelledError

    def _count(self, threads: int, messages: int, freed_bytes: int) -> None:
        so_far = self.removed
        self.removed = Removed(so_far.threads + threads, so_far.messages + messages, so_far.freed_bytes + freed_bytes)

    def _report(self, before: Removed, seconds: float) -> None:
        if self.removed == before:
            return
        self._log.info(
            "Retention removed {messages} messages, {threads} threads had expired, and gave {bytes} bytes back "
            "in {seconds:.1f} seconds",
            messages=self.removed.messages - before.messages,
            threads=self.removed.threads - before.threads,
            bytes=self.removed.freed_bytes - before.freed_bytes,
            seconds=seconds,
        )
