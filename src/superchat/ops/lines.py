"""Makes lines of log events, once for all logs, and says when the logs write them."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from zope.interface import implementer

from superchat.clocks import wall_seconds
from superchat.ops.loglines import LineFormat, event_text
from superchat.ops.noise import is_noise
from superchat.ops.repeats import WINDOW_SECONDS, Repeated, Repeats

RETRY_SECONDS: Final = 1.0
"""How long after a failed write the next attempt comes at the latest."""
LINES_AT_ONCE: Final = 500
"""Lines that wait for the end of a turn, however long it is."""

DEBUG: Final = LogLevel.debug
ERRORS: Final = frozenset({LogLevel.error, LogLevel.critical})


class Line(NamedTuple):
    """An event as the logs write it."""

    event: LogEvent
    level: object
    text: str
    """What it says, safe and cut to length."""
    stamped: str
    """The text with time and level before it and a newline behind."""


class Output(Protocol):
    """What keeps lines: some files, or standard output. It MUST NOT raise."""

    def add(self, line: Line) -> None:
        """Take a line; the next `flush` writes it."""

    def flush(self) -> bool:
        """Write all that waits; False when something still waits."""


@implementer(ILogObserver)
class Lines:
    """Makes a line of every event that *publishers* or an `Activity` tell it, and gives it to all outputs.

    A line that comes again and again within ten seconds is counted. The outputs are flushed when a turn of the
    reactor ends, and at once for errors, for what other threads say, and for everything while no reactor runs.
    """

    def __init__(self, publishers: Sequence[LogPublisher]) -> None:
        self.shows_debug = False
        """Whether an output has a use for DEBUG."""
        # Re-entrant: a value's __str__, or a signal, may log while a line is being made.
        self.lock = threading.RLock()
        """Held while outputs are given lines, and by an output that changes what it writes to."""
        self._publishers = publishers
        self._outputs: list[Output] = []
        self._format = LineFormat()
        self._repeats = Repeats()
        self._clock: IReactorTime | None = None
        self._seconds: Callable[[], float] = time.monotonic
        self._thread = threading.get_ident()
        self._waiting = 0
        self._turn_end = _Call(self._flush)
        self._retry = _Call(self._flush)
        self._count_end = _Call(self._end_counts)

    def attach(self, output: Output) -> None:
        """Give lines to *output* as well, from now on. The publishers are heard while there is an output."""
        with self.lock:
            self._outputs.append(output)
        for publisher in self._publishers:
            publisher.addObserver(self)

    def detach(self, output: Output) -> None:
        """Give it no more; does no harm when it was not given any."""
        with self.lock:
            self._outputs = [other for other in self._outputs if other is not output]
        if not self._outputs:
            for publisher in self._publishers:
                publisher.removeObserver(self)

    def run(self, clock: IReactorTime) -> None:
        """From now on flush once a turn of this reactor, whose thread is the caller's."""
        self._thread = threading.get_ident()
        self._seconds = clock.seconds
        self._clock = clock

    def rest(self) -> None:
        """Write what waits, the counts included; from now on every line is written at once."""
        with self.lock:
            for call in (self._turn_end, self._retry, self._count_end):
                call.cancel()
            self._clock = None
            self._seconds = time.monotonic
            self._tell(self._repeats.end())
            self._write()

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if (level is DEBUG and not self.shows_debug) or is_noise(event):
            return
        with self.lock:
            text = event_text(event)
            if text and not self._folds(level, text):
                self._add(event, level, text)
            if self._waiting:
                self._see_to_writing(level in ERRORS)

    def _folds(self, level: object, text: str) -> bool:
        """Whether the same line was written often enough; then it is counted. Frames in debug.log are all shown."""
        if level is DEBUG:
            return False
        is_counted = self._repeats.folds(level, text, self._seconds())
        if self._repeats.has_ended:
            self._tell(self._repeats.ended())
        if is_counted and self._clock is not None and threading.get_ident() == self._thread:
            self._count_end.ask(self._clock, WINDOW_SECONDS)
        return is_counted

    def _add(self, event: LogEvent, level: object, text: str) -> None:
        self._waiting += 1
        line = Line(event, level, text, self._format.stamped(event, text))
        for output in self._outputs:
            output.add(line)

    def _tell(self, counted: Iterable[Repeated]) -> None:
        for repeated in counted:
            event = repeated.event(wall_seconds())
            self._add(event, repeated.level, event_text(event))

    def _end_counts(self) -> None:
        with self.lock:
            self._repeats.expire(self._seconds())
            self._tell(self._repeats.ended())
            if self._repeats.counts_some and self._clock is not None:
                self._count_end.ask(self._clock, WINDOW_SECONDS)
            self._flush()

    def _see_to_writing(self, is_error: bool) -> None:
        # The clock belongs to the reactor's thread; other threads log seldom.
        if self._clock is None or threading.get_ident() != self._thread:
            self._write()
        elif is_error or self._waiting >= LINES_AT_ONCE:
            self._flush()
        else:
            self._turn_end.ask(self._clock, 0)

    def _flush(self) -> None:
        """Write, and come again later if something could not be written."""
        with self.lock:
            if not self._write() and self._clock is not None:
                self._retry.ask(self._clock, RETRY_SECONDS)

    def _write(self) -> bool:
        self._waiting = 0
        written = [output.flush() for output in self._outputs]
        return all(written)


class _Call:
    """A call that comes once, however often it is asked for until then."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._delayed: IDelayedCall | None = None

    def ask(self, clock: IReactorTime, seconds: float) -> None:
        """Let it come in so many seconds, unless it is on its way."""
        if self._delayed is None:
            self._delayed = clock.callLater(seconds, self._come)

    def cancel(self) -> None:
        """Let it not come."""
        if self._delayed is not None:
            self._delayed.cancel()
            self._delayed = None

    def _come(self) -> None:
        self._delayed = None
        self._call()


class Activity(Logger):
    """A `Logger` for what clients can cause at will, thousands of lines a second.

    Its events have what a line needs, and go straight to the one observer. Twisted's own way, with sources, traces
    and publishers, takes as long as all the rest of a line together.
    """

    def info(self, format: str | None = None, **fields: object) -> None:
        """Tell the observer what a client did."""
        self._tell(LogLevel.info, format, fields)

    def emit(self, level: Any, format: str | None = None, **fields: object) -> None:
        """Tell the observer; *level* must be one of `LogLevel`."""
        self._tell(level, format, fields)

    def _tell(self, level: Any, format: str | None, fields: dict[str, object]) -> None:
        fields["log_level"] = level
        fields["log_format"] = format
        fields["log_time"] = wall_seconds()
        fields["log_namespace"] = self.namespace
        self.observer(fields)
