"""Says which calls to the file system fail in a process that has `syscalls.c` before its C library.

A scene is played once after `Faults.count`, and then again with each of the calls that were counted failing: the
process is started once or each time with `Faults.environment`, and what fails may change while it runs.
"""

from __future__ import annotations

import errno
import mmap
import os
from enum import IntEnum
from pathlib import Path
from typing import Final, Self

import attrs

from tests.faults import preload


class Kind(IntEnum):
    """What a call does; the numbers are those of syscalls.c."""

    OPEN = 0
    READ = 1
    WRITE = 2
    SYNC = 3
    TRUNCATE = 4
    LOCK = 5
    MAP = 6
    NAME = 7  # unlink, rename, link, mkdir
    STAT = 8
    CLOSE = 9


class File(IntEnum):
    """What a call is about, by its name; the numbers are those of syscalls.c."""

    PLAIN = 1  # the database, its drafts and copies, and whatever is none of the others
    WAL = 2
    INDEX = 3
    JOURNAL = 4
    TEXT = 5  # server.log and the like
    FOLDER = 6


DATABASE: Final = (File.PLAIN, File.WAL, File.INDEX, File.JOURNAL, File.FOLDER)
WRITING: Final = (Kind.WRITE, Kind.SYNC, Kind.TRUNCATE)
"""What a full disk refuses, once space runs out; fsync too, where space is only then looked for."""
FOR_EVER: Final = 2**63

ERRORS: Final = {
    Kind.OPEN: (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EINTR),
    Kind.READ: (errno.EIO, errno.EINTR),
    Kind.WRITE: (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EINTR),
    Kind.SYNC: (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR),
    Kind.TRUNCATE: (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EINTR),
    Kind.LOCK: (errno.ENOLCK, errno.EAGAIN, errno.EINTR, errno.EIO),
    Kind.MAP: (errno.ENOMEM, errno.EAGAIN),
    Kind.NAME: (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EACCES),
    Kind.STAT: (errno.EIO, errno.EACCES),
    Kind.CLOSE: (errno.EIO, errno.ENOSPC),
}
"""How calls of each kind fail on Linux; the first is the likeliest."""

_CALLS, _FAILURES, _KINDS, _FILES, _FIRST, _LAST, _ERROR, _IS_SHORT, _SKIPS_SYNC, _IS_WHOLE = range(10)
_TRACE_BYTE: Final = 4096
_TRACED: Final = 65536
_VARIABLES: Final = ("FAULTS_FOLDER", "FAULTS_CONTROL")


@attrs.frozen
class Call:
    """A call that was counted."""

    kind: Kind
    file: File

    def __str__(self) -> str:
        return f"{self.kind.name.lower()} of {self.file.name.lower()}"


class Faults:
    """Which calls beneath *folder* count, and which of them fail; at once, also in processes that run already.

    ``control`` is a file for that, beneath which nothing counts; several objects may share it.
    """

    def __init__(self, control: Path, folder: Path) -> None:
        self._control = control.absolute()
        self._folder = folder.resolve()
        size = _TRACE_BYTE + 2 * _TRACED
        if not control.exists():
            control.write_bytes(bytes(size))
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self._bytes = memoryview(self._map)
        self._words = self._bytes[:_TRACE_BYTE].cast("Q")

    @classmethod
    def here(cls) -> Self:
        """Those of this process, which was started with `environment`."""
        folder, control = (os.environ[name] for name in _VARIABLES)
        return cls(Path(control), Path(folder))

    def environment(self, library: Path) -> dict[str, str]:
        """The variables of a process whose calls these are."""
        values = (str(self._folder), str(self._control))
        return preload.environment(library, **dict(zip(_VARIABLES, values, strict=True)))

    def count(self, kinds: tuple[Kind, ...] = tuple(Kind), files: tuple[File, ...] = tuple(File)) -> None:
        """Let nothing fail, and count from now on the calls of these kinds about these files."""
        self.rest()
        self._words[_KINDS] = sum(1 << kind for kind in kinds)
        self._words[_FILES] = sum(1 << file for file in files)
        self._words[_CALLS] = self._words[_FAILURES] = self._words[_IS_WHOLE] = 0

    def fail(
        self,
        first: int,
        last: int,
        error: int,
        *,
        is_short: bool = False,
        kinds: tuple[Kind, ...] = tuple(Kind),
        files: tuple[File, ...] = tuple(File),
    ) -> None:
        """Count from now on, and let the calls from number *first* to *last* fail with *error*.

        With *is_short* the first one, if it reads or writes, does half of it and succeeds; so a single one does not
        fail, which whoever calls must cope with. EINTR must not be for ever: it is tried again and again.
        """
        self.count(kinds, files)
        self._words[_ERROR], self._words[_IS_SHORT] = error, int(is_short)
        self._words[_LAST] = last
        self._words[_FIRST] = first

    def rest(self) -> None:
        """Let nothing fail any more."""
        self._words[_FIRST] = 0

    def skip_sync(self) -> None:
        """Let what is synced not be: for speed, where only processes are killed."""
        self._words[_SKIPS_SYNC] = 1

    def close(self) -> None:
        """Be of no more use here; what fails goes on to."""
        self._words.release()
        self._bytes.release()
        self._map.close()

    @property
    def calls(self) -> int:
        """How many counted."""
        return self._words[_CALLS]

    @property
    def failures(self) -> int:
        """How many of them failed, or were short."""
        return self._words[_FAILURES]

    @property
    def is_whole(self) -> bool:
        """Whether a short write was to write what was there already, as far as it did not come: so all is there."""
        return bool(self._words[_IS_WHOLE])

    @property
    def trace(self) -> list[Call]:
        """What the counted calls were, as far as there was room to note it."""
        end = _TRACE_BYTE + 2 * min(self.calls, _TRACED)
        noted = bytes(self._bytes[_TRACE_BYTE:end])
        return [Call(Kind(kind), File(file)) for kind, file in zip(noted[::2], noted[1::2], strict=True)]


def build(directory: Path) -> Path:
    """Compile `syscalls.c` into *directory*."""
    return preload.build("syscalls", directory)
