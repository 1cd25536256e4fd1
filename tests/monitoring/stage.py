"""The server under load, in a journal, scraped by Prometheus: set up once for all tests of a process."""

from __future__ import annotations

import atexit
import grp
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import attrs

import superchat
from superchat.storage.connections import BUSY_TIMEOUT_SECONDS
from tests.e2e.server import PATIENCE_SECONDS, free_port
from tests.monitoring.documents import ROOT
from tests.monitoring.journal import Journal, NoJournal
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.tools import PATH, ending_with_us

SOURCES: Final = Path(superchat.__file__).parent.parent
CONFIG: Final = """
[server]
interface = "127.0.0.1"
tcp_port = {tcp}
http_port = {http}
[limits]
max_connections_per_ip = 0
[logging]
json = true
[monitoring]
metrics_port = {metrics}
profiling_port = {profiling}
"""
_ATTEMPTS: Final = 3

_RELOAD: Final = """
[ "$1 $2" = "reload superchat" ] || exit 1
reloads() {{ cat {log} | grep -c "Configuration .*reloaded"; }}
before=$(reloads)
kill -HUP {pid}
for _ in $(seq 100); do
    [ "$(reloads)" = "$before" ] || exit 0
    sleep 0.05
done
exit 1
"""


@attrs.frozen
class Ports:
    """Where the server listens here, instead of where it does by default."""

    tcp: int
    http: int
    metrics: int
    profiling: int

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody listens on at the moment."""
        return cls(*(free_port() for _ in range(4)))

    def in_place(self, text: str) -> str:
        """A text of a guide with these ports in it."""
        for standard, ours in ((6465, self.tcp), (8080, self.http), (9090, self.metrics), (6060, self.profiling)):
            for host in ("localhost:", "localhost ", "127.0.0.1:"):
                text = text.replace(f"{host}{standard}", f"{host}{ours}")
        return text.replace("healthcheck.sh 6465 9090", f"healthcheck.sh {self.tcp} {self.metrics}")


@attrs.frozen
class Result:
    """What a command printed, and its exit code; None when it was still running and had to be stopped."""

    code: int | None
    output: str
    errors: str


class Stage:
    """`data` is the data directory, `home` the home directory of whoever types the commands of the guides."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="superchat-proof-"))
        self._ends: list[Callable[[], object]] = [lambda: shutil.rmtree(self.root, ignore_errors=True)]
        atexit.register(self.close)
        self.home = self.root / "home"
        self.data = self.home / ".local" / "share" / "superchat"
        self.commands = self.root / "bin"
        self.home.mkdir(mode=0o755)
        self.no_journal = ""
        self.journal = self._journal()
        self._start()
        self._write_commands()
        self._play()

    def close(self) -> None:
        """End everything, in the opposite order; may be called again."""
        while self._ends:
            self._ends.pop()()

    def _journal(self) -> Journal | None:
        try:
            journal = Journal.start(self.root / "journal")
        except NoJournal as reason:
            self.no_journal = str(reason)
            return None
        self._ends.append(journal.stop)
        return journal

    # The server

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of an operator here."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SUPERCHAT_", "XDG_"))}
        path = os.pathsep.join([str(self.commands), PATH])
        # Go builds its tools when they are first used, and should not have to for every test run.
        cache = {"GOCACHE": os.environ.get("GOCACHE") or os.path.expanduser("~/.cache/go-build")}
        return inherited | {"HOME": str(self.home), "PYTHONPATH": str(SOURCES), "PATH": path} | cache | more

    def _start(self) -> None:
        for _ in range(_ATTEMPTS):
            self.ports = Ports.free()
            config = self.home / ".config" / "superchat" / "superchat.toml"
            config.parent.mkdir(parents=True, exist_ok=True)
            config.write_text(CONFIG.format(**attrs.asdict(self.ports)))
            self.server = self._server()
            if self._wait(lambda: "Server started on port" in self.log("server.log"), self.server):
                self._ends.append(lambda: _end(self.server))
                return
            _end(self.server)
        raise AssertionError(f"the server does not start: {(self.root / 'stderr').read_text()}")

    def _server(self) -> subprocess.Popen[bytes]:
        command = ending_with_us(sys.executable, "-m", "superchat.tools.scd")
        with (self.root / "stderr").open("wb") as errors:
            if self.journal is None:
                return subprocess.Popen(command, env=self.environment(), stdout=subprocess.DEVNULL, stderr=errors)
            with self.journal.stream() as stream:
                status = os.fstat(stream.fileno())
                environment = self.environment(JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
                return subprocess.Popen(command, env=environment, stdout=stream.fileno(), stderr=errors)

    def log(self, name: str) -> str:
        """The text of a log, "" before it exists."""
        path = self.data / name
        return path.read_text() if path.exists() else ""

    def _play(self) -> None:
        """Have users, a Prometheus, and a database that is locked for once."""
        self.prometheus = Prometheus.start(self.root / "prometheus", self.ports.metrics)
        self._ends.append(self.prometheus.stop)
        command = ending_with_us(sys.executable, "-m", "tests.monitoring.load", str(self.ports.tcp))
        said = self.root / "load"
        environment = self.environment(PYTHONPATH=os.pathsep.join([str(SOURCES), str(ROOT)]))
        with said.open("wb") as output:
            load = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self._ends.append(lambda: _end(load))
        if not self._wait(lambda: "ready" in said.read_text(), load):
            raise AssertionError(f"nobody uses the server: {said.read_text()}")
        with closing(sqlite3.connect(self.data / "superchat.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            self._wait(lambda: "database" in self.log("errors.log"), load, BUSY_TIMEOUT_SECONDS * 3)
            database.execute("ROLLBACK")

    def _wait(
        self, done: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = PATIENCE_SECONDS
    ) -> bool:
        """Whether something has come true, in time and while a process is running."""
        deadline = time.monotonic() + seconds
        while not done():
            if process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    # The commands

    def _write_commands(self) -> None:
        """Programs under the names that the guides have for them; what else they would be is written beside each."""
        journalctl = f"exec /usr/bin/journalctl --namespace={self.journal.name} " if self.journal else "exit 77 # "
        programs = {
            # We are root, or have no rights to give.
            "sudo": 'exec "$@"',
            "journalctl": f'{journalctl}"$@"',
            # On the operators' path after installation.
            "scd": f'exec {sys.executable} -m superchat.tools.scd "$@"',
            # There is nobody to log in to. -G reads all options, and prints what would be done.
            "ssh": 'exec /usr/bin/ssh -G "$@"',
            # There is no browser, and the operators' machine need not be a Mac.
            "open": 'exec curl -sSf "$@"',
            "xdg-open": 'exec curl -sSf "$@"',
            # What systemd does for a unit of Type=notify-reload, which ends when the server has reloaded.
            "systemctl": _RELOAD.format(log=self.data / "server.log", pid=self.server.pid),
        }
        if not self.has_go:
            reader = f'exec {sys.executable} -m tests.monitoring.without_go "$@"'
            programs["go"] = f'PYTHONPATH="$PYTHONPATH:{ROOT}" {reader}'
        self.commands.mkdir()
        for name, text in programs.items():
            (self.commands / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.commands / name).chmod(0o755)

    def run(self, command: str, seconds: float = PATIENCE_SECONDS, cwd: Path | None = None) -> Result:
        """Run a command of a guide in a shell, with our ports in it, and for a limited time."""
        return self.execute(["bash", "-c", self.ports.in_place(command)], seconds, cwd)

    def execute(self, command: Sequence[str], seconds: float = PATIENCE_SECONDS, cwd: Path | None = None) -> Result:
        """Run a program."""
        process = self._popen(command, cwd or self.home, subprocess.PIPE, subprocess.PIPE)
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end_group(process)
            output, errors = process.communicate(timeout=PATIENCE_SECONDS)
            return Result(None, output.decode(errors="replace"), errors.decode(errors="replace"))
        return Result(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))

    def run_until(self, command: str, done: Callable[[str], bool], cwd: Path) -> Result:
        """Run a command that has no end of its own until *done*, which is given its output; then end it."""
        said, complained = self.root / "said", self.root / "complained"
        with said.open("wb") as output, complained.open("wb") as errors:
            process = self._popen(["bash", "-c", self.ports.in_place(command)], cwd, output, errors)
        self._wait(lambda: done(said.read_text(errors="replace")), process)
        code = process.poll()
        _end_group(process)
        process.wait(PATIENCE_SECONDS)
        return Result(code, said.read_text(errors="replace"), complained.read_text(errors="replace"))

    def _popen(self, command: Sequence[str], cwd: Path, output: Any, errors: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=self.environment(TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )

    @property
    def has_go(self) -> bool:
        """Whether there is a real `go tool pprof`."""
        return shutil.which("go", path=PATH) is not None

    @property
    def owner(self) -> str:
        """User and group of these processes, as logrotate takes them."""
        return f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"


_stage: list[Stage | Exception] = []


def stage() -> Stage:
    """The one of this process; the first call sets it up, and what goes wrong then every later call says again."""
    if not _stage:
        try:
            _stage.append(Stage())
        except Exception as error:  # noqa: BLE001 -- raised below
            _stage.append(error)
    if isinstance(_stage[0], Exception):
        raise _stage[0]
    return _stage[0]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
