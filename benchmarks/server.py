"""Starts a real server for a benchmark."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

_CONFIG = """
[server]
tcp_port = 0
http_port = {http_port}
interface = "127.0.0.1"
[monitoring]
metrics_port = {metrics_port}
profiling_port = 0
[limits]
max_connections_per_ip = 0
{limits}
"""
_UNLIMITED = """
message_rate_limit = 0
max_frames_per_second = 0
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


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in use and its own: not its program files, nor what the kernel has for it."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = (line.split()[1] for line in rollup.splitlines() if line.startswith("Private_"))
    return 1024 * sum(map(int, private))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number: int = listening.getsockname()[1]
        return number


@contextmanager
def running_server(
    metrics_port: int = 0, limits: str = _UNLIMITED, folder: str | None = None, http_port: int = 0
) -> Iterator[Server]:
    """A server in a process and a folder of its own, without limits if no others are given, and without the services
    that get no port."""
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        folder = str(Path(folder).absolute())  # for the server runs in it
        config = Path(folder, "superchat.toml")
        config.write_text(_CONFIG.format(metrics_port=metrics_port, http_port=http_port, limits=limits))
        log = Path(folder, "superchat", "server.log")
        log.unlink(missing_ok=True)  # of the server that ran there before
        process = subprocess.Popen(
            [*_COMMAND, "superchat", "--config", str(config)],
            env={**os.environ, "XDG_DATA_HOME": folder},
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield Server(_port(log), process.pid)
        finally:
            process.terminate()
            process.wait()


def _port(log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines() if log.exists() else ():
            if "Server started on port" in line:
                return int(line.rsplit(" ", 1)[1])
        time.sleep(0.005)
    raise SystemExit("the server did not start")
