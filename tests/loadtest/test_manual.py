"""The manual of superchat-loadtest says what the program does."""

from __future__ import annotations

from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest import arguments
from superchat.loadtest.measurements import LATENCIES, Measurements
from superchat.loadtest.metrics import METRICS, PERCENTILES, compute
from superchat.loadtest.options import SCENARIOS, Options
from superchat.loadtest.texts import STAMP_BYTES

MANUAL = Path(__file__).parents[2] / "docs" / "loadtest.md"


class ManualTests(SynchronousTestCase):
    """Nothing is missing in docs/loadtest.md, and nothing is wrong."""

    def setUp(self) -> None:
        self.manual = MANUAL.read_text("utf-8")
        self.parser = arguments.build()

    def test_options(self) -> None:
        """Every option of --help is there, with its metavariable, and no other one."""
        rows = [line for line in self.manual.splitlines() if line.startswith("| `--")]
        described = {word.strip("`,") for line in rows for word in line.split()}
        options = set()
        for action in self.parser._actions:
            for option in set(action.option_strings) - {"-h", "--help"}:
                options.add(option)
                shown = option if action.nargs == 0 else f"{option} {action.metavar or action.dest.upper()}"
                quoted = f"'{action.metavar}'"
                self.assertTrue(f"`{shown}`" in self.manual or quoted in self.manual, shown)
        self.assertEqual({word for word in described if word.startswith("--")}, options)

    def test_defaults(self) -> None:
        """Defaults of options that no scenario changes are as the manual and --help say."""
        defaults = Options(scenario="posts")
        help_text = " ".join(self.parser.format_help().split())
        for option, value in (
            ("--duration SECONDS", defaults.duration_seconds),
            ("--timeout SECONDS", defaults.timeout_seconds),
            ("--size BYTES", defaults.size_bytes),
            ("--slow-rate BYTES", defaults.slow_bytes_per_second),
            ("--stay SECONDS", defaults.stay_seconds),
        ):
            [line] = [line for line in self.manual.splitlines() if line.startswith("| `") and f"`{option}`" in line]
            self.assertTrue(line.endswith(f"; {value:g} |"), line)
            self.assertIn(f"default: {value:g}", help_text[help_text.index(option) :])
        self.assertIn(f"at least {STAMP_BYTES}", self.manual)

    def test_scenarios(self) -> None:
        """Every scenario is there with its summary and the numbers it brings."""
        for name, scenario in SCENARIOS.items():
            [line] = [line for line in self.manual.splitlines() if line.startswith(f"| `{name}` |")]
            self.assertIn(scenario.summary, line)
            for value in scenario.defaults.values():
                self.assertIn(f" {value:g} ", line)

    def test_metrics(self) -> None:
        """Every metric is there with what it means, and every one is computed."""
        for name, meaning in METRICS.items():
            if not name.endswith("_ms"):
                self.assertIn(f"| `{name}` | {meaning} |", self.manual)
        for name, meaning in LATENCIES.items():
            self.assertIn(f"| `{name}_..._ms` | {meaning} |", self.manual)
        for name in (*PERCENTILES, "max", "mean"):
            self.assertIn(f"`{name}`", self.manual)
        self.assertEqual(compute(Measurements(), {}).keys(), METRICS.keys())

    def test_every_option_has_a_use(self) -> None:
        """Every field of the options can be set from the command line."""
        settable = {action.dest for action in self.parser._actions} | {"host", "port"}
        self.assertEqual({field.name for field in attrs.fields(Options)} - settable, set())
