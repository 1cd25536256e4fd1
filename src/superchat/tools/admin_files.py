"""The commands that are about files: backup, restore and check-config."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from superchat.config import Config
from superchat.model import NewAct
from superchat.ops.control.messages import ControlError
from superchat.storage.backup import Copy, back_up
from superchat.storage.lock import DatabaseInUse, DatabaseLock
from superchat.storage.restore import restore
from superchat.tools import admin_server
from superchat.tools.admin_output import Output, Row, size
from superchat.tools.admin_requests import Ask
from superchat.tools.admin_server import NoServer, Server

NICENESS: Final = 10
"""A copy has time; those who talk meanwhile have none."""

FIRST_WORD_SECONDS: Final = 2.0
WORDS_SECONDS: Final = 5.0


class Progress:
    """Tells of a copy that takes its time, every now and then."""

    def __init__(self, notice: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._notice = notice
        self._clock = clock
        self._next = clock() + FIRST_WORD_SECONDS

    def __call__(self, done_bytes: int, total_bytes: int) -> None:
        now = self._clock()
        if now >= self._next and done_bytes < total_bytes:
            self._next = now + WORDS_SECONDS
            self._notice(f"{size(done_bytes)} of {size(total_bytes)} copied")


def backup(config: Config, target: Path, server: Server, output: Output, *, force: bool) -> None:
    """Copy the database, whether a server runs or not, and have that one record it.

    Raises `NoServer` without a database, and StorageError.
    """
    if not config.database_path.exists():
        raise NoServer(f"there is no database {config.database_path}")
    os.nice(NICENESS)
    target = target.absolute()
    copy = back_up(config.database_path, target, replace=force, progress=Progress(output.notice))
    text = f"Backed up {config.database_path} to {target}: {_described(copy)}"
    output.result("backup", text, _fields(copy))
    try:
        admin_server.run(lambda ask: _record(ask, copy), server)
    except admin_server.NotListening:
        pass  # what the database said of its backup would not be in it
    except (NoServer, ControlError) as error:
        output.notice(f"the backup is not in the audit log: {error}")


def put_back(config: Config, backup_file: Path, who: str, output: Output) -> None:
    """Put a backup in the place of the database of a server that is stopped. Raises `NoServer` when one runs, and
    StorageError."""
    now = datetime.now(UTC)
    act = NewAct(
        actor=who,
        actor_id=None,
        address="local",
        action="restore",
        target_type="database",
        target_id=None,
        target=str(backup_file.absolute()),
        details="",
        performed_at=int(now.timestamp() * 1000),
    )
    lock = DatabaseLock(config.database_path)
    try:
        lock.acquire()
    except DatabaseInUse as error:
        raise NoServer(f"{error}; stop the server first") from None
    try:
        progress = Progress(output.notice)
        restored = restore(backup_file, config.database_path, now.astimezone(), act=act, progress=progress)
    finally:
        lock.release()
    kept = "" if restored.kept is None else f"; the one before is kept as {restored.kept}"
    text = f"Restored {config.database_path} from {backup_file}: {_described(restored.copy)}{kept}"
    fields = {**_fields(restored.copy), "kept": None if restored.kept is None else str(restored.kept)}
    output.result("restored", text, fields)


def _described(copy: Copy) -> str:
    return f"{copy.messages} messages, {size(copy.size_bytes)}"


def _fields(copy: Copy) -> Row:
    return {
        "path": str(copy.path),
        "size_bytes": copy.size_bytes,
        "messages": copy.messages,
        "schema_version": copy.schema_version,
    }


async def _record(ask: Ask, copy: Copy) -> None:
    await ask("note-backup", path=str(copy.path), size_bytes=copy.size_bytes)
