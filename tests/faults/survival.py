"""A database and the servers that have it one after the other: each is killed, and nothing that it said is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.server import PATIENCE_SECONDS, RunningServer, end, new_place, spawn
from tests.faults.cast import CONFIG, admit, company
from tests.faults.hasty import HastyPlace
from tests.faults.judge import Judge
from tests.faults.ledger import Ledger
from tests.faults.past import add_old_threads, is_latest, make_with_first_schema
from tests.faults.shown import Visit
from tests.faults.stored import Stored, read

LONGEST_LOAD_SECONDS: Final = 0.5
LONGEST_STOP_SECONDS: Final = 0.3
LONGEST_START_SECONDS: Final = 0.8
LONGEST_MIGRATION_SECONDS: Final = 0.1
LONGEST_SWEEP_SECONDS: Final = 0.4

_POLL_SECONDS: Final = 0.002
_SWEEP_POLL_SECONDS: Final = 0.1


class Survival:
    """The story of one database. `case` owns the processes; whatever is wrong is its failure."""

    def __init__(self, reactor: Any, case: SynchronousTestCase, judge: Judge, rng: random.Random) -> None:
        self.ledger = Ledger()
        self._reactor = reactor
        self._case = case
        self._judge = judge
        self._rng = rng
        self._place = new_place(case, CONFIG)
        self._server: RunningServer

    # How it begins

    def begin(self) -> None:
        """Begin with the accounts of the cast and nothing else."""
        admit(self._database, self.ledger)
        self._start()

    def begin_with_first_schema(self) -> None:
        """Begin with a database of the first release; the first starts are killed while they make it theirs."""
        make_with_first_schema(self._database, self.ledger)
        self._cut_start(lambda: any(self._place.data_directory.glob("*.part")), 0.0)
        self._cut_migration()
        if not is_latest(self._database):
            self._cut_migration()
        self._start()
        self._server.kill()
        admit(self._database, self.ledger)
        self._start()

    def begin_with_old_threads(self) -> None:
        """Begin with much that is due to be removed; the first servers are killed while they do it."""
        self._place = HastyPlace(self._place.root)
        admit(self._database, self.ledger)
        add_old_threads(self._database, self.ledger)
        for _ in range(2):
            self._start()
            time.sleep(self._rng.uniform(0, LONGEST_SWEEP_SECONDS))
            self._server.kill()
        self._start()

    # How servers end

    async def round(self, ending: str) -> None:
        """Let everybody write, end the server in one of `ENDINGS`, and look at what is left."""
        await ENDINGS[ending](self)
        self._start()
        self.check()

    async def killed_under_load(self) -> None:
        """``kill -9`` at any moment."""
        done = await self._work()
        self._server.kill()
        await done

    async def killed_while_stopping(self) -> None:
        """``kill -9`` after SIGTERM, at any moment before the end."""
        done = await self._work()
        self._server.terminate()
        await self._pause(LONGEST_STOP_SECONDS)
        self._server.kill()
        await done

    async def killed_while_starting(self) -> None:
        """``kill -9`` at any moment, and again while what it left behind is put in order."""
        await self.killed_under_load()
        self._cut_start(lambda: True, self._rng.uniform(0, LONGEST_START_SECONDS))

    async def killed_while_backing_up(self) -> None:
        """``kill -9`` while the database is copied, of the server or of what copies it."""
        folder = self._place.root / f"backup-{self.ledger.new_number()}"
        folder.mkdir()
        done = await self._work()
        began = self.ledger.clock()
        copying = self._back_up(folder / "copy.db")
        await self._until(lambda: any(folder.iterdir()) or copying.poll() is not None)
        is_killed = self._rng.random() < 0.3
        if is_killed:
            copying.kill()
        self._server.kill()
        await done
        _, said = copying.communicate(timeout=PATIENCE_SECONDS)
        self._check_backup(folder / "copy.db", began, None if is_killed else said)

    async def finish(self) -> None:
        """What was due to be removed is removed in the end; then the last server stops as servers do."""
        await self._until(lambda: not self._is_expiring(read(self._database)), _SWEEP_POLL_SECONDS)
        self._server.stop()
        self._must_be_right(self._judge.complaints(self._database, self.ledger))

    def check(self) -> None:
        """Compare what is stored, and what clients are shown, with what was acknowledged."""
        stored = read(self._database)
        self._must_be_right(self._judge.complaints_about(stored, self.ledger))
        if not self._is_expiring(stored):  # else there is less from moment to moment
            visit = Visit(self._case, self._server, stored, self.ledger, self._rng)
            self._must_be_right(visit.complaints())

    # What these are made of

    @property
    def _database(self) -> Path:
        return self._place.database

    def _start(self) -> None:
        self._server = RunningServer(self._case, CONFIG, place=self._place)

    async def _work(self) -> Deferred[Any]:
        """Let people in, and return at any moment; the result fires when they have all been thrown out."""
        people = company(self._reactor, self.ledger, self._rng)
        done = people.start(self._server.port)
        if self._rng.random() < 0.75:
            await people.entered()
        await self._pause(LONGEST_LOAD_SECONDS)
        return done

    def _cut_start(self, is_moment: Callable[[], object], delay_seconds: float) -> None:
        """Start a server, and kill it a while after a moment has come."""
        process = spawn(self._case, self._place, self._place.environment())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_moment() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 4)
        time.sleep(delay_seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_SECONDS)

    def _cut_migration(self) -> None:
        before = self._backups_of_upgrades()
        delay_seconds = self._rng.uniform(0, LONGEST_MIGRATION_SECONDS)
        self._cut_start(lambda: self._backups_of_upgrades() - before, delay_seconds)

    def _backups_of_upgrades(self) -> set[tuple[str, int]]:
        """What a start makes before it changes the schema, by name and inode: two may have the same name."""
        found = self._place.data_directory.glob("*.backup-*")
        return {(path.name, path.stat().st_ino) for path in found if not path.suffix.startswith(".part")}

    def _back_up(self, target: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "superchat.tools.admin", "--config", str(self._place.config)]
        process = subprocess.Popen(
            [*command, "backup", str(target)],
            env=self._place.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._case.addCleanup(end, process)  # type: ignore[arg-type]
        return process

    def _check_backup(self, target: Path, began: float, said: bytes | None) -> None:
        """There is a whole copy with everything that had been acknowledged. If what copied was killed (it said
        nothing), there may be none."""
        if target.exists():
            self._must_be_right(self._judge.complaints(target, self.ledger.as_of(began)))
        elif said is not None:
            raise self._case.failureException(f"there is no backup: {said.decode()}")

    def _is_expiring(self, stored: Stored) -> bool:
        """Whether there is something left that is due to be removed."""
        return any(row.content in self.ledger.expiring for row in stored.rows.values())

    async def _pause(self, most_seconds: float) -> None:
        await deferLater(self._reactor, self._rng.uniform(0, most_seconds))

    async def _until(self, is_so: Callable[[], bool], poll_seconds: float = _POLL_SECONDS) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                raise self._case.failureException("it takes too long")
            await deferLater(self._reactor, poll_seconds)

    def _must_be_right(self, complaints: Iterable[str]) -> None:
        if text := "\n".join(each[:1000] for each in complaints):
            raise self._case.failureException(text)


ENDINGS: Final[Mapping[str, Callable[[Survival], Awaitable[None]]]] = {
    "under load": Survival.killed_under_load,
    "while stopping": Survival.killed_while_stopping,
    "while starting": Survival.killed_while_starting,
    "while backing up": Survival.killed_while_backing_up,
}

BEGINNINGS: Final[Mapping[str, Callable[[Survival], None]]] = {
    "new": Survival.begin,
    "first schema": Survival.begin_with_first_schema,
    "old threads": Survival.begin_with_old_threads,
}
