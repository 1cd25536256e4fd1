"""From events to lines: once for all outputs, and when they are written."""

from __future__ import annotations

import threading

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from superchat.ops import lines
from superchat.ops.lines import LINES_AT_ONCE, RETRY_SECONDS, Activity, Line, Lines
from superchat.ops.noise import ACCEPTING
from superchat.ops.repeats import WINDOW_SECONDS, WRITTEN


class Screen:
    """An output; `shown` has what was flushed, one list of texts for each flush that had any."""

    def __init__(self) -> None:
        self.shown: list[list[str]] = []
        self.lines: list[Line] = []
        self.is_stuck = False
        self._waiting: list[str] = []

    def add(self, line: Line) -> None:
        """Take a line."""
        self.lines.append(line)
        self._waiting.append(line.text)

    def flush(self) -> bool:
        """Show what waits, if it is possible."""
        if self.is_stuck:
            return False
        if self._waiting:
            self.shown.append(self._waiting)
            self._waiting = []
        return True


class LinesTestCase(SynchronousTestCase):
    """A test with two outputs, and a reactor that may run."""

    def setUp(self) -> None:
        """Two outputs of one publisher's events."""
        self.clock = Clock()
        self.publisher = LogPublisher()
        self.lines = Lines([self.publisher])
        self.log = Logger(namespace="test", observer=self.publisher)
        self.activity = Activity("clients", observer=self.lines)
        self.first, self.second = Screen(), Screen()
        self.lines.attach(self.first)
        self.lines.attach(self.second)


class OutputTests(LinesTestCase):
    """What the outputs are given."""

    def test_interface(self) -> None:
        """It is an observer for Twisted."""
        verifyObject(ILogObserver, self.lines)

    def test_all_outputs(self) -> None:
        """Every output has every line, the very same one: it is made once."""
        self.log.warn("{name} spoke", name="alice")
        (line,) = self.first.lines
        self.assertIs(line, self.second.lines[0])
        self.assertEqual((line.level, line.text), (LogLevel.warn, "alice spoke"))
        self.assertRegex(line.stamped, r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[WARN\] alice spoke\n$")

    def test_order(self) -> None:
        """What clients do and what the server says stand in the order in which they happened."""
        self.lines.run(self.clock)
        self.activity.info("one")
        self.log.info("two")
        self.activity.info("three")
        self.clock.advance(0)
        self.assertEqual(self.first.shown, [["one", "two", "three"]])

    def test_detach(self) -> None:
        """An output that is taken away gets nothing any more; the others do."""
        self.lines.detach(self.first)
        self.log.info("x")
        self.assertEqual((self.first.shown, self.second.shown), ([], [["x"]]))

    def test_listens_while_needed(self) -> None:
        """Without an output nobody listens, and with one again events come once."""
        for output in (self.first, self.second, self.first):
            self.lines.detach(output)
        self.assertEqual(self.publisher._observers, [])
        self.lines.attach(self.first)
        self.publisher.addObserver(self.lines)  # as twistd does
        self.log.info("x")
        self.assertEqual(self.first.shown, [["x"]])

    def test_debug(self) -> None:
        """Nobody pays for DEBUG that no output shows."""
        self.log.debug("one")
        self.lines.shows_debug = True
        self.log.debug("two")
        self.assertEqual(self.first.shown, [["two"]])

    def test_nothing_to_say(self) -> None:
        """Events without a text, and what operators are spared of Twisted's, are no lines."""
        self.log.info("")
        for namespace in ACCEPTING:
            Logger(namespace=namespace, observer=self.publisher).info("EMFILE encountered")
        self.assertEqual(self.first.lines, [])

    def test_logging_while_logging(self) -> None:
        """A value that logs when it is shown does not lock the server up."""
        log = self.log

        class Talkative:
            def __str__(self) -> str:
                log.info("inner")
                return "outer"

        self.log.info("{value}", value=Talkative())
        self.assertEqual([line.text for line in self.first.lines], ["inner", "outer"])


class TurnTests(LinesTestCase):
    """When lines are written."""

    def test_no_reactor(self) -> None:
        """Before the reactor runs, and after it has ended, a line is written at once."""
        self.log.info("one")
        self.lines.run(self.clock)
        self.log.info("two")
        self.lines.rest()
        self.log.info("three")
        self.assertEqual(self.first.shown, [["one"], ["two"], ["three"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_turn(self) -> None:
        """The lines of one turn are written together at its end."""
        self.lines.run(self.clock)
        self.activity.info("one")
        self.activity.info("two")
        self.assertEqual((self.first.shown, len(self.clock.getDelayedCalls())), ([], 1))
        self.clock.advance(0)
        self.assertEqual(self.first.shown, [["one", "two"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_errors(self) -> None:
        """An error is written before the call returns, with what came before it, in all outputs."""
        self.lines.run(self.clock)
        self.activity.info("one")
        self.log.error("two")
        for output in (self.first, self.second):
            self.assertEqual(output.shown, [["one", "two"]])

    def test_long_turn(self) -> None:
        """However long a turn is, few lines wait for its end."""
        self.lines.run(self.clock)
        for number in range(LINES_AT_ONCE + 1):
            self.activity.info("{number}", number=number)
        self.assertEqual([len(texts) for texts in self.first.shown], [LINES_AT_ONCE])

    def test_other_thread(self) -> None:
        """What another thread says is written at once, and the reactor's clock is not touched from there."""
        self.lines.run(self.clock)
        for _ in range(WRITTEN + 1):
            thread = threading.Thread(target=self.log.info, args=("x",))
            thread.start()
            thread.join()
        self.assertEqual(self.first.shown, [["x"]] * WRITTEN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stuck(self) -> None:
        """An output that cannot be written delays no other; it is tried with each turn, and a second later."""
        self.lines.run(self.clock)
        self.first.is_stuck = True
        for text in ("one", "two"):
            self.activity.info(text)
            self.clock.advance(0)
        self.assertEqual((self.first.shown, self.second.shown), ([], [["one"], ["two"]]))
        self.first.is_stuck = False
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(self.first.shown, [["one", "two"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FoldingTests(LinesTestCase):
    """A flood of one line is a few lines and a count, the same in all outputs."""

    def flood(self, text: str, more: int) -> None:
        """Say something more often than it is written."""
        for _ in range(WRITTEN + more):
            self.activity.info(text)

    def counts(self) -> list[str]:
        """The counts that were written, the same in both outputs."""
        counts = [line.text for line in self.first.lines if "more like this" in line.text]
        self.assertEqual(counts, [line.text for line in self.second.lines if "more like this" in line.text])
        return counts

    def test_count(self) -> None:
        """The count follows ten seconds after the first line, though nobody says anything more."""
        self.lines.run(self.clock)
        self.flood("a", 95)
        self.clock.advance(0)
        self.assertEqual(self.first.shown, [["a"] * WRITTEN])
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(self.first.shown[1:], [["a [and 95 more like this]"]])
        self.assertEqual(self.counts(), ["a [and 95 more like this]"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_date(self) -> None:
        """A count has the date of when it is told, as every line has, though the reactor's clock knows no dates."""
        self.patch(lines, "wall_seconds", lambda: 1_800_000_000.0)
        self.lines.run(self.clock)
        self.flood("a", 1)
        self.clock.advance(WINDOW_SECONDS)
        self.assertEqual(self.counts(), ["a [and 1 more like this]"])
        self.assertEqual({line.event["log_time"] for line in self.first.lines}, {1_800_000_000.0})

    def test_no_reactor(self) -> None:
        """While no reactor runs, the count comes with a later line, before it."""
        self.lines._seconds = self.clock.seconds
        self.flood("a", 2)
        self.clock.advance(WINDOW_SECONDS)
        self.log.info("b")
        self.assertEqual([line.text for line in self.first.lines[-2:]], ["a [and 2 more like this]", "b"])

    def test_many_texts(self) -> None:
        """A count whose text had to make room is told with the line that took it, not ten seconds later."""
        self.lines.run(self.clock)
        self.flood("a", 1)
        for number in range(1000):
            self.activity.info("{number}", number=number)
        self.assertEqual(self.counts(), ["a [and 1 more like this]"])

    def test_rest(self) -> None:
        """What was counted so far is told at the end."""
        self.lines.run(self.clock)
        self.flood("a", 3)
        self.lines.rest()
        self.assertEqual(self.counts(), ["a [and 3 more like this]"])
        self.assertEqual(self.first.shown[-1][-1], "a [and 3 more like this]")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_frames(self) -> None:
        """DEBUG is not folded: there a repetition is what somebody is looking for."""
        self.lines.shows_debug = True
        for _ in range(WRITTEN + 3):
            self.activity.debug("RECV")
        self.assertEqual(len(self.first.lines), WRITTEN + 3)


class ActivityTests(SynchronousTestCase):
    """The quick way from a client's act to its line."""

    def test_same_event(self) -> None:
        """An event has the level, format, values and source that Twisted's logger gives it."""
        events: list[LogEvent] = []
        for make in (Logger, Activity):
            log = make("test", observer=events.append)  # type: ignore[arg-type]
            log.info("{name} spoke", name="alice")
            log.debug("d")
            log.warn("w")
            log.error("e")
        twisted, ours = events[:4], events[4:]
        for theirs, event in zip(twisted, ours, strict=True):
            self.assertIsInstance(event.pop("log_time"), float)
            self.assertEqual(event, {key: theirs[key] for key in event})
            self.assertEqual(set(theirs) - set(event), {"log_time", "log_logger", "log_source"})

    def test_failure(self) -> None:
        """A failure is told with its traceback."""
        events: list[LogEvent] = []
        log = Activity("test", observer=events.append)  # type: ignore[arg-type]
        try:
            raise ValueError("no")
        except ValueError:
            log.failure("x")
        self.assertEqual(events[0]["log_failure"].getErrorMessage(), "no")
