"""Starts the server as a process of its own, the way its operators do, and makes sure that it ends with the test."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

import superchat
from tests.e2e import watched

PATIENCE_SECONDS: Final = 30.0
"""How long a test waits for what must happen; only a failing test ever waits that long."""

UNLIMITED: Final = """
[limits]
message_rate_limit = 0
max_frames_per_second = 0
max_connections_per_ip = 0
"""

_READY = re.compile(r"Server started on port (\d+)")
_LINES_KEPT = 200
_ATTEMPTS = 5


@attrs.frozen
class Stall:
    """A moment at which the reactor came late; see ``watched.Watchdog``."""

    at: float
    late_seconds: float
    used_seconds: float
    waited_seconds: float


@attrs.frozen
class Finished:
    """A process that has ended."""

    exit_code: int
    stdout: str
    stderr: str


@attrs.frozen
class Place:
    """Where a server keeps what is its own: ``<root>/data/superchat`` is its data directory."""

    root: Path

    @property
    def data_directory(self) -> Path:
        return self.root / "data" / "superchat"

    @property
    def database(self) -> Path:
        return self.data_directory / "superchat.db"

    @property
    def config(self) -> Path:
        return self.root / "superchat.toml"

    @property
    def stderr(self) -> Path:
        return self.root / "stderr"

    @property
    def report(self) -> Path:
        return self.root / "stalls.jsonl"

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a server here: nothing configures it that the test does not know of."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SUPERCHAT_")}
        sources = str(Path(superchat.__file__).parent.parent)
        return inherited | {
            "PYTHONPATH": os.pathsep.join([sources, *filter(None, [os.environ.get("PYTHONPATH")])]),
            "XDG_DATA_HOME": str(self.root / "data"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "SUPERCHAT_SERVER_INTERFACE": "127.0.0.1",
            "SUPERCHAT_SERVER_HTTP_PORT": "0",
            "SUPERCHAT_MONITORING_METRICS_PORT": "0",
            "SUPERCHAT_MONITORING_PROFILING_PORT": "0",
            **more,
        }

    def twistd(self, *options: str) -> list[str]:
        """The command ``twistd <options> superchat`` of the interpreter that runs the tests."""
        return [sys.executable, watched.__file__, str(self.report), *options, "superchat", "--config", str(self.config)]

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Finished:
        """Run a command that is expected to end by itself."""
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        return Finished(done.returncode, done.stdout, done.stderr)


def new_place(case: SynchronousTestCase, config: str = "") -> Place:
    """A directory of its own for ``case``, with a configuration file."""
    place = Place(Path(case.mktemp()).absolute())
    place.root.mkdir(parents=True)
    place.config.write_text(config)
    return place


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class RunningServer:
    """A server that accepts connections on ``port`` (TCP) and, if asked to, ``http_port`` (WebSocket).

    ``config`` is the text of its configuration file, ``environment`` goes before that. It is killed at the end of
    the test, if it still runs. With ``place`` it goes on with the data of an earlier one.
    """

    def __init__(
        self,
        case: SynchronousTestCase,
        config: str = UNLIMITED,
        *,
        websocket: bool = False,
        place: Place | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._case = case
        self.place = new_place(case) if place is None else place
        self.place.config.write_text(config)
        self._options: dict[str, Any] = {"websocket": websocket, "environment": environment, "arguments": arguments}
        self._config = config
        self.port = self.http_port = 0
        self._start(websocket, environment or {}, arguments)

    @property
    def data_directory(self) -> Path:
        """Where logs and database are."""
        return self.place.data_directory

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM)."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it on the spot (SIGKILL), and wait until it is gone."""
        self._process.kill()
        self.wait()

    def wait(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and return the exit code; the test fails if there is none in time."""
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise self._case.failureException(f"the server does not end\n{self.output}") from None
        self._reader.join(PATIENCE_SECONDS)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to stop, and wait until it has; the test fails unless that was a regular end."""
        self.send_signal(number)
        self.wait_for_end(number)

    def wait_for_end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Wait for the end it was asked for with a signal; the test fails unless it was a regular one.

        twistd exits with 0 or, as it does nowadays, of the very signal, once everything is stopped.
        """
        code = self.wait()
        if code not in (0, -number) or "Server stopped" not in self.output:
            raise self._case.failureException(f"the server ended with {code}\n{self.output}\n{self.errors}")

    def restarted(self) -> RunningServer:
        """Another server on the same data, once this one has ended."""
        self.wait()
        return RunningServer(self._case, self._config, place=self.place, **self._options)

    @property
    def output(self) -> str:
        """The latest lines of its standard output."""
        return "".join(self._lines)

    @property
    def errors(self) -> str:
        """Its standard error."""
        return self.place.stderr.read_text()

    @property
    def log(self) -> str:
        """The contents of server.log."""
        return (self.data_directory / "server.log").read_text()

    def stalls(self) -> list[Stall]:
        """When its reactor came late, worst first; known only after a regular end."""
        return read_stalls(self.place.report)

    # Starting

    def _start(self, websocket: bool, environment: Mapping[str, str], arguments: Sequence[str]) -> None:
        for _ in range(_ATTEMPTS):
            self.http_port = free_port() if websocket else 0
            ours = {"SUPERCHAT_SERVER_HTTP_PORT": str(self.http_port)}
            self._spawn(self.place.environment(**ours, **environment), arguments)
            if self._ready.wait(PATIENCE_SECONDS) and self.port:
                return
            self._end()
            if not websocket or f":{self.http_port}: " not in self.errors:
                break  # else somebody took the port that was free a moment ago
        raise self._case.failureException(f"the server does not start\n{self.output}\n{self.errors}")

    def _spawn(self, environment: Mapping[str, str], arguments: Sequence[str]) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._ready = threading.Event()
        self._process = spawn(self._case, self.place, environment, arguments)
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        self._case.addCleanup(self._end)

    def _end(self) -> None:
        end(self._process)
        self._reader.join(PATIENCE_SECONDS)

    def _read(self, stream: Any) -> None:
        """Take in what it prints, so that it is never held up by us."""
        with stream:
            for line in stream:
                self._lines.append(line)
                if not self._ready.is_set() and (found := _READY.search(line)):
                    self.port = int(found[1])
                    self._ready.set()
        self._ready.set()


def spawn(
    case: SynchronousTestCase, place: Place, environment: Mapping[str, str], arguments: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start a server on any free port without waiting for it; it is killed at the end of the test."""
    command = place.twistd("-n", "--pidfile=", "--logger=superchat.ops.logs.stdout_observer")
    with place.stderr.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "--port", "0", *arguments],
            cwd=place.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
        )
    case.addCleanup(end, process)
    return process


def interrupted_start(
    case: SynchronousTestCase, place: Place, made: Path, number: signal.Signals, delay_seconds: float = 0.0
) -> int:
    """Start a server, send it a signal some time after it made a file, and return its exit code."""
    process = spawn(case, place, place.environment())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not made.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(delay_seconds)
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process, if it still runs, and wait until it is gone."""
    if process.poll() is None:
        process.kill()
    process.wait(PATIENCE_SECONDS)


def read_stalls(report: Path) -> list[Stall]:
    """What a ``watched.Watchdog`` reported, worst first."""
    return [Stall(**json.loads(line)) for line in report.read_text().splitlines()]
