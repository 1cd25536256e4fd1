"""A real Prometheus answers every query of the guides, the dashboard and the alerts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from typing import Any, Final

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.server import PATIENCE_SECONDS
from tests.monitoring.documents import ETC, corrections, guide, improvements, ours
from tests.monitoring.stage import stage
from tests.monitoring.tools import needs

_COMPARISON: Final = re.compile(r" (==|<=?|>=?) (?!bool)")
"""A comparison filters; with `bool` it answers 0 or 1, so that an alert that does not fire has an answer too."""
_IS_QUERY: Final = re.compile(r"(?:sum|topk|rate|deriv|predict_linear|histogram_quantile)\b.*\(")
_VARIABLES: Final = {'instance=~"$instance"': 'instance=~".+"'}


class QueriesTestCase(SynchronousTestCase):
    """A test that asks Prometheus."""

    def setUp(self) -> None:
        """The server under load, and Prometheus."""
        needs("prometheus")
        self.prometheus = stage().prometheus

    def assert_answered(self, queries: Iterable[str]) -> None:
        """Each query has an answer with a number in it, now or as soon as Prometheus knows enough."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        silent = [query for query in queries if not self.prometheus.ask_until_answered(query, deadline)]
        self.assertEqual(silent, [])


class GuideQueriesTests(QueriesTestCase):
    """The guide's own queries, as they are."""

    def setUp(self) -> None:
        """The guide, and what our table says about it."""
        super().setUp()
        self.guide = guide()
        self.corrected = {code for row in corrections() for code in row.says}

    def test_queries(self) -> None:
        """Every query has an answer, or a better one in our table."""
        self.assertEqual(len(self.guide.queries), 23)
        self.assert_answered(query for query in self.guide.queries if query not in self.corrected)

    def test_corrected(self) -> None:
        """Only those are in the table that have no answer: none is corrected without need."""
        self.assert_answered(["superchat_messages_delivered_total", "superchat_broadcast_fanout_bucket"])
        wrong = [query for query in self.guide.queries if query in self.corrected]
        self.assertEqual(len(wrong), 2)
        for query in wrong:
            self.assertEqual(self.prometheus.ask(query), [], query)

    def test_alerts(self) -> None:
        """The expressions of the guide's alerts have answers."""
        self.assert_answered(alert_queries(self.guide.files["alerts.yml"]))

    def test_dashboard(self) -> None:
        """The queries in the guide's dashboard have answers."""
        panels = json.loads(self.guide.files["superchat-dashboard.json"])["dashboard"]["panels"]
        self.assert_answered(target["expr"] for panel in panels for target in panel["targets"])

    def test_metrics(self) -> None:
        """Every metric of the guide is there, with its type and its labels."""
        kinds = self.prometheus.get("metadata")
        for metric in self.guide.metrics:
            name = metric.name
            # In OpenMetrics, which Prometheus prefers, the family of a counter has no suffix.
            family = kinds.get(name) or kinds[name.removesuffix("_total")]
            self.assertEqual(family[0]["type"], metric.kind, name)
            asked = f"{name}_count" if metric.kind == "histogram" else name
            for series in self.prometheus.ask(asked):
                labels = set(series["metric"]) - {"__name__", "job", "instance"}
                self.assertEqual(labels, set(metric.labels) & labels, name)
            self.assert_answered([asked])

    def test_buckets(self) -> None:
        """The fan-out has the guide's buckets."""
        buckets = {float(one["metric"]["le"]) for one in self.prometheus.ask("superchat_broadcast_fanout_bucket")}
        announced = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)
        self.assertEqual(sorted(buckets), [*announced, float("inf")])

    def test_example_types(self) -> None:
        """The types that the guide names are those that are counted."""
        self.assert_answered(
            f'superchat_messages_{way}_total{{type="{name}"}} > 0'
            for way, name in (
                ("received", "SET_NICKNAME"),
                ("received", "POST_MESSAGE"),
                ("received", "PING"),
                ("received", "LIST_MESSAGES"),
                ("sent", "MESSAGE_LIST"),
                ("sent", "NEW_MESSAGE"),
                ("sent", "ERROR"),
            )
        )


class OurQueriesTests(QueriesTestCase):
    """What we ship."""

    def test_documents(self) -> None:
        """Every query in docs/monitoring.md has an answer."""
        queries = [line for block in ours("promql") for line in block.text.splitlines()]
        self.assertGreater(len(queries), 15)
        self.assert_answered(queries)

    def test_corrections(self) -> None:
        """Every query that our table has in the place of one of the guide has an answer."""
        queries = [code for row in corrections() + improvements() for code in row.use if _IS_QUERY.match(code)]
        self.assertGreater(len(queries), 5)
        self.assert_answered(queries)

    def test_dashboard(self) -> None:
        """Every query of every panel has an answer."""
        dashboard = json.loads((ETC / "grafana" / "superchat-dashboard.json").read_text())
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
        self.assertGreater(len(queries), 30)
        for variable, value in _VARIABLES.items():
            queries = [query.replace(variable, value) for query in queries]
        self.assertFalse([query for query in queries if "$" in query])
        self.assert_answered(queries)

    def test_variables(self) -> None:
        """The list of servers to choose from is not empty."""
        match = {"match[]": 'superchat_active_sessions{job="superchat"}'}
        found = self.prometheus.get("label/instance/values", **match)
        self.assertEqual(len(found), 1)

    def test_alerts(self) -> None:
        """The expression of every alert has an answer; there is a server, so its absence has none."""
        queries = alert_queries((ETC / "prometheus" / "alerts.yml").read_text())
        self.assert_answered(query for query in queries if not query.startswith("absent("))

    def test_evaluated(self) -> None:
        """Prometheus evaluates every alert without complaint."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while unevaluated := self.unevaluated():
            self.assertLess(time.monotonic(), deadline, unevaluated)
            time.sleep(0.25)

    def unevaluated(self) -> list[Any]:
        """The rules that were not evaluated yet, or not without an error."""
        groups = self.prometheus.get("rules")["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]

    def test_target(self) -> None:
        """The server is scraped without an error, and answers at once."""
        (target,) = self.prometheus.get("targets")["activeTargets"]
        self.assertEqual((target["health"], target["labels"]["job"]), ("up", "superchat"))
        self.assertLess(target["lastScrapeDuration"], 5)


def alert_queries(rules: str) -> list[str]:
    """The expressions of a rules file, so that they have an answer whether or not their alert fires."""
    alerts = [rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    return [_COMPARISON.sub(r" \1 bool ", rule["expr"]) for rule in alerts]
