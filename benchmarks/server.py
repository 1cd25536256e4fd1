"""Starts a real server for a benchmark."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_CONFIG = """
[server]
tcp_port = 0
http_port = 0
interface = "127.0.0.1"
[monitoring]
metrics_port = 0
profiling_port = 0
[limits]
message_rate_limit = 0
max_frames_per_second = 0
max_connections_per_ip = 0
max_auth_attempts_per_minute = 0
"""
_TWISTD = "from twisted.scripts.twistd import run; run()"
_COMMAND = (sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "--logger=superchat.ops.logs.stdout_observer")
_START_SECONDS = 20


def raise_descriptor_limit() -> None:
    """Ask for as many descriptors as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server(NamedTuple):
    """A running server."""

    port: int
    pid: int


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, in user and in kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_server() -> Iterator[Server]:
    """A server without limits, in a process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "superchat.toml")
        config.write_text(_CONFIG)
        process = subprocess.Popen(
            [*_COMMAND, "superchat", "--config", str(config)],
            env={**os.environ, "XDG_DATA_HOME": folder},
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield Server(_port(Path(folder, "superchat", "server.log")), process.pid)
        finally:
            process.terminate()
            process.wait()


def _port(log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines() if log.exists() else ():
            if "Server started on port" in line:
                return int(line.rsplit(" ", 1)[1])
        time.sleep(0.02)
    raise SystemExit("the server did not start")
