"""docs/monitoring.md is complete, and says what is so."""

from __future__ import annotations

import re
import time
from typing import Final
from urllib.request import urlopen

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.server import PATIENCE_SECONDS
from tests.monitoring.documents import ETC, GUIDE, OURS, ROOT, corrections, guide, improvements
from tests.monitoring.stage import stage
from tests.monitoring.tools import needs, output_of

_METRIC: Final = re.compile(r"`((?:superchat|go|process|python|twisted)_\w+)`")
_LINK: Final = re.compile(r"\]\(([^)#]*)(#[^)]*)?\)")


class DocumentTests(SynchronousTestCase):
    """What can be checked by reading."""

    def setUp(self) -> None:
        """The document."""
        self.text = OURS.read_text("utf-8")

    def test_alerts(self) -> None:
        """For every alert there is a paragraph on what to do, and for nothing else."""
        section = self.text.partition("\n## When an alert fires\n")[2].partition("\n## ")[0]
        described = re.findall(r"^\*\*(\w+)\*\*:", section, re.MULTILINE)
        groups = yaml.safe_load((ETC / "prometheus" / "alerts.yml").read_text())["groups"]
        self.assertEqual(described, [rule["alert"] for group in groups for rule in group["rules"]])

    def test_files(self) -> None:
        """Every file in etc/ is mentioned, and every file that is mentioned is there."""
        mentioned = set(re.findall(r"(?<![/\w])etc/[\w./-]*\w", self.text))
        self.assertEqual([path for path in mentioned if not (ROOT / path).exists()], [])
        there = {str(path.relative_to(ROOT)) for path in ETC.rglob("*") if path.is_file()}
        self.assertEqual(there - mentioned, set())

    def test_links(self) -> None:
        """Links within the repository and within the document lead somewhere."""
        headings = re.findall(r"^#+ (.*)$", self.text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        for path, anchor in _LINK.findall(self.text):
            if path:
                self.assertTrue((OURS.parent / path).exists(), path)
            else:
                self.assertIn(anchor.removeprefix("#"), anchors)

    def test_corrections(self) -> None:
        """What our tables say that the guide says, it says."""
        theirs = GUIDE.read_text("utf-8")
        rows = corrections() + improvements()
        self.assertGreater(len(rows), 20)
        for row in rows:
            self.assertTrue(row.says, row)
            for code in row.says:
                self.assertIn(code, theirs)

    def test_guide_is_known(self) -> None:
        """The guide is read whole: commands, queries, metrics and files are as many as there are."""
        known = guide()
        self.assertEqual((len(known.commands), len(known.queries), len(known.metrics)), (43, 23, 16))
        self.assertEqual((len(known.files), len(known.log_lines)), (9, 4))


class MetricsTests(SynchronousTestCase):
    """What the server says of itself."""

    def setUp(self) -> None:
        """The metrics of the server under load, by name and kind."""
        self.exposed = self.fetch()

    def fetch(self) -> str:
        """The metrics as they are."""
        with urlopen(f"http://127.0.0.1:{stage().ports.metrics}/metrics", timeout=10) as response:
            text: str = response.read().decode()
        return text

    def test_described(self) -> None:
        """Every metric is described in the document, and every metric in the document is there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        described = set(_METRIC.findall(OURS.read_text("utf-8")))
        while described - self.names() and time.monotonic() < deadline:  # some are measured a moment after the start
            time.sleep(0.5)
            self.exposed = self.fetch()
        self.assertEqual(self.names() ^ described, set())

    def names(self) -> set[str]:
        """The names of the metrics."""
        return set(re.findall(r"^# TYPE (\w+)", self.exposed, re.MULTILINE))

    def test_promtool(self) -> None:
        """promtool finds nothing wrong with the metrics but the names that are not ours to choose."""
        needs("promtool")
        output_of(["promtool", "check", "metrics"], text=self.exposed)

    def test_accept_failures(self) -> None:
        """Connections that could not be accepted are counted from the start, so that the first one is seen."""
        self.assertIn("\nsuperchat_accept_failures_total 0", self.exposed)
