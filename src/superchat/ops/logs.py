"""The server's logs: server.log, errors.log and debug.log in the data directory, and standard output."""

import atexit
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel, LogPublisher, globalLogPublisher

from superchat.ops.jsonlines import JsonFormat
from superchat.ops.linefile import LogFile, Stream
from superchat.ops.lines import DEBUG, ERRORS, Activity, Line, Lines
from superchat.ops.loglines import LineFormat

lines: Final = Lines((globalLogPublisher,))
"""What this process says, on its way to standard output and to the files."""
activity: Final = Activity("superchat.chat", observer=lines)
"""For what clients do."""

_ALL = frozenset(LogLevel.iterconstants())
_ALL_BUT_DEBUG = _ALL - {DEBUG}


@attrs.frozen
class _Kind:
    """The levels that belong in a log, whether it shows tracebacks, and whether its lines are JSON."""

    levels: Collection[object]
    has_tracebacks: bool = False
    is_json: bool = False


_ALWAYS: Final = {"server.log": _Kind(_ALL_BUT_DEBUG), "errors.log": _Kind(ERRORS, has_tracebacks=True)}
_DEBUG: Final = {"debug.log": _Kind(_ALL, has_tracebacks=True)}
_JSON: Final = {"server.json.log": _Kind(_ALL_BUT_DEBUG, has_tracebacks=True, is_json=True)}


def _kinds(debug: bool, json: bool) -> Mapping[str, _Kind]:
    return _ALWAYS | (_DEBUG if debug else {}) | (_JSON if json else {})


@attrs.frozen
class _Log:
    """One log: its file and what belongs in it."""

    file: LogFile
    kind: _Kind


class LogFiles:
    """Writes every line to the log files it belongs to (monitoring guide, "Log Files"; decisions 9.1).

    server.log holds INFO and above of this run, server.log.1 the run before; errors.log holds the errors of
    all runs, tracebacks included; debug.log holds everything, and exists only with `debug`; server.json.log has
    INFO and above of all runs as JSON, and exists only with `json`. What happens in one turn of the reactor of *clock*
    is one write per file; errors are written at once. Once started it never raises: lines that cannot be written wait,
    within a budget, and are tried again every second.

    What *publishers* say is written, and by default what this process says.
    """

    def __init__(
        self,
        directory: Path,
        debug: bool,
        clock: IReactorTime,
        publishers: Sequence[LogPublisher] | None = None,
        *,
        json: bool = False,
    ) -> None:
        self._directory = directory
        self._kinds = _kinds(debug, json)
        self._clock = clock
        self._lines = lines if publishers is None else Lines(publishers)
        self._log = Logger(observer=self._lines)
        self._format = LineFormat()
        self._json = JsonFormat()
        self._logs: dict[str, _Log] = {}
        self._failures_before = self._lost_before = 0
        self._lost_told = 0

    def start(self) -> None:
        """Open the files and listen to events. Raises OSError when the directory or a file cannot be made."""
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        server = self._directory / "server.log"
        if server.exists():
            server.replace(self._directory / "server.log.1")
        self._open()
        self._lines.run(self._clock)
        self._lines.attach(self)

    def stop(self) -> None:
        """Write what waits and close the files; events after this are not for them."""
        with self._lines.lock:
            self._lines.rest()
            self._lines.detach(self)
            self._lines.shows_debug = False
            self._close(list(self._logs))

    def reopen(self) -> bool:
        """Go on in new files after logrotate moved the old ones away; nothing is truncated or lost.

        False when one of them cannot be opened; it is as soon as it can, at most a second later.
        """
        with self._lines.lock:
            reopened = [log.file.reopen() for log in self._logs.values()]
            return all(reopened)

    def choose(self, debug: bool, json: bool) -> None:
        """Begin or end debug.log and server.json.log while running (decisions 9.5).

        Raises OSError when a file cannot be made; the others go on.
        """
        with self._lines.lock:
            self._kinds = _kinds(debug, json)
            self._close([name for name in self._logs if name not in self._kinds])
            self._open()

    def _open(self) -> None:
        self._lines.shows_debug = "debug.log" in self._kinds
        for name, kind in self._kinds.items():
            if name not in self._logs:
                self._logs[name] = _Log(LogFile(self._directory / name), kind)

    def _close(self, names: Iterable[str]) -> None:
        for name in names:
            file = self._logs.pop(name).file
            file.close()
            self._failures_before += file.failures
            self._lost_before += file.lost

    @property
    def failures(self) -> int:
        """Writes and reopenings that failed, since the start."""
        return self._failures_before + sum(log.file.failures for log in self._logs.values())

    @property
    def lost(self) -> int:
        """Lines given up because too much waited for a file, since the start."""
        return self._lost_before + sum(log.file.lost for log in self._logs.values())

    def add(self, line: Line) -> None:
        """Take a line; the next `flush` writes it."""
        for log in self._logs.values():
            if line.level not in log.kind.levels:
                continue
            if log.kind.is_json:
                log.file.add(self._json.line(line.event, line.text))
                continue
            log.file.add(line.stamped)
            if log.kind.has_tracebacks:
                for traced in self._format.traceback_lines(line.event):
                    log.file.add(traced)

    def flush(self) -> bool:
        """Write all that waits; False when something still waits."""
        written = [log.file.flush() for log in self._logs.values()]
        if all(written) and self.lost > self._lost_told:
            count, self._lost_told = self.lost - self._lost_told, self.lost
            self._log.warn("{count} log lines were lost, the files could not be written", count=count)
        return all(written)


class StdoutLog:
    """Writes INFO and above to standard output; never waits for whoever reads it.

    Under systemd each line starts with the journal's priority mark, which the journal takes off again: so
    `journalctl -p err` works.
    """

    def __init__(self, stream: Stream, marks_priority: bool) -> None:
        self._stream = stream
        self._marks_priority = marks_priority

    def add(self, line: Line) -> None:
        """Take a line; the next `flush` writes it."""
        if line.level is not DEBUG:
            mark = _priority_mark(line.level) if self._marks_priority else ""
            self._stream.add(mark + line.stamped)

    def flush(self) -> bool:
        """Write all that waits; False when the reader has stopped reading."""
        return self._stream.flush()


def stdout_observer() -> Lines:
    """The observer for `twistd --logger=superchat.ops.logs.stdout_observer`."""
    descriptor = sys.__stdout__.fileno() if sys.__stdout__ else 1
    lines.attach(StdoutLog(Stream(descriptor), _is_journal(descriptor, os.environ)))
    # Whatever ends the process, short of a signal, the last lines are seen.
    atexit.register(lines.rest)
    return lines


def _is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether a descriptor is the journal's, as systemd says in $JOURNAL_STREAM (device:inode)."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _priority_mark(level: object) -> str:
    if level in ERRORS:
        return "<3>"
    return "<4>" if level is LogLevel.warn else "<6>"
