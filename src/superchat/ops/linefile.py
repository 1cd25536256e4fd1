"""Writes lines to a file descriptor without ever raising, blocking on a pipe, or growing without bound."""

import contextlib
import errno
import os
import select
from pathlib import Path

BUDGET_BYTES = 1_048_576
"""What may wait for a file that cannot be written, on a full disk say; newer lines are lost, and counted."""
FILE_MODE = 0o640

# A pipe that poll() calls writable takes this much without blocking (PIPE_BUF).
_PIPE_BYTES = 4096
_GONE = frozenset({errno.EPIPE, errno.EBADF, errno.EIO, errno.ENXIO})


class LineFile:
    """Lines on their way to one descriptor. Not safe for concurrent use.

    MUST NOT raise from `add` or `flush`; keeps the order; after a partial write the rest of the line comes
    first. `lost` counts lines dropped because more than BUDGET_BYTES waited, `failures` writes that failed.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._unwritten = bytearray()
        self.lost = 0
        self.failures = 0

    def add(self, line: str) -> None:
        """Take a line, newline included; the next `flush` writes it."""
        self._lines.append(line)

    def flush(self) -> bool:
        """Write all that waits, in one call when the system lets us; False when something still waits."""
        if self._lines:
            self._unwritten += "".join(self._lines).encode("utf-8", "backslashreplace")
            self._lines.clear()
        try:
            while self._unwritten:
                del self._unwritten[: self._write(self._unwritten)]
        except OSError as error:
            self.failures += 1
            self._on_error(error)
            self._keep_to_budget()
        return not self._unwritten

    def close(self) -> None:
        """Write what can be written and give the descriptor back."""
        self.flush()
        try:
            os.close(self._descriptor)
        except OSError:
            self.failures += 1

    def _write(self, data: bytearray) -> int:
        return os.write(self._descriptor, data)

    def _on_error(self, error: OSError) -> None:
        """What kept a write from happening; the lines wait."""

    def _keep_to_budget(self) -> None:
        if len(self._unwritten) > BUDGET_BYTES:
            # After the last whole line that fits; the first one always does, see MAX_TEXT_CHARS.
            end = self._unwritten.rfind(b"\n", 0, BUDGET_BYTES) + 1
            self.lost += self._unwritten.count(b"\n", end)
            del self._unwritten[end:]


class LogFile(LineFile):
    """A LineFile at a path, which can be opened anew after the file was moved away."""

    def __init__(self, path: Path) -> None:
        """Open for appending. Raises OSError when that is impossible."""
        self.path = path
        self._is_moved = False
        super().__init__(_open(path))

    def reopen(self) -> bool:
        """Go on in the file that now has the path's name; with the old one, and False, as long as there is none to
        open."""
        self._is_moved = False
        self.flush()
        self._renew()
        self.failures += self._is_moved
        return not self._is_moved

    def flush(self) -> bool:
        """Write all that waits; False also while a file that should be opened anew cannot be, so that this is tried
        again: what is written to a log that was rotated is soon lost."""
        if self._is_moved:
            self._renew()
        return super().flush() and not self._is_moved

    def _renew(self) -> None:
        previous = self._descriptor
        try:
            self._descriptor = _open(self.path)
        except OSError:
            self._is_moved = True
            return
        self._is_moved = False
        with contextlib.suppress(OSError):
            os.close(previous)

    def _on_error(self, error: OSError) -> None:
        if error.errno == errno.EBADF:
            # Somebody closed it under us. Not closed again: the number may be another file's by now.
            with contextlib.suppress(OSError):
                self._descriptor = _open(self.path)


class Stream(LineFile):
    """A LineFile on an inherited descriptor: standard output on a terminal, a pipe or the journal's socket.

    It never waits for a reader that has stopped, and falls silent for good when the reader is gone.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._gone = False
        self._events = select.poll()
        self._events.register(descriptor, select.POLLOUT)

    def add(self, line: str) -> None:
        if not self._gone:
            super().add(line)

    def _write(self, data: bytearray) -> int:
        # A pipe whose reader is gone has an event too, and the write then fails at once.
        if not self._events.poll(0):
            raise BlockingIOError(errno.EAGAIN, "the reader has stopped reading")
        return os.write(self._descriptor, data[:_PIPE_BYTES])

    def _on_error(self, error: OSError) -> None:
        if error.errno in _GONE:
            self._gone = True
            self._unwritten.clear()


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
