"""One process at a time uses a database: the server, or the administration's tool when no server runs.

SQLite itself would let several write, but each server believes that it alone numbers messages and knows who is
banned; and nobody may put another file in the place of a database that is in use.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from superchat.storage.connections import OWNER_ONLY
from superchat.storage.errors import StorageError

LONGEST_NOTE_BYTES: Final = 8192


class DatabaseInUse(StorageError):
    """Another process has the database."""


class DatabaseLock:
    """An exclusive lock of the database at *path*; it ends with the process that has it, however that ends.

    It is held on a file beside the database, which stays there: its removal would let two processes lock two files.
    """

    def __init__(self, path: Path) -> None:
        self.database = path.resolve()
        self._file = _lock_file(self.database)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises `DatabaseInUse`, or StorageError when the file cannot be had."""
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, OWNER_ONLY)
        except OSError as error:
            raise StorageError(f"cannot open {self._file}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _give_to_owner_of_folder(descriptor, self._file.parent)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise DatabaseInUse(f"the database {self.database} is in use by another process") from None
            raise StorageError(f"cannot lock {self._file}: {error.strerror}") from error
        self._descriptor = descriptor

    def write_note(self, note: str) -> None:
        """Leave a note for those who find the database in use; the lock must be held. Raises OSError."""
        assert self._descriptor is not None, "the lock is not held"
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, note.encode("utf-8", "surrogateescape"), 0)

    def release(self) -> None:
        """Let others have the database, if the lock is held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)


def note_of_holder(path: Path) -> str:
    """The note that the last holder of a database's lock left, which may be gone by now; empty without one."""
    try:
        with _lock_file(path.resolve()).open("rb") as file:
            return file.read(LONGEST_NOTE_BYTES).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def _lock_file(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def _give_to_owner_of_folder(descriptor: int, folder: Path) -> None:
    """A file that the superuser makes must not lock out the server, which is somebody else."""
    if os.geteuid() != 0:
        return
    owner, mine = folder.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (mine.st_uid, mine.st_gid):
        with suppress(PermissionError):  # one without the superuser's capabilities
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
