"""Copies a database while others write to it, as it was at one moment."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs

from superchat.storage.connections import connect, is_there, sync
from superchat.storage.errors import StorageError
from superchat.storage.migrations import schema_version

STEP_PAGES: Final = 256
"""A MiB. After each the copy is synced: one sync of everything at the end held a commit of a busy server for 0.7 s,
with one for each MiB the slowest took 0.13 s."""

Progress = Callable[[int, int], object]
"""Told how many bytes of how many are copied."""

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_COUNT_MESSAGES: Final = "SELECT count(*) FROM message"
LOGS: Final = ("-wal", "-journal")
"""What is committed, or must be undone, and not yet so in the database itself."""
SIDE_FILES: Final = (*LOGS, "-shm")


@attrs.frozen
class Copy:
    """A database that was found to be whole."""

    path: Path
    size_bytes: int
    schema_version: int
    messages: int  # rows


def silent(done_bytes: int, total_bytes: int) -> None:
    """Tell nobody of the progress."""


def back_up(database: Path, target: Path, *, replace: bool = False, progress: Progress = silent) -> Copy:
    """Copy a database, in use or not, to *target*, which is whole and on stable storage when it is there.

    What was acknowledged before the call is in the copy. Others read and write meanwhile and wait for nothing: the
    copy is read in one transaction, so that it never begins anew because of them. Only the write-ahead log
    cannot be shortened until it is done.

    Raises StorageError, and leaves *target* as it was; also when it exists, unless it is to be replaced.
    """
    with reported(f"cannot back up {database} to {target}"):
        _check_target(database, target, replace)
        with draft_beside(target) as draft:
            with closing(_opened_in_use(database)) as source:
                copy_into(draft, source, progress)
            copy = attrs.evolve(examine(draft), path=target)
            publish(draft, target, replace=replace)
    return copy


def examine(path: Path) -> Copy:
    """Read all of a database file that nobody writes to, and change nothing.

    Raises StorageError when it is damaged, or none that this server made.
    """
    with reported(f"cannot read {path}"), closing(opened_alone(path)) as connection:
        version = schema_version(path, connection)
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise StorageError(f"{path} is damaged: {' '.join(str(found).split())}")
        (messages,) = connection.execute(_COUNT_MESSAGES).fetchone()
    return Copy(path, path.stat().st_size, version, messages)


@contextmanager
def draft_beside(target: Path) -> Iterator[Path]:
    """An empty private file in the folder of *target*, for what shall take its name; it is removed in the end."""
    descriptor, name = tempfile.mkstemp(".part", f".{target.name}.", target.parent)
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
    finally:
        for leftover in (draft, *(beside(draft, suffix) for suffix in SIDE_FILES)):
            # What has its name by now is done, and cannot be called a failure for what remains of the draft.
            with suppress(OSError):
                leftover.unlink()


def copy_into(draft: Path, source: sqlite3.Connection, progress: Progress) -> None:
    """Copy what is committed in *source* into an empty file, and sync it. Raises sqlite3.Error and OSError."""
    source.execute("BEGIN")
    (page_bytes,) = source.execute("PRAGMA page_size").fetchone()
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only reading begins the transaction
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            # Until it is whole it is worth nothing, so nothing has to protect it from a crash.
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("PRAGMA synchronous = OFF")

            def step_done(status: int, remaining: int, total: int) -> None:
                os.fdatasync(descriptor)
                progress((total - remaining) * page_bytes, total * page_bytes)

            source.backup(copy, pages=STEP_PAGES, progress=step_done)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        source.execute("ROLLBACK")


def publish(draft: Path, target: Path, *, replace: bool) -> None:
    """Give a draft its name, for good. Raises OSError."""
    if replace:
        os.replace(draft, target)
    else:
        link(draft, target)
    sync(target.parent)


def link(source: Path, target: Path) -> None:
    """Give a file another name, which nothing has yet. Raises FileExistsError and other OSErrors."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The file system has no links. The name was free a moment ago, and it is for nobody else.
        os.rename(source, target)


def beside(path: Path, suffix: str) -> Path:
    """The path with something behind its name."""
    return path.with_name(path.name + suffix)


def _check_target(database: Path, target: Path, replace: bool) -> None:
    if not target.parent.is_dir():
        raise StorageError(f"there is no folder {target.parent}")
    if target.is_dir():
        raise StorageError(f"{target} is a folder")
    whole = database.resolve()
    if target.resolve() in (whole, *(beside(whole, suffix) for suffix in (*SIDE_FILES, ".lock"))):
        raise StorageError(f"{target} belongs to the database itself")
    if os.path.lexists(target) and not replace:
        raise StorageError(f"{target} exists already")


def _opened_in_use(database: Path) -> sqlite3.Connection:
    if not is_there(database):
        raise StorageError(f"there is no database {database}")
    # Not opened for reading only: that would leave its log and index beside a database that nobody else has open.
    connection = connect(database)
    connection.execute("PRAGMA query_only = ON")
    return connection


def opened_alone(path: Path) -> sqlite3.Connection:
    """Open a file without making others beside it, unless there is a log that belongs to it."""
    if not path.is_file():
        raise StorageError(f"there is no file {path}")
    with_log = any(is_there(beside(path, suffix)) for suffix in LOGS)
    address = f"{path.absolute().as_uri()}?mode=ro{'' if with_log else '&immutable=1'}"
    return sqlite3.connect(address, uri=True, isolation_level=None)


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Say errors in the interface's terms."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"{what}: {error}") from error
    except OSError as error:
        raise StorageError(f"{what}: {error.strerror or error}") from error
