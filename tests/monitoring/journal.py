"""A journal of one's own: the real systemd-journald in a namespace, and a unit that logs to it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import attrs

from tests.monitoring.tools import ending_with_us

JOURNALD: Final = Path("/lib/systemd/systemd-journald")
_HEADER: Final = "scd\nsuperchat.service\n6\n1\n0\n0\n0\n"
"""What systemd sends for a service with SyslogIdentifier=scd: identifier, unit, priority, and that lines have
priority marks, which the journal takes off."""


class NoJournal(Exception):
    """The journal cannot run here; the text says why."""


@attrs.frozen
class Journal:
    """A running journald; its sockets are in *directory*, and `journalctl --namespace=NAME` reads it."""

    name: str
    directory: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path) -> Journal:
        """Start one. Raises NoJournal where that is not possible."""
        if not JOURNALD.exists():
            raise NoJournal("systemd-journald is not installed")
        if os.getuid():
            raise NoJournal("systemd-journald runs as root only")
        directory.mkdir()
        name = f"superchat-{os.getpid()}"
        with (directory / "output").open("wb") as output:
            command = ending_with_us(str(JOURNALD), name)
            environment = {**os.environ, "RUNTIME_DIRECTORY": str(directory)}
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        deadline = time.monotonic() + 10
        while not (directory / "stdout").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise NoJournal(f"systemd-journald does not start: {(directory / 'output').read_text().strip()}")
            time.sleep(0.02)
        return cls(name, directory, process)

    def stream(self) -> socket.socket:
        """A stream into the journal, as systemd makes it for the standard output of superchat.service."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.connect(str(self.directory / "stdout"))
        connected.shutdown(socket.SHUT_RD)
        connected.sendall(_HEADER.encode())
        return connected

    def stop(self) -> None:
        """End it, and take away what it has written."""
        self.process.terminate()
        self.process.wait(10)
        machine = Path("/etc/machine-id").read_text().strip()
        for where in (Path("/run/log/journal"), Path("/var/log/journal")):
            written = where / f"{machine}.{self.name}"
            for file in written.glob("*"):
                file.unlink()
            if written.is_dir():
                written.rmdir()
