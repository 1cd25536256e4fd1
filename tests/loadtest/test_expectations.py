"""Thresholds decide about the exit status."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest import expectations
from superchat.loadtest.metrics import METRICS


class ExpectationTests(SynchronousTestCase):
    """Comparing metrics with numbers."""

    def test_comparisons(self) -> None:
        """Each comparison means what it says."""
        metrics: dict[str, float | None] = {"lost": 5}
        for text, is_met in (
            ("lost<5", False),
            ("lost<=5", True),
            ("lost>4.5", True),
            ("lost>=5", True),
            ("lost>=5.1", False),
            ("lost==5", True),
            (" lost == .5 ", False),
        ):
            self.assertEqual(expectations.read(text).is_met(metrics), is_met, text)

    def test_not_measured(self) -> None:
        """What was not measured meets no expectation: a test that measures nothing must not pass."""
        for comparison in ("<", ">="):
            self.assertFalse(expectations.read(f"ack_p99_ms{comparison}0").is_met({"ack_p99_ms": None}))

    def test_every_metric(self) -> None:
        """Every metric can be expected something of."""
        for name in METRICS:
            self.assertEqual(expectations.read(f"{name}<1").metric, name)
