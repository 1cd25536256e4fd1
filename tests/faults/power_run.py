"""Lets a server and its clients work while everything that the server does to its files is written down."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.admin import run_admin
from tests.e2e.server import Place, RunningServer
from tests.faults.cast import Company
from tests.faults.ledger import Ledger
from tests.faults.power_disk import Disk
from tests.faults.preload import build, environment

DATA: Final = "data"
"""The folder in a server's place that everything is in whose fate matters."""


@attrs.frozen
class Backup:
    """A copy that an operator asked for, and when: positions of the journal."""

    path: str
    asked_at: float
    told_at: float


@attrs.define
class Chapter:
    """The life of one server, or what an operator does without one. Positions are those of the journal."""

    before: Disk
    """The disk that it found."""
    began_at: int
    served_at: int = 0
    """When it said that it has started."""
    ended_at: int = 0
    after: Disk = attrs.field(factory=Disk)
    """The disk that it has left."""
    backups: list[Backup] = attrs.field(factory=list)


class Recording:
    """A place whose servers are written down, one after the other, and a ledger that goes by the same clock: how long
    the journal is. An acknowledgement that is noted at a position came after everything before that position."""

    def __init__(self, case: SynchronousTestCase, place: Place, folder: Path, config: str) -> None:
        self.place = place
        self.journal = folder / "journal"
        self.ledger = Ledger(clock=self.position)
        self.chapters: list[Chapter] = []
        self._case = case
        self._config = config
        self._environment = environment(
            build("power", folder), POWER_DIRECTORY=str(place.root.resolve()), POWER_JOURNAL=str(self.journal)
        )
        self.journal.touch()

    def position(self) -> int:
        """How long the journal is."""
        return self.journal.stat().st_size

    def begin(self) -> None:
        """Begin a chapter. What was done to the files since the one before counts as certain."""
        self.chapters.append(Chapter(Disk.of(self.place.root), self.position()))

    def end(self) -> None:
        """End a chapter, whose processes have ended."""
        self.chapters[-1].ended_at = self.position()
        self.chapters[-1].after = Disk.of(self.place.root)

    def start(self) -> RunningServer:
        """Begin a chapter with a server."""
        self.begin()
        server = RunningServer(self._case, self._config, place=self.place, environment=self._environment)
        self.chapters[-1].served_at = self.position()
        return server

    async def work(self, reactor: Any, server: RunningServer, actors: Company, seconds: float, backups: int) -> None:
        """Let actors work for a while, make some backups meanwhile, and stop the server under their hands."""
        working = actors.start(server.port)
        await actors.entered()
        for number in range(backups):
            await deferLater(reactor, seconds / (backups + 1))
            await self.back_up(f"{DATA}/copy-{len(self.chapters)}-{number}.db")
        await deferLater(reactor, seconds / (backups + 1))
        await self.stop(server, working)

    async def stop(self, server: RunningServer, working: Deferred[Any]) -> None:
        """End a chapter in good order."""
        server.terminate()
        await working
        await deferToThread(server.wait_for_end)
        self.end()

    async def back_up(self, path: str) -> None:
        """Have a copy of the database made, as an operator would."""
        asked_at = self.position()
        await self.administer("backup", str(self.place.root / path))
        self.chapters[-1].backups.append(Backup(path, asked_at, self.position()))

    async def administer(self, *command: str) -> None:
        """Have a command of superchat-admin carried out, and written down."""
        done = await deferToThread(partial(run_admin, self.place, *command, typed=b"", **self._environment))
        if done.exit_code:
            raise self._case.failureException(f"{command} was not carried out\n{done.stdout}{done.stderr}")
