"""What the operating system says about this process and its disk."""

from __future__ import annotations

import errno
import os
import resource
import threading
from functools import cache
from pathlib import Path
from typing import Final

import attrs

_PAGE_BYTES: Final = resource.getpagesize()
_PROCESS: Final = Path("/proc/self")
_LINE_BYTES: Final = 200


@attrs.frozen
class Usage:
    """What this process uses; 0 for what the system does not say."""

    cpu_seconds: float  # in user and in kernel mode
    resident_bytes: int
    heap_bytes: int  # resident and not backed by a file: what was allocated, and what allocators keep
    virtual_bytes: int
    threads: int
    max_descriptors: int

    @classmethod
    def now(cls) -> Usage:
        """Takes some microseconds."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        virtual, resident, shared = _memory_pages()
        return cls(
            cpu_seconds=used.ru_utime + used.ru_stime,
            resident_bytes=resident * _PAGE_BYTES,
            heap_bytes=(resident - shared) * _PAGE_BYTES,
            virtual_bytes=virtual * _PAGE_BYTES,
            threads=threading.active_count(),
            max_descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )


def started_at() -> float:
    """When this process was started, in Unix seconds; 0 where the system does not say."""
    try:
        ticks = int(_PROCESS.joinpath("stat").read_text().rpartition(")")[2].split()[19])
        (boot,) = (line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, ValueError):
        return 0.0
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def open_descriptors() -> int:
    """How many files and sockets are open; 0 where the system does not say.

    Old kernels can only list them, which takes 4 µs for each: call it in a thread.
    """
    folder = _PROCESS / "fd"
    try:
        return folder.stat().st_size or len(os.listdir(folder))
    except OSError as error:
        # Listing them takes one, and none is left.
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0] if error.errno == errno.EMFILE else 0


def free_bytes(path: Path) -> int:
    """What may still be written to the file system of *path*. May take long: call it in a thread. Raises OSError."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


@cache
def _statm() -> int:
    """Open from the first look on: whoever runs out of descriptors is looked at all the more. Raises OSError."""
    return os.open(_PROCESS / "statm", os.O_RDONLY | os.O_CLOEXEC)


def _memory_pages() -> tuple[int, int, int]:
    """Virtual, resident, and resident but shared with a file."""
    try:
        virtual, resident, shared, *_ = map(int, os.pread(_statm(), _LINE_BYTES, 0).split())
    except (OSError, ValueError):
        return 0, 0, 0
    return virtual, resident, shared
