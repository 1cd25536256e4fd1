"""Log lines for programs."""

import json
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.jsonlines import JsonFormat
from superchat.ops.loglines import event_text
from tests.ops.test_loglines import Unprintable


class JsonFormatTests(SynchronousTestCase):
    """One event is one line with one object."""

    def setUp(self) -> None:
        """A log whose events are kept."""
        self.events: list[LogEvent] = []
        self.log = Logger(namespace="test", observer=self.events.append)  # type: ignore[arg-type]
        self.format = JsonFormat()

    def line(self) -> Any:
        """The latest event's line, read again."""
        event = self.events[-1]
        line = self.format.line(event, event_text(event))
        self.assertEqual((line.count("\n"), line[-1]), (1, "\n"))
        return json.loads(line)

    def test_line(self) -> None:
        """Time, level, text, where it comes from, and the values that the text shows."""
        self.log.warn("~{nickname} POST_MESSAGE channel={channel}", nickname="alice", channel=2)
        line = self.line()
        moment = datetime.fromisoformat(line.pop("time"))
        self.assertAlmostEqual(moment.timestamp(), self.events[-1]["log_time"], places=5)
        self.assertEqual(
            line,
            {
                "level": "WARN",
                "message": "~alice POST_MESSAGE channel=2",
                "source": "test",
                "fields": {"nickname": "alice", "channel": 2},
            },
        )

    def test_only_what_is_shown(self) -> None:
        """A value that the text does not show is not in the line either: no log says more than another."""
        for template in ("{user.upper} {counts[0]} did it", "{call()} did it", "{user.broken}", "{call.x()}"):
            self.log.info(template, user="u", counts=[1], call=str, password="secret")
            line = self.line()
            self.assertNotIn("fields", line)
            self.assertNotIn("secret", json.dumps(line))

    def test_failure(self) -> None:
        """A failure has its traceback, line by line."""
        try:
            raise OSError("database is locked")
        except OSError:
            self.log.failure("Cannot post")
        line = self.line()
        self.assertEqual(line["message"], "Cannot post: builtins.OSError: database is locked")
        self.assertIn("Traceback", line["traceback"][0])

    def test_odd_values(self) -> None:
        """Values that JSON does not have, or that cannot be shown at all, cost their value and not the line."""
        self.log.info("{a} {b} {c} {d}", a=float("inf"), b=b"\xff", c=None, d=True)
        self.assertEqual(self.line()["fields"], {"a": "inf", "b": "b'\\xff'", "c": None, "d": True})
        self.log.info("{a}", a=Unprintable())
        self.assertEqual(self.line()["fields"], {"a": "?"})
        self.log.info("{broken", broken=1)
        self.assertNotIn("fields", self.line())

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever a peer sends, the line is one line, and its value comes back without control characters."""
        self.log.info("{text}", text=text)
        line = self.line()
        self.assertEqual(line["message"], line["fields"]["text"])
        self.assertFalse([character for character in line["message"] if ord(character) < 32])
