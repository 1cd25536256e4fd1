"""tests/run.py counts right: a broken run never looks like a good one."""

import io
from contextlib import redirect_stdout
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.run import COVERED_PACKAGES, Outcome, outcome, shortfalls


class OutcomeTests(SynchronousTestCase):
    """Reading trial's summary."""

    def test_passed(self) -> None:
        """All passed."""
        self.assertEqual(outcome(["x\n", "PASSED (successes=12)\n"], 0), Outcome(12, 0))

    def test_skipped(self) -> None:
        """Skipped tests are told, and neither passed nor failed."""
        result = outcome(["PASSED (skips=2, expectedFailures=1, successes=12)"], 0)
        self.assertEqual(str(result), "13 passed, 0 failed, 2 skipped")

    def test_failed(self) -> None:
        """Failures, errors and unexpected successes are failed."""
        result = outcome(["FAILED (failures=1, errors=2, unexpectedSuccesses=3, successes=4)"], 1)
        self.assertEqual(str(result), "4 passed, 6 failed")

    def test_crash(self) -> None:
        """A run without a summary has failed."""
        self.assertEqual(outcome(["Segmentation fault"], -11), Outcome(0, 1))

    def test_exit_code(self) -> None:
        """A run that says PASSED and exits with an error has failed."""
        self.assertEqual(outcome(["PASSED (successes=3)"], 1), Outcome(3, 1))

    def test_nothing_ran(self) -> None:
        """A run without any test has failed."""
        self.assertEqual(outcome(["PASSED"], 0), Outcome(0, 1))
        self.assertEqual(outcome(["PASSED (skips=3)"], 0), Outcome(0, 1, 3))

    def test_summary_inside_output(self) -> None:
        """What a test prints is no summary; the last summary counts."""
        lines = ["my test PASSED (successes=99) today", "PASSED (successes=99)", "FAILED (errors=1)"]
        self.assertEqual(outcome(lines, 1), Outcome(0, 1))


class ShortfallTests(SynchronousTestCase):
    """The floor under the coverage."""

    def sentences(self, lines: int, branches: int) -> list[str]:
        """What is said when each package has so many per cent of its lines and branches covered."""
        summary = {"covered_lines": lines, "num_statements": 100, "covered_branches": branches, "num_branches": 100}
        files: dict[str, Any] = {f"src/{package}x.py": {"summary": summary} for package in COVERED_PACKAGES}
        with redirect_stdout(io.StringIO()):
            return shortfalls(files)

    def test_enough(self) -> None:
        """95 per cent of each are enough."""
        self.assertEqual(self.sentences(95, 95), [])

    def test_branches(self) -> None:
        """Too few branches are a failure of each package."""
        self.assertEqual(len(self.sentences(100, 94)), len(COVERED_PACKAGES))

    def test_not_measured(self) -> None:
        """A package that was not measured at all fails."""
        with redirect_stdout(io.StringIO()):
            self.assertTrue(shortfalls({}))
