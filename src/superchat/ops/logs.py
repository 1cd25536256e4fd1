"""The server's logs: server.log, errors.log and debug.log in the data directory, and standard output."""

import os
import sys
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher, globalLogPublisher
from zope.interface import implementer

from superchat.ops.jsonlines import JsonFormat
from superchat.ops.linefile import LogFile, Stream
from superchat.ops.loglines import LineFormat, event_text
from superchat.ops.noise import is_noise
from superchat.ops.repeats import WINDOW_SECONDS, Repeated, Repeats

RETRY_SECONDS = 1.0
"""How long after a failed write the next attempt comes."""
_LINES_AT_ONCE = 500

activity = LogPublisher()
"""For what clients can cause at will, thousands of lines a second: heard by the observers of this module only, because
Twisted's own take ten times as long for a line."""

_ALL = frozenset(LogLevel.iterconstants())
_ALL_BUT_DEBUG = _ALL - {LogLevel.debug}
_ERRORS = frozenset({LogLevel.error, LogLevel.critical})


@attrs.frozen
class _Kind:
    """The levels that belong in a log, whether it shows tracebacks, and whether its lines are JSON."""

    levels: Collection[object]
    has_tracebacks: bool = False
    is_json: bool = False


_ALWAYS = {"server.log": _Kind(_ALL_BUT_DEBUG), "errors.log": _Kind(_ERRORS, has_tracebacks=True)}
_DEBUG = {"debug.log": _Kind(_ALL, has_tracebacks=True)}
_JSON = {"server.json.log": _Kind(_ALL_BUT_DEBUG, has_tracebacks=True, is_json=True)}


@attrs.frozen
class _Log:
    """One log: its file and what belongs in it."""

    file: LogFile
    kind: _Kind


@implementer(ILogObserver)
class LogFiles:
    """Writes every event to the log files it belongs to (monitoring guide, "Log Files"; decisions 9.1).

    server.log holds INFO and above of this run, server.log.1 the run before; errors.log holds the errors of
    all runs, tracebacks included; debug.log holds everything, and exists only with `debug`; server.json.log has
    INFO and above of all runs as JSON, and exists only with `json`. A line that comes again and again within ten
    seconds is counted. What happens in one reactor turn is one write per file; errors are written at once. Once
    started it never raises: lines that cannot be written wait, within a budget, and are tried again every second.
    """

    def __init__(
        self,
        directory: Path,
        debug: bool,
        clock: IReactorTime,
        publishers: Sequence[LogPublisher] = (globalLogPublisher, activity),
        *,
        json: bool = False,
    ) -> None:
        self._directory = directory
        self._levels: Collection[object] = ()
        self._kinds: Mapping[str, _Kind] = {}
        self._choose(debug, json)
        self._clock = clock
        self._publishers = publishers
        self._log = Logger(observer=publishers[0])
        self._format = LineFormat()
        self._json = JsonFormat()
        self._repeats = Repeats()
        self._logs: dict[str, _Log] = {}
        self._waiting = 0
        self._failures_before = self._lost_before = 0
        self._lost_told = 0
        self._call: IDelayedCall | None = None
        self._repeats_call: IDelayedCall | None = None
        self._thread = threading.get_ident()
        # Re-entrant: a value's __str__, or a signal, may log while a line is being made.
        self._lock = threading.RLock()

    def start(self) -> None:
        """Open the files and listen to events. Raises OSError when the directory or a file cannot be made."""
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        server = self._directory / "server.log"
        if server.exists():
            server.replace(self._directory / "server.log.1")
        self._open()
        self._thread = threading.get_ident()
        for publisher in self._publishers:
            publisher.addObserver(self)

    def stop(self) -> None:
        """Write what waits and close the files; events after this are not for them."""
        for publisher in self._publishers:
            publisher.removeObserver(self)
        with self._lock:
            for call in (self._call, self._repeats_call):
                if call is not None:
                    call.cancel()
            self._call = self._repeats_call = None
            for repeated in self._repeats.end():
                self._tell(repeated)
            self._close(list(self._logs))

    def reopen(self) -> None:
        """Go on in new files after logrotate moved the old ones away; nothing is truncated or lost."""
        with self._lock:
            for log in self._logs.values():
                log.file.reopen()

    def choose(self, debug: bool, json: bool) -> None:
        """Begin or end debug.log and server.json.log while running (decisions 9.5).

        Raises OSError when a file cannot be made; the others go on.
        """
        with self._lock:
            self._choose(debug, json)
            self._close([name for name in self._logs if name not in self._kinds])
            self._open()

    def _choose(self, debug: bool, json: bool) -> None:
        self._levels = _ALL if debug else _ALL_BUT_DEBUG
        self._kinds = _ALWAYS | (_DEBUG if debug else {}) | (_JSON if json else {})

    def _open(self) -> None:
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

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level not in self._levels or is_noise(event):
            return
        with self._lock:
            text = event_text(event)
            if text and not self._folds(level, text):
                self._add(event, text)
                self._see_to_writing(level in _ERRORS)

    def _add(self, event: LogEvent, text: str) -> None:
        self._waiting += 1
        level = event.get("log_level")
        line = self._format.stamped(event, text)
        traceback = list(self._format.traceback_lines(event))
        for log in self._logs.values():
            if level not in log.kind.levels:
                continue
            if log.kind.is_json:
                log.file.add(self._json.line(event, text))
                continue
            log.file.add(line)
            if log.kind.has_tracebacks:
                for traced in traceback:
                    log.file.add(traced)

    def _folds(self, level: object, text: str) -> bool:
        """Whether the same line was written often enough; then it is counted. Frames in debug.log are all shown."""
        if level is LogLevel.debug or not self._repeats.folds(level, text, self._clock.seconds()):
            return False
        # The clock belongs to the reactor's thread; other threads log seldom.
        if self._repeats_call is None and threading.get_ident() == self._thread:
            self._repeats_call = self._clock.callLater(WINDOW_SECONDS, self._tell_repeats)
        return True

    def _tell_repeats(self) -> None:
        with self._lock:
            self._repeats_call = None
            for repeated in self._repeats.ended(self._clock.seconds()):
                self._tell(repeated)
            if self._repeats.counts_some:
                self._repeats_call = self._clock.callLater(WINDOW_SECONDS, self._tell_repeats)
            self._flush()

    def _tell(self, repeated: Repeated) -> None:
        event = repeated.event(self._clock.seconds())
        self._add(event, event_text(event))

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
        written = [log.file.flush() for log in self._logs.values()]
        return all(written)


@implementer(ILogObserver)
class StdoutLog:
    """Writes INFO and above as lines to standard output, at once; never waits for whoever reads it.

    A line that comes again and again within ten seconds is counted, and the count told with a later line.

    Under systemd each line starts with the journal's priority mark, which the journal takes off again: so
    `journalctl -p err` works.
    """

    def __init__(self, stream: Stream, marks_priority: bool) -> None:
        self._stream = stream
        self._mark = _priority_mark if marks_priority else _no_mark
        self._format = LineFormat()
        self._repeats = Repeats()
        self._lock = threading.RLock()

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level is LogLevel.debug or is_noise(event):
            return
        with self._lock:
            text, now = event_text(event), event.get("log_time", 0.0)
            for repeated in self._repeats.ended(now):
                self._add(repeated.event(now))
            if text and not self._repeats.folds(level, text, now):
                self._add(event)
            self._stream.flush()

    def _add(self, event: LogEvent) -> None:
        self._stream.add(self._mark(event.get("log_level")) + self._format.line(event))


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
