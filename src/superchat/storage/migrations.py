"""Brings a database file to the schema that this release knows, or makes a new one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import attrs
from twisted.logger import Logger

from superchat.storage import vacuum
from superchat.storage.connections import connect, is_there, make_private, sync, sync_way_to
from superchat.storage.errors import SchemaTooNew, StorageError

_log = Logger()

# Tells our files from everybody else's SQLite files; "SChA" in ASCII.
APPLICATION_ID = 0x53436841

# The first with UPDATE FROM and more than 999 parameters.
OLDEST_SQLITE = (3, 33, 0)

_CREATE_TABLE = """
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,  -- the number that the migration's file begins with
    name TEXT NOT NULL,           -- the rest of that file's name
    applied_at INTEGER NOT NULL   -- Unix milliseconds
)
"""


@attrs.frozen
class Migration:
    """One step of the schema, applied once to each database, in a transaction of its own."""

    version: int
    name: str
    sql: str


def shipped() -> tuple[Migration, ...]:
    """All migrations of this release, by version; ``schema/0001_name.sql`` is version 1."""
    folder = files("superchat.storage") / "schema"
    scripts = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return tuple(_migration(file) for file in sorted(scripts, key=lambda file: file.name))


def _migration(file: Traversable) -> Migration:
    version, _, name = file.name.removesuffix(".sql").partition("_")
    return Migration(int(version), name, file.read_text("utf-8"))


def prepare(path: Path, now_seconds: float, migrations: Sequence[Migration]) -> bool:
    """Make sure that a database with all of ``migrations`` is at ``path``; returns whether it is new.

    An existing one is backed up beside itself before anything is changed. Raises SchemaTooNew, or
    StorageError with a sentence that names the file and what is wrong with it.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise StorageError(f"SQLite is {sqlite3.sqlite_version} here, {path} needs {needed} or later")
    path = path.resolve()
    try:
        if is_there(path) and path.stat().st_size:
            _upgrade(path, now_seconds, migrations)
            return False
        _create(path, now_seconds, migrations)
        return True
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"cannot open the database {path}: {error}") from error


def _create(path: Path, now_seconds: float, migrations: Sequence[Migration]) -> None:
    """Build beside the target and rename: a crash leaves either nothing at ``path`` or all of it."""
    _refuse_orphans(path)
    draft = _beside(path, ".new")
    for leftover in (draft, _beside(draft, "-wal"), _beside(draft, "-shm"), _beside(draft, "-journal")):
        leftover.unlink(missing_ok=True)
    sync_way_to(path.parent)  # first: a database that is there is in a folder that is there for good
    make_private(draft)
    with closing(connect(draft)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # it is synced once, when it is whole
        connection.execute(f"PRAGMA auto_vacuum = {vacuum.INCREMENTAL}")  # before there is anything in it
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(_CREATE_TABLE)
        for migration in migrations:
            _apply(migration, path, now_seconds, connection)
        _use_write_ahead_log(path, connection)
    sync(draft)
    os.replace(draft, path)
    sync(path.parent)


def _refuse_orphans(path: Path) -> None:
    """SQLite would pour the log of a lost database into a new one of the same name."""
    for orphan in (_beside(path, "-wal"), _beside(path, "-journal")):
        if is_there(orphan):
            raise StorageError(
                f"{path} is missing or empty, but {orphan.name} is there and may hold messages of it: "
                "put the database back, or move that file away to begin a new one"
            )


def _upgrade(path: Path, now_seconds: float, migrations: Sequence[Migration]) -> None:
    with closing(connect(path)) as connection:
        current = schema_version(path, connection)
        newest = max(migration.version for migration in migrations)
        if current > newest:
            raise SchemaTooNew(
                f"{path} has schema version {current}, made by a later release; this release knows versions "
                f"up to {newest}. Run the later release, or put back the backup from before its upgrade"
            )
        _use_write_ahead_log(path, connection)
        connection.execute("BEGIN IMMEDIATE")  # better to learn here than later that nothing can be written
        connection.execute("ROLLBACK")
        pending = [migration for migration in migrations if migration.version > current]
        if pending:
            _back_up(path, current, now_seconds, connection)
        for migration in pending:
            _apply(migration, path, now_seconds, connection)
        _let_shrink(path, connection)


def _let_shrink(path: Path, connection: sqlite3.Connection) -> None:
    """Rewrite a database from before space was given back, once; it works without that, but never gets smaller."""
    if vacuum.gives_back(connection):
        return
    _log.info("rewriting {path} once, so that it can give disk space back; this may take a while", path=str(path))
    try:
        vacuum.rewrite(connection)
    except sqlite3.Error as error:
        _log.warn(
            "cannot rewrite {path}, which needs as much free disk space again: {error}. It stays as it is and will not "
            "give disk space back; the next start tries again",
            path=str(path),
            error=error,
        )
    else:
        _log.info("{path} is rewritten", path=str(path))


def schema_version(path: Path, connection: sqlite3.Connection) -> int:
    """The version of a database's schema. Raises StorageError when it is none of ours."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise StorageError(f"{path} is an SQLite database, but none that this server made")
    (version,) = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    return int(version)


def _use_write_ahead_log(path: Path, connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            f"{path} cannot have a write-ahead log, which SQLite needs here (is it on a network file system?)"
        )


def _back_up(path: Path, version: int, now_seconds: float, connection: sqlite3.Connection) -> None:
    """Copy what is committed, the write-ahead log's part too, which the reference forgot (reference W29)."""
    moment = datetime.fromtimestamp(now_seconds, UTC).astimezone()
    backup = _beside(path, f".backup-v{version}-{moment:%Y%m%d-%H%M%S}")
    for leftover in path.parent.glob(f"{path.name}.backup-*.part"):
        leftover.unlink(missing_ok=True)
    draft = _beside(backup, ".part")
    try:
        make_private(draft)
        with closing(sqlite3.connect(draft)) as copy:
            connection.backup(copy)
        sync(draft)
        os.replace(draft, backup)
        sync(path.parent)
    except BaseException:
        with suppress(OSError):
            draft.unlink()  # it takes space, which may be what is missing
        raise
    _log.info("backed up the database to {backup}", backup=str(backup))


def _apply(migration: Migration, path: Path, now_seconds: float, connection: sqlite3.Connection) -> None:
    """Apply all of ``migration`` or nothing; the connection is of no more use when this raises."""
    # A table is rebuilt by dropping the old one, which would delete what points to it.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(migration.sql):
            connection.execute(statement)
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        if orphans:
            raise StorageError(f"{len(orphans)} rows would point to nothing")
    except (sqlite3.Error, StorageError) as error:
        raise StorageError(
            f"migration {migration.version} ({migration.name}) of {path} failed and was undone: {error}"
        ) from error
    applied = (migration.version, migration.name, int(now_seconds * 1000))
    connection.execute("INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)", applied)
    connection.execute("COMMIT")
    _log.info("migrated the database to version {version}", version=migration.version)


def _statements(script: str) -> Iterator[str]:
    """Split ``script``, one at a time because sqlite3's executescript would commit what is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
