"""The outcome says what happened, in text and in JSON, and decides about the exit status."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest import expectations
from superchat.loadtest.measurements import KINDS_KEPT, OTHER, Measurements
from superchat.loadtest.metrics import METRICS, compute
from superchat.loadtest.options import Options
from superchat.loadtest.report import Result, as_json, as_text


def result(measured: Measurements, *expected: str, figures: dict[str, float] | None = None, **more: Any) -> Result:
    """The outcome of a run."""
    expectations_read = tuple(expectations.read(each) for each in expected)
    return Result(
        options=Options(scenario="fanout", posters=1, subscribers=1, expectations=expectations_read),
        metrics=compute(measured, figures or {}),
        errors=measured.errors,
        examples=tuple(measured.examples),
        **more,
    )


def good() -> Measurements:
    """What a run measures in which all is well."""
    measured = Measurements()
    measured.counts.update({"connections": 2, "posts_sent": 4, "posts_acked": 4, "deliveries": 4})
    for each in (1000, 2000, 3000, 4000):
        measured.latencies["delivery"].add(each)
    return measured


class VerdictTests(SynchronousTestCase):
    """When a run is good."""

    def test_good(self) -> None:
        """No fault and no failed expectation: good, and the text says what was checked."""
        outcome = result(good(), "delivery_max_ms<=4", "lost==0")
        self.assertTrue(outcome.is_good)
        self.assertIn("every post arrived once and in order", as_text(outcome))

    def test_fault(self) -> None:
        """Any fault is a failure; kind, number and an example are named."""
        measured = good()
        measured.fault("lost", 3, ["lost: subscriber 7 lacks 3 of poster 1"])
        outcome = result(measured)
        self.assertFalse(outcome.is_good)
        text = as_text(outcome)
        self.assertIn("3 lost: acknowledged posts that a subscriber never got", text)
        self.assertIn("subscriber 7", text)
        self.assertIn("check: FAILED", text)

    def test_expectation(self) -> None:
        """An expectation that is not met is a failure, and so is one of what was not measured."""
        outcome = result(good(), "delivery_p50_ms<1", "ack_p50_ms<1", "posts_acked>3")
        self.assertEqual([str(each) for each in outcome.failed_expectations], ["delivery_p50_ms<1", "ack_p50_ms<1"])
        self.assertFalse(outcome.is_good)
        self.assertIn("expected ack_p50_ms<1: NOT MET (not measured)", as_text(outcome))

    def test_vain(self) -> None:
        """A run in which every post was refused is no success."""
        measured = Measurements()
        measured.counts.update({"posts_sent": 4, "posts_refused": 4})
        measured.error("ERROR 5001: Rate limit exceeded", 4)
        outcome = result(measured)
        self.assertFalse(outcome.is_good)
        self.assertIn("no post was acknowledged", as_text(outcome))

    def test_notes(self) -> None:
        """What casts doubt on the figures is said beside them."""
        measured = good()
        measured.error("ERROR 5000: Too many frames, slow down")
        measured.counts["posts_unsent"] = 3
        busy = {"generator_cpu_percent": 97.0, "generator_wait_percent": 0.0, "server_wait_percent": 60.0}
        notes = " ".join(result(measured, figures=busy, is_interrupted=True).notes)
        for words in ("interrupted", "--processes", "too few free cores", "did not take all posts", "max_frames"):
            self.assertIn(words, notes)
        self.assertEqual(result(good()).notes, [])


class JsonTests(SynchronousTestCase):
    """What programs get."""

    def test_document(self) -> None:
        """Every metric is there, with null for what was not measured; errors, faults and expectations too."""
        measured = good()
        measured.error("disconnected: Connection too slow")
        measured.fault("disconnected")
        document = json.loads(as_json(result(measured, "delivery_p99_ms<200", figures={"duration_seconds": 2.5})))
        self.assertEqual(document["metrics"].keys(), METRICS.keys())
        self.assertEqual((document["scenario"], document["ok"], document["interrupted"]), ("fanout", False, False))
        self.assertEqual(document["errors"], {"disconnected: Connection too slow": 1})
        self.assertEqual(document["faults"], {"disconnected": 1})
        self.assertEqual(document["metrics"]["delivery_max_ms"], 4.0)
        self.assertEqual(document["metrics"]["duration_seconds"], 2.5)
        self.assertIsNone(document["metrics"]["ack_p99_ms"])
        [expected] = document["expectations"]
        self.assertEqual((expected["expectation"], expected["met"]), ("delivery_p99_ms<200", True))
        self.assertEqual(document["options"]["posters"], 1)


class MeasurementsTests(SynchronousTestCase):
    """Counting in bounded memory."""

    def test_kinds_are_bounded(self) -> None:
        """A server that invents reasons fills neither memory nor screen, and cannot control the terminal."""
        measured = Measurements()
        for number in range(1000):
            measured.error(f"disconnected: {number}\x1b[2J" + "x" * 5000)
        self.assertLessEqual(len(measured.errors), KINDS_KEPT + 1)
        self.assertEqual(measured.errors.total(), 1000)
        self.assertGreater(measured.errors[OTHER], 0)
        self.assertTrue(all(kind.isprintable() and len(kind) < 100 for kind in measured.errors))

    def test_merge(self) -> None:
        """Processes' measurements add up."""
        one, other = good(), good()
        other.fault("lost", 2, ["lost: x"])
        other.latest_delivery_us = 9
        one.merge(other)
        self.assertEqual((one.counts["deliveries"], one.latencies["delivery"].count), (8, 8))
        self.assertEqual((one.faults["lost"], one.examples, one.latest_delivery_us), (2, ["lost: x"], 9))
        self.assertFalse(one.is_sound)
