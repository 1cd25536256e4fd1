"""What processes of this machine use, and which one is the server (Linux; elsewhere nothing is known)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"


class ServerProcess:
    """Measures a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._begin: float | None = None
        self._waited_before: float | None = None
        self.waited_seconds: float | None = None
        """How long its main thread had to wait for a core since ``begin``; None if that is not known."""
        self.cpu_seconds: float | None = None
        """CPU used since ``begin``, in user and in kernel mode; None if that is not known."""
        self.most_memory_mib: float | None = None

    def begin(self) -> None:
        """Count CPU from now on."""
        self._begin = cpu_seconds(self.pid)
        self._waited_before = waited_seconds(self.pid)

    def look(self) -> None:
        """Measure again; a process that is gone keeps its last figures."""
        now = cpu_seconds(self.pid)
        if self._begin is not None and now is not None:
            self.cpu_seconds = now - self._begin
        waited = waited_seconds(self.pid)
        if self._waited_before is not None and waited is not None:
            self.waited_seconds = waited - self._waited_before
        memory = memory_mib(self.pid)
        if memory is not None:
            self.most_memory_mib = max(memory, self.most_memory_mib or 0.0)


def cpu_seconds(pid: int) -> float | None:
    """CPU time that a process has used, in user and in kernel mode; None if there is no such process."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited_seconds(pid: int) -> float | None:
    """How long a process's main thread was ready to run and had no core; None if that is not known."""
    try:
        return int((_PROC / str(pid) / "schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return None


def memory_mib(pid: int) -> float | None:
    """Resident memory of a process; None if there is no such process."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def listening_pid(port: int) -> int | None:
    """The one process of this machine that listens on a TCP port; None if there are several, or none we may see."""
    inodes = set(_listening_inodes(port))
    pids = {pid for pid in _pids() if inodes & set(_socket_inodes(pid))} if inodes else set()
    return pids.pop() if len(pids) == 1 else None


def _listening_inodes(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _pids() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(each) for each in os.listdir(_PROC) if each.isdigit())


def _socket_inodes(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = os.readlink(descriptor)
                if target.startswith("socket:["):
                    yield target[8:-1]
