"""Where the control socket is, and how to name it to the kernel."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

SOCKET: Final = "control.sock"

LONGEST_ADDRESS_BYTES: Final = 103
"""What every system has room for: sun_path has 108 bytes on Linux and 104 elsewhere, the end included."""


@attrs.frozen
class Whereabouts:
    """What a server leaves in the lock of its database: its process, and where it can be asked."""

    pid: int
    socket: Path

    def note(self) -> str:
        """As text for the lock."""
        return json.dumps({"pid": self.pid, "socket": str(self.socket)})

    @classmethod
    def read(cls, note: str) -> Whereabouts | None:
        """What a note says; none when it is no such note."""
        try:
            match json.loads(note):
                case {"pid": int(pid), "socket": str(path)}:
                    return cls(pid, Path(path))
        except ValueError:
            pass
        return None


def socket_path(data_directory: Path, environ: Mapping[str, str]) -> Path:
    """Where a server has its socket: in the runtime directory that systemd gives it, else in the data directory."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (Path(runtime) if runtime.startswith("/") else data_directory) / SOCKET


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """A name for the socket at *path* that is short enough for the kernel, as long as the context lasts.

    Raises OSError when its folder cannot be had.
    """
    if len(os.fsencode(path)) <= LONGEST_ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"  # Linux; elsewhere it is an address that cannot be bound
    finally:
        os.close(folder)
