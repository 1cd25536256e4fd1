"""Whoever waits sees how the run stands."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.coordinator import Moment
from superchat.loadtest.measurements import Measurements
from superchat.loadtest.progress import Progress, describe


class Terminal(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        return True


def moment(seconds: float = 5.0, phase: str = "load") -> Moment:
    """Half of a load is over."""
    measured = Measurements()
    measured.counts.update({"connections": 210, "posts_acked": 500, "deliveries": 100_000})
    measured.latencies["ack"].add(2000)
    measured.error("ERROR 5001: Rate limit exceeded", 3)
    return Moment(phase, seconds / 10, seconds, measured)


class ProgressTests(SynchronousTestCase):
    """The bar and the lines."""

    def test_line(self) -> None:
        """A line has time, connections, rates, percentiles and errors."""
        line = describe(moment(), 10.0, with_bar=True)
        for words in (
            "[##########..........]",
            "5/10 s",
            "210 connected",
            "100 posts/s",
            "20,000 deliveries/s",
            "ack p99 2.0 ms",
            "3 errors",
        ):
            self.assertIn(words, line)

    def test_phase(self) -> None:
        """Before the load it says what it does."""
        self.assertIn("connecting", describe(moment(0.0, "connecting"), 10.0, with_bar=False))

    def test_terminal(self) -> None:
        """On a terminal there is one bar, which is drawn over and at last taken away."""
        file = Terminal()
        progress = Progress(file, 10.0, quiet=False)
        progress.show(moment())
        progress.show(moment())
        progress.clear()
        self.assertNotIn("\n", file.getvalue())
        self.assertEqual(file.getvalue().count("5/10 s"), 1)
        self.assertTrue(file.getvalue().endswith("\r\x1b[K"))

    def test_pipe(self) -> None:
        """Elsewhere there is a line now and then, and one for each new phase, without control characters."""
        file = io.StringIO()
        progress = Progress(file, 10.0, quiet=False)
        for phase in ("connecting", "load", "load", "load"):
            progress.show(moment(phase=phase))
        progress.clear()
        self.assertEqual(len(file.getvalue().splitlines()), 2)
        self.assertNotIn("\x1b", file.getvalue())

    def test_quiet(self) -> None:
        """On request there is nothing at all."""
        file = Terminal()
        progress = Progress(file, 10.0, quiet=True)
        progress.show(moment())
        progress.clear()
        self.assertEqual(file.getvalue(), "")
