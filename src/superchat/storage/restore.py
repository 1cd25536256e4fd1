"""Puts a backup in the place of a database that nobody uses, so that at each moment there is one of the two."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

import attrs

from superchat.model import NewAct
from superchat.storage.backup import (
    LOGS,
    SIDE_FILES,
    Copy,
    Progress,
    beside,
    copy_into,
    draft_beside,
    examine,
    link,
    opened_alone,
    publish,
    reported,
    silent,
)
from superchat.storage.connections import connect, is_there, sync
from superchat.storage.errors import SchemaTooNew, StorageError
from superchat.storage.migrations import shipped
from superchat.storage.moderation import writes


@attrs.frozen
class Restored:
    """What is the database now, and where the one before is kept, if there was one."""

    copy: Copy
    kept: Path | None


def restore(
    backup: Path, database: Path, now: datetime, *, act: NewAct | None = None, progress: Progress = silent
) -> Restored:
    """Put a copy of *backup* in the place of *database*; its lock must be held, see `DatabaseLock`.

    The backup is read as a whole first. The database that was there is kept beside, under a name with the time
    *now*. The *act* is recorded in the new one, unless a server must migrate that first.

    Raises StorageError, SchemaTooNew for a backup of a later release, and leaves *database* as it was.
    """
    database = database.resolve()
    with reported(f"cannot restore {database} from {backup}"):
        if is_there(database) and is_there(backup) and database.samefile(backup):
            raise StorageError(f"{backup} is the database itself")
        newest = max(migration.version for migration in shipped())
        found = examine(backup)
        if found.schema_version > newest:
            raise SchemaTooNew(
                f"{backup} has schema version {found.schema_version}, made by a later release; this release knows "
                f"versions up to {newest}"
            )
        with draft_beside(database) as draft:
            _prepare(draft, backup, database, act if found.schema_version == newest else None, progress)
            copy = attrs.evolve(examine(draft), path=database)
            _take_in_log(database)
            kept = _free_name(database, now)
            try:
                is_kept = _set_aside(database, kept)
                publish(draft, database, replace=True)
            except OSError:
                _put_back(kept, database)
                raise
    return Restored(copy, kept if is_kept else None)


def _prepare(draft: Path, backup: Path, database: Path, act: NewAct | None, progress: Progress) -> None:
    with closing(opened_alone(backup)) as source:
        copy_into(draft, source, progress)
    if act is not None:
        with closing(connect(draft)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            writes.record(act, connection)
            connection.execute("COMMIT")
    _adopt_owner(draft, database if is_there(database) else database.parent)


def _adopt_owner(draft: Path, model: Path) -> None:
    """What the superuser restores belongs to the server, which is somebody else."""
    if os.geteuid() == 0:
        owner = model.stat()
        os.chown(draft, owner.st_uid, owner.st_gid)


def _take_in_log(database: Path) -> None:
    """Have the database in one file, if it and the log that a killed server left are sound: two files cannot give way
    to another in one moment, and a crash would leave the one without the other."""
    if any(is_there(beside(database, suffix)) for suffix in LOGS):
        with suppress(StorageError, sqlite3.Error):
            examine(database)
            connect(database).close()


def _set_aside(database: Path, kept: Path) -> bool:
    """Keep the database under another name, with the log that a killed server may have left, as they are; whether
    there is one."""
    files = [path for path in (database, *(beside(database, suffix) for suffix in LOGS)) if is_there(path)]
    for path in files:
        link(path, beside(kept, path.name.removeprefix(database.name)))
    sync(database.parent)
    # SQLite would pour a log that is left into the new database.
    for path in _side_files(database):
        path.unlink(missing_ok=True)
    sync(database.parent)
    return bool(files)


def _put_back(kept: Path, database: Path) -> None:
    """Undo what was done of setting it aside, and have nothing kept; the database before its log, which is for no
    other."""
    for suffix in ("", *LOGS):
        aside = beside(kept, suffix)
        if is_there(aside):
            os.replace(aside, beside(database, suffix))  # which does nothing when both are names of the same file
            aside.unlink(missing_ok=True)


def _side_files(database: Path) -> Iterator[Path]:
    return (beside(database, suffix) for suffix in SIDE_FILES)


def _free_name(database: Path, now: datetime) -> Path:
    for number in count(1):
        again = f"-{number}" if number > 1 else ""
        name = beside(database, f".replaced-{now:%Y%m%d-%H%M%S}{again}")
        if not any(os.path.lexists(path) for path in (name, *_side_files(name))):
            return name
    raise AssertionError("numbers have no end")
