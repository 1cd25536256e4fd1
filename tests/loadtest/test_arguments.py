"""The command line: scenarios are defaults, every option goes with each of them, and mistakes are explained."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.arguments import IN_FLIGHT, parse
from superchat.loadtest.metrics import METRICS
from superchat.loadtest.options import SCENARIOS
from superchat.loadtest.texts import STAMP_BYTES


def complaint(*arguments: str) -> tuple[int, str]:
    """Exit status and text for a command line that is wrong."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            parse(arguments)
        except SystemExit as error:
            return int(error.code or 0), said.getvalue()
    raise AssertionError(f"{arguments} are taken")


class ParseTests(SynchronousTestCase):
    """What is understood."""

    def test_scenarios(self) -> None:
        """Each scenario works as it is, and has somebody who does something."""
        for name, scenario in SCENARIOS.items():
            options = parse([name])
            self.assertGreater(options.connections, 0)
            self.assertEqual((options.host, options.port, options.scenario), ("localhost", 6465, name))
            for key, value in scenario.defaults.items():
                self.assertEqual(getattr(options, key), value)

    def test_options_go_before_the_scenario(self) -> None:
        """What is given wins over what the scenario brings, 0 too."""
        options = parse(["mixed", "--rate", "0", "--slow", "0", "--subscribers", "7", "--size", "500"])
        self.assertEqual((options.rate, options.slow, options.subscribers, options.size_bytes), (0.0, 0, 7, 500))

    def test_saturating_is_bounded(self) -> None:
        """Without a rate the posts in flight have a bound; with one they have none unless it is given."""
        self.assertEqual(parse(["mixed", "--rate", "0"]).in_flight, IN_FLIGHT)
        self.assertEqual(parse(["mixed"]).in_flight, 0)
        self.assertEqual(parse(["fanout", "--in-flight", "3"]).in_flight, 3)

    def test_addresses(self) -> None:
        """The server is a name or an address, with a port or without."""
        for text, host, port in (
            ("chat.example", "chat.example", 6465),
            ("chat.example:7000", "chat.example", 7000),
            ("2001:db8::1", "2001:db8::1", 6465),
            ("[2001:db8::1]:7000", "2001:db8::1", 7000),
            ("[2001:db8::1]", "2001:db8::1", 6465),
        ):
            options = parse(["posts", "--server", text])
            self.assertEqual((options.host, options.port), (host, port))

    def test_expectations(self) -> None:
        """Thresholds may be repeated."""
        options = parse(["fanout", "--expect", "delivery_p99_ms<200", "--expect", "errors == 0"])
        self.assertEqual([str(each) for each in options.expectations], ["delivery_p99_ms<200", "errors==0"])


class ComplaintTests(SynchronousTestCase):
    """What is refused, with exit status 2."""

    def test_unknown_metric(self) -> None:
        """Whoever mistypes a metric is told all of them."""
        status, text = complaint("fanout", "--expect", "delivery_p95_ms<200")
        self.assertEqual(status, 2)
        for name in METRICS:
            self.assertIn(name, text)

    def test_wrong(self) -> None:
        """Each of these is wrong usage, and the text says what is."""
        for arguments, word in (
            ([], "SCENARIO"),
            (["flood"], "flood"),
            (["fanout", "--expect", "delivery_p99_ms"], "METRIC"),
            (["fanout", "--expect", "delivery_p99_ms<fast"], "METRIC"),
            (["fanout", "--size", str(STAMP_BYTES - 1)], str(STAMP_BYTES)),
            (["fanout", "--duration", "0"], "not a time"),
            (["fanout", "--duration", "nan"], "not a time"),
            (["fanout", "--rate", "-1"], "not within"),
            (["fanout", "--rate", "much"], "not a number"),
            (["fanout", "--subscribers", "1.5"], "not within"),
            (["fanout", "--processes", "0"], "not within"),
            (["fanout", "--server", "host:0"], "not HOST"),
            (["fanout", "--server", ":7000"], "not HOST"),
            (["fanout", "--posters", "0", "--subscribers", "0"], "nobody takes part"),
        ):
            status, text = complaint(*arguments)
            self.assertEqual(status, 2)
            self.assertIn(word, text)
