"""Runs superchat-cli as its users do: as a process, with pipes or with a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.server import PATIENCE_SECONDS, Finished, Place, RunningServer

_COMMAND: Final = (sys.executable, "-m", "superchat.tools.cli")
_READ_BYTES: Final = 65536
_ROWS, _COLUMNS = 24, 100


def cli_environment(place: Place, port: int) -> dict[str, str]:
    """The environment of a command line that knows its server and nothing else of this machine."""
    inherited = {name: value for name, value in place.environment().items() if not name.startswith("SCCLI_")}
    return inherited | {"SCCLI_SERVER": f"127.0.0.1:{port}", "TERM": "xterm", "NO_COLOR": "1"}


def run_cli(server: RunningServer, *arguments: str, typed: bytes = b"", port: int | None = None) -> Finished:
    """Run a command to its end, with ``typed`` on standard input."""
    done = subprocess.run(
        [*_COMMAND, *arguments],
        env=cli_environment(server.place, server.port if port is None else port),
        input=typed,
        capture_output=True,
        start_new_session=True,  # without the terminal that the tests may run on, where it could ask for passwords
        timeout=PATIENCE_SECONDS,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


class RunningCLI:
    """A command under way. ``expect`` waits for what it prints; it is killed at the end of the test."""

    def __init__(self, case: SynchronousTestCase, server: RunningServer, *arguments: str) -> None:
        self._case = case
        self._printed = b""
        self._ended = False
        self._news = threading.Condition()
        self._process = self._spawn([*_COMMAND, *arguments], cli_environment(server.place, server.port))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        case.addCleanup(self._clean_up)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until something is printed that matches, and return the match; what was before it is forgotten."""
        with self._news:
            self._news.wait_for(lambda: self._search(pattern) or self._ended, PATIENCE_SECONDS)
            found = self._search(pattern)
            if found is None:
                self._case.fail(f"{pattern!r} is not in what was printed:\n{self._text}")
            self._printed = self._text[found.end() :].encode("utf-8", "surrogateescape")
            return found

    def interrupt(self) -> None:
        """Press Ctrl-C, as far as the process can tell."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Wait for its end and return the exit status."""
        return self._process.wait(PATIENCE_SECONDS)

    @property
    def _text(self) -> str:
        return self._printed.decode("utf-8", "surrogateescape")

    def _search(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self._text)

    def _spawn(self, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[Any]:
        self._source, writable = os.pipe()
        try:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=writable,
                stderr=writable,
                start_new_session=True,
            )
        finally:
            os.close(writable)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._source, _READ_BYTES)
            except OSError:
                data = b""  # how a terminal ends
            with self._news:
                self._printed += data
                self._ended = not data
                self._news.notify_all()
            if not data:
                return

    def _clean_up(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._reader.join(PATIENCE_SECONDS)
        os.close(self._source)


class TerminalCLI(RunningCLI):
    """A command whose standard input and output are a terminal."""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._source, keys.encode())

    def local_modes(self) -> int:
        """The terminal's own flags, such as termios.ECHO."""
        flags: int = termios.tcgetattr(self._source)[3]
        return flags

    def _spawn(self, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[Any]:
        self._source, slave = pty.openpty()
        self.modes_before = self.local_modes()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        # It stays open here, else the terminal's modes would be gone with the process.
        self._slave = slave
        return subprocess.Popen(
            command, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )

    def _clean_up(self) -> None:
        os.close(self._slave)
        super()._clean_up()
