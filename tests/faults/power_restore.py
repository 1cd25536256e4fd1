"""What a power cut leaves of a restore: the old database or the new one, and the old one is never lost."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from superchat.storage.errors import StorageError
from superchat.storage.migrations import prepare, shipped
from tests.faults.history import make_history, make_interrupted, messages_in
from tests.faults.power_cuts import DATABASE, Cut
from tests.faults.power_run import DATA, Recording

BACKUP: Final = f"{DATA}/copy.db"

_OLD_MESSAGES: Final = 600
_NEW_MESSAGES: Final = 100


async def restore(recording: Recording) -> None:
    """Have a backup put in the place of a database whose server was killed, as a chapter of its own."""
    make_interrupted(recording.place.database, _OLD_MESSAGES)
    make_history(recording.place.root / BACKUP, _NEW_MESSAGES)
    recording.begin()
    await recording.administer("restore", str(recording.place.root / BACKUP))
    recording.end()


@attrs.frozen
class Restored:
    """Says what is wrong with what a cut has left of such a chapter, which the operator was told the end of at
    `told_at`."""

    told_at: float

    def complaints(self, cut: Cut, root: Path) -> Iterator[str]:
        """What is not so in the files below *root*."""
        database = root / DATABASE
        if not database.exists():
            yield "the database is lost"
            return
        kept = [path for path in database.parent.glob("*.replaced-*") if not path.name.endswith(("-wal", "-shm"))]
        try:
            prepare(database, time.time(), shipped())
            messages = messages_in(database)
            kept_messages = [messages_in(path) for path in kept] if messages != _OLD_MESSAGES else []
        except (StorageError, sqlite3.Error) as error:
            yield f"what is left cannot be used: {error}"
            return
        if messages != _NEW_MESSAGES and (messages != _OLD_MESSAGES or cut.position >= self.told_at):
            yield f"there are {messages} messages"
        if messages != _OLD_MESSAGES and kept_messages != [_OLD_MESSAGES]:
            yield f"of the database before there are kept {kept_messages} messages"
