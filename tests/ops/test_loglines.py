"""One event is one line, whatever is in it."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.loglines import MAX_TEXT_CHARS, MAX_TRACEBACK_LINES, LineFormat, event_text

LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[(DEBUG|INFO|WARN|ERROR)\] (.*)\n")


class Unprintable:
    """A value that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class LineFormatTests(SynchronousTestCase):
    """The format of the monitoring guide, and that nothing breaks it."""

    def setUp(self) -> None:
        """A log whose events are kept."""
        self.events: list[LogEvent] = []
        self.log = Logger(namespace="test", observer=self.events.append)  # type: ignore[arg-type]
        self.format = LineFormat()

    def line(self, event: LogEvent) -> str:
        """The line of an event, "" when it says nothing."""
        text = event_text(event)
        return self.format.stamped(event, text) if text else ""

    def text(self) -> str:
        """The text of the latest event's line, which must be well formed."""
        match = LINE.fullmatch(self.line(self.events[-1]))
        assert match is not None, self.line(self.events[-1])
        return match[2]

    def test_format(self) -> None:
        """A line is the local time with microseconds, the level and the text (monitoring guide, Log Files)."""
        self.log.info("Server started on port {port}", port=6465)
        moment = time.mktime((2025, 10, 8, 14, 30, 15, 0, 0, -1)) + 0.123456
        event = {**self.events[0], "log_time": moment}
        expected = r"2025/10/08 14:30:15\.12345[56] \[INFO\] Server started on port 6465\n"
        self.assertRegex(self.line(event), f"^{expected}$")

    def test_levels(self) -> None:
        """The levels are DEBUG, INFO, WARN and ERROR; critical is ERROR."""
        for emit in (self.log.debug, self.log.info, self.log.warn, self.log.error, self.log.critical):
            emit("x")
        levels = [LINE.fullmatch(self.line(event))[1] for event in self.events]  # type: ignore[index]
        self.assertEqual(levels, ["DEBUG", "INFO", "WARN", "ERROR", "ERROR"])

    def test_new_second(self) -> None:
        """The time is right in every second, also when the clock goes back."""
        self.log.info("x")
        for second in (1000, 2000, 1000):
            line = self.line({**self.events[0], "log_time": second + 0.5})
            self.assertTrue(line.startswith(time.strftime("%Y/%m/%d %H:%M:%S.5", time.localtime(second))), line)

    def test_no_forgery(self) -> None:
        """A peer's text cannot start a new line or move the cursor."""
        forged = "a\n2025/10/08 14:30:15.123456 [ERROR] b\r\x1b[2J\x85\u2028\u202e"
        self.log.info("nickname: {name}", name=forged)
        self.assertEqual(
            self.text(),
            r"nickname: a\n2025/10/08 14:30:15.123456 [ERROR] b\r\x1b[2J\x85\u2028\u202e",
        )

    def test_other_scripts(self) -> None:
        """Text in other scripts and emoji stays readable."""
        self.log.info("{text}", text="gr\u00fc\u00dfe \u4f60\u597d \U0001f600 a\u00a0b")
        self.assertEqual(self.text(), "gr\u00fc\u00dfe \u4f60\u597d \U0001f600 a\u00a0b")

    def test_cut(self) -> None:
        """A very long text is cut, and says so."""
        self.log.info("{text}", text="x" * 1_000_000)
        self.assertTrue(self.text().endswith("x [cut, 1000000 characters]"))
        self.assertLess(len(self.text()), MAX_TEXT_CHARS + 50)

    def test_calls_in_formats(self) -> None:
        """Twisted's own format with a call works."""
        self.log.info("{value()}", value=lambda: 7)
        self.assertEqual(self.text(), "7")

    def test_broken_format(self) -> None:
        """An event that cannot be formatted is a line about that, never an exception."""
        self.log.info("{missing}")
        self.assertIn("missing", self.text())
        self.log.info("{value}", value=Unprintable())
        self.assertTrue(self.text())

    def test_bytes_format(self) -> None:
        """A format in bytes is shown as text."""
        self.log.info(b"caf\xc3\xa9")  # type: ignore[arg-type]
        self.assertEqual(self.text(), "caf\u00e9")

    def test_no_text(self) -> None:
        """An event that says nothing is no line."""
        self.log.info("")
        self.assertEqual(self.line(self.events[0]), "")

    def test_failure(self) -> None:
        """A failure is its type and message in one line."""
        self.fail_with("it\nbroke", "while posting")
        self.assertEqual(self.text(), r"while posting: builtins.ValueError: it\nbroke")
        self.fail_with("it broke", "")
        self.assertEqual(self.text(), "builtins.ValueError: it broke")

    def test_traceback(self) -> None:
        """The traceback is lines like every other, without the values of variables."""
        self.fail_with("it broke", "while posting")
        lines = list(self.format.traceback_lines(self.events[-1]))
        self.assertIn("Traceback (most recent call last)", lines[0])
        self.assertIn("ValueError: it broke", lines[-1])
        self.assertFalse([line for line in lines if not LINE.fullmatch(line)])
        self.assertNotIn("hunter2", "".join(lines))

    def test_long_traceback(self) -> None:
        """A bottomless recursion does not fill the log."""

        def dig() -> None:
            dig()

        try:
            dig()
        except RecursionError:
            self.log.failure("deep")
        self.assertLessEqual(len(list(self.format.traceback_lines(self.events[-1]))), MAX_TRACEBACK_LINES)

    def test_no_traceback(self) -> None:
        """An error without a failure has no traceback."""
        self.log.error("x")
        self.assertEqual(list(self.format.traceback_lines(self.events[0])), [])

    @given(st.text(), st.one_of(st.text(), st.integers(), st.binary(), st.none()))
    def test_any_event(self, template: str, value: object) -> None:
        """Whatever the format and the value are, the result is one line or none, and can be encoded."""
        self.log.info(template, value=value)
        line = self.line(self.events[-1])
        self.assertTrue(line == "" or LINE.fullmatch(line), line)
        line.encode()

    def fail_with(self, message: str, text: str) -> None:
        """Log a failure."""
        password = "hunter2"
        try:
            raise ValueError(message)
        except ValueError:
            self.log.failure(text)
        del password
