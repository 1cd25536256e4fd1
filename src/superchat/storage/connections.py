"""Opens SQLite connections that all keep one promise, and says their errors in the interface's terms."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from superchat.storage.errors import StorageError, Unavailable

BUSY_TIMEOUT_SECONDS = 5.0
WAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024
OWNER_ONLY = 0o600

_NOT_OURS_TO_SYNC = frozenset({errno.EACCES, errno.EPERM, errno.EINVAL, errno.EROFS, errno.ENOTSUP})
_REFUSED_STATEMENTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Connect to an existing database, for one thread at a time.

    Transactions begin and end by explicit statements only. A commit that returned is on stable storage
    (decisions 4.6). Raises sqlite3.Error.
    """
    address = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(
        address, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # A setting made once holds for its own connection only: the reference left most of its pool without
        # them (reference W29).
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_SIZE_LIMIT_BYTES}")
        connection.execute(f"PRAGMA query_only = {int(read_only)}")
        # Only the first look into the file says whether it can be read at all.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Connect like `connect`, to a database that can be written and that nobody else writes. Raises sqlite3.Error.

    When SQLite cannot open a file for writing, if only for lack of a descriptor, it opens it for reading without a
    word; such a connection would refuse everything for as long as it lives.
    """
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        _write_nothing(connection)
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def commit(connection: sqlite3.Connection) -> None:
    """Commit; when this raises sqlite3.Error, nothing of the transaction is left, not even for a later start to find.

    When the write-ahead log cannot be synced, it has the whole transaction in it all the same. SQLite passes it over
    as long as it has the database open, but whoever opens that after a crash would take it for committed. So
    it is overwritten at once: a refused message must not turn up later (decisions 4.6).
    """
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError:
        _overwrite_refused(connection)
        raise


def _overwrite_refused(connection: sqlite3.Connection) -> None:
    """Commit something that changes nothing, in the place of what was refused.

    It need not reach the disk to do its work, for that only takes a process that is killed; where the disk takes
    nothing any more, a crash of the machine decides what is left.
    """
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        _write_nothing(connection)
        connection.execute("COMMIT")


def _write_nothing(connection: sqlite3.Connection) -> None:
    """Have a transaction write the first page as it is; every database has this number, which nobody here reads."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")


def make_private(path: Path) -> None:
    """Create ``path`` as an empty file that nobody but its owner reads. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY))


def is_there(path: Path) -> bool:
    """Whether there is something at *path*; raises OSError when that cannot be found out.

    `Path.exists` says no then, from Python 3.14 on, and a new database would take the place of the one that is there.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, to stable storage."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_way_to(folder: Path) -> None:
    """Force the names of a folder, and of those above it, to stable storage: whoever made them may not have done so.

    Those that this process may not read, or that cannot be synced, are not its own making.
    """
    for above in folder.absolute().parents:
        try:
            sync(above)
        except OSError as error:
            if error.errno not in _NOT_OURS_TO_SYNC:
                raise


def translated(error: BaseException) -> BaseException:
    """What a caller of the storage gets to see for ``error``; what is not SQLite's stays as it is."""
    if not isinstance(error, sqlite3.Error):
        return error
    kind = StorageError if isinstance(error, _REFUSED_STATEMENTS) else Unavailable
    answer = kind(f"the database says: {error}")
    answer.__cause__ = error
    return answer
