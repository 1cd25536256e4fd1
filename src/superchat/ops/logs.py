"""The server's logs: server.log, errors.log and debug.log in the data directory, and standard output."""

import os
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher, globalLogPublisher
from zope.interface import implementer

from superchat.ops.linefile import LogFile, Stream
from superchat.ops.loglines import LineFormat

RETRY_SECONDS = 1.0
"""How long after a failed write the next attempt comes."""
_LINES_AT_ONCE = 500

activity = LogPublisher()
"""For what clients can cause at will, thousands of lines a second: heard by the observers of this module only, because
Twisted's own take ten times as long for a line."""

_ALL = frozenset(LogLevel.iterconstants())
_ERRORS = frozenset({LogLevel.error, LogLevel.critical})


@attrs.frozen
class _Log:
    """One log: its file, the levels that belong in it, and whether it shows tracebacks."""

    file: LogFile
    levels: Collection[object]
    has_tracebacks: bool


@implementer(ILogObserver)
class LogFiles:
    """Writes every event to the log files it belongs to (monitoring guide, "Log Files"; decisions 9.1).

    server.log holds INFO and above of this run, server.log.1 the run before; errors.log holds the errors of
    all runs, tracebacks included; debug.log holds everything, and exists only with `debug`. What happens in
    one reactor turn is one write per file; errors are written at once. Once started it never raises: lines
    that cannot be written wait, within a budget, and are tried again every second.
    """

    def __init__(
        self,
        directory: Path,
        debug: bool,
        clock: IReactorTime,
        publishers: Sequence[LogPublisher] = (globalLogPublisher, activity),
    ) -> None:
        self._directory = directory
        self._levels = _ALL if debug else _ALL - {LogLevel.debug}
        self._clock = clock
        self._publishers = publishers
        self._log = Logger(observer=publishers[0])
        self._format = LineFormat()
        self._logs: tuple[_Log, ...] = ()
        self._waiting = 0
        self._lost_told = 0
        self._call: IDelayedCall | None = None
        self._thread = threading.get_ident()
        # Re-entrant: a value's __str__, or a signal, may log while a line is being made.
        self._lock = threading.RLock()

    def start(self) -> None:
        """Open the files and listen to events. Raises OSError when the directory or a file cannot be made."""
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        server = self._directory / "server.log"
        if server.exists():
            server.replace(self._directory / "server.log.1")
        logs = [
            _Log(LogFile(server), _ALL - {LogLevel.debug}, has_tracebacks=False),
            _Log(LogFile(self._directory / "errors.log"), _ERRORS, has_tracebacks=True),
        ]
        if LogLevel.debug in self._levels:
            logs.append(_Log(LogFile(self._directory / "debug.log"), _ALL, has_tracebacks=True))
        self._logs = tuple(logs)
        self._thread = threading.get_ident()
        for publisher in self._publishers:
            publisher.addObserver(self)

    def stop(self) -> None:
        """Write what waits and close the files; events after this are not for them."""
        for publisher in self._publishers:
            publisher.removeObserver(self)
        with self._lock:
            if self._call is not None:
                self._call.cancel()
                self._call = None
            for log in self._logs:
                log.file.close()
            self._logs = ()

    def reopen(self) -> None:
        """Go on in new files after logrotate moved the old ones away; nothing is truncated or lost."""
        with self._lock:
            for log in self._logs:
                log.file.reopen()

    @property
    def failures(self) -> int:
        """Writes and reopenings that failed, since the start."""
        return sum(log.file.failures for log in self._logs)

    @property
    def lost(self) -> int:
        """Lines given up because too much waited for a file, since the start."""
        return sum(log.file.lost for log in self._logs)

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level not in self._levels or _is_noise(event):
            return
        with self._lock:
            if line := self._format.line(event):
                self._add(line, level, list(self._format.traceback_lines(event)))
                self._see_to_writing(level in _ERRORS)

    def _add(self, line: str, level: object, traceback: list[str]) -> None:
        self._waiting += 1
        for log in self._logs:
            if level in log.levels:
                log.file.add(line)
                if log.has_tracebacks:
                    for traced in traceback:
                        log.file.add(traced)

    def _see_to_writing(self, at_once: bool) -> None:
        if threading.get_ident() != self._thread:
            # The clock belongs to the reactor's thread; other threads log seldom.
            self._write()
        elif at_once or self._waiting >= _LINES_AT_ONCE:
            self._flush()
        elif self._call is None:
            self._call = self._clock.callLater(0, self._flush_now)

    def _flush_now(self) -> None:
        with self._lock:
            self._call = None
            self._flush()

    def _flush(self) -> None:
        """Write, and come again later if something could not be written."""
        if not self._write():
            if self._call is None:
                self._call = self._clock.callLater(RETRY_SECONDS, self._flush_now)
        elif self.lost > self._lost_told:
            count, self._lost_told = self.lost - self._lost_told, self.lost
            self._log.warn("{count} log lines were lost, the files could not be written", count=count)

    def _write(self) -> bool:
        self._waiting = 0
        written = [log.file.flush() for log in self._logs]
        return all(written)


@implementer(ILogObserver)
class StdoutLog:
    """Writes INFO and above as lines to standard output, at once; never waits for whoever reads it.

    Under systemd each line starts with the journal's priority mark, which the journal takes off again: so
    `journalctl -p err` works.
    """

    def __init__(self, stream: Stream, marks_priority: bool) -> None:
        self._stream = stream
        self._mark = _priority_mark if marks_priority else _no_mark
        self._format = LineFormat()
        self._lock = threading.RLock()

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level is LogLevel.debug or _is_noise(event):
            return
        with self._lock:
            if line := self._format.line(event):
                self._stream.add(self._mark(level) + line)
                self._stream.flush()


def stdout_observer() -> StdoutLog:
    """The observer for `twistd --logger=superchat.ops.logs.stdout_observer`."""
    descriptor = sys.__stdout__.fileno() if sys.__stdout__ else 1
    log = StdoutLog(Stream(descriptor), _is_journal(descriptor, os.environ))
    activity.addObserver(log)
    return log


def _is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether a descriptor is the journal's, as systemd says in $JOURNAL_STREAM (device:inode)."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _priority_mark(level: object) -> str:
    if level in _ERRORS:
        return "<3>"
    return "<4>" if level is LogLevel.warn else "<6>"


def _no_mark(level: object) -> str:
    return ""


def _is_noise(event: LogEvent) -> bool:
    """Whether it is a request line of a twisted.web Site, which writes to Twisted's global log file."""
    return event.get("log_namespace") == "twisted.python.log" and "log_io" in event
