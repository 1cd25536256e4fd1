"""superchat-loadtest against the real server, and what it does when that cannot take the load."""

from __future__ import annotations

import re
import signal
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest.options import SCENARIOS
from tests.e2e.loadtest import COMMAND, environment, measure, run
from tests.e2e.server import PATIENCE_SECONDS, RunningServer, free_port

SMALL = ("--duration", "0.3")
SIZES = {
    "fanout": ("--subscribers", "20", "--posters", "3"),
    "posts": ("--posters", "5"),
    "threads": ("--threads", "6", "--subscribers", "12", "--posters", "6"),
    "storm": ("--arrivals", "40"),
    "slow-readers": ("--slow", "3", "--subscribers", "5", "--posters", "2"),
    "churn": ("--churners", "5", "--stay", "0.1", "--subscribers", "5", "--posters", "2"),
    "mixed": ("--threads", "3", "--subscribers", "10", "--posters", "4", "--slow", "1", "--churners", "3"),
}


class ScenarioTests(SynchronousTestCase):
    """Every scenario, small."""

    def test_scenarios(self) -> None:
        """Each scenario runs, finds everything once and in order, and measures what it is there for."""
        server = RunningServer(self)
        measured = {
            "fanout": "delivery_p99_ms",
            "posts": "ack_p99_ms",
            "threads": "delivery_p99_ms",
            "storm": "nickname_p99_ms",
            "slow-readers": "delivery_p99_ms",
            "churn": "connect_p99_ms",
            "mixed": "delivery_p99_ms",
        }
        self.assertEqual(measured.keys(), SCENARIOS.keys())
        for name, metric in measured.items():
            status, outcome = measure(server.port, name, *SIZES[name], *SMALL)
            self.assertEqual((status, outcome["faults"], outcome["errors"]), (0, {}, {}), name)
            self.assertGreater(outcome["metrics"][metric], 0, name)
            self.assertEqual(outcome["metrics"]["other_messages"], 0, name)
        server.stop()

    def test_numbers(self) -> None:
        """At a rate, as many posts are sent as it says, and every subscriber gets each; several processes add up."""
        server = RunningServer(self)
        load = ("fanout", "--rate", "100", "--posters", "7", "--subscribers", "9", "--duration", "1")
        status, outcome = measure(server.port, *load, "--processes", "4", "--size", "700")
        metrics = outcome["metrics"]
        self.assertEqual((status, metrics["posts_acked"], metrics["deliveries"]), (0, 100, 900), outcome)
        self.assertEqual((metrics["connections"], metrics["posts_unsent"]), (16, 0))
        self.assertGreater(metrics["server_cpu_seconds"], 0)
        self.assertGreater(metrics["server_rss_mib"], 10)
        server.stop()

    def test_people(self) -> None:
        """Without --json there is a report to read, and the progress is on standard error."""
        server = RunningServer(self)
        finished = run(server.port, "fanout", *SIZES["fanout"], *SMALL, "--expect", "delivery_p99_ms<0.001")
        self.assertEqual(finished.exit_code, 1)
        self.assertRegex(finished.stdout, r"posts +[\d,]+ acknowledged")
        self.assertRegex(finished.stdout, r"delivery( +[\d.,]+){5}\n")
        self.assertIn("every post arrived once and in order", finished.stdout)
        self.assertIn("expected delivery_p99_ms<0.001: NOT MET", finished.stdout)
        self.assertIn("23 connected", finished.stderr)
        server.stop()

    def test_server_dies(self) -> None:
        """A server that is gone in the middle of the load is a failure, and is reported without waiting for the end."""
        server = RunningServer(self)
        process = start(server.port, "fanout", *SIZES["fanout"], "--rate", "50", "--duration", "60", "--grace", "1")
        self.addCleanup(process.kill)
        wait_for_load(process)
        server.kill()
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(process.returncode, 1, printed)
        self.assertRegex(printed, r"FAULT +23 disconnected")


class EarlyEndTests(SynchronousTestCase):
    """Ctrl-C."""

    def test_interrupted(self) -> None:
        """Ctrl-C ends the load; what was measured until then is checked and reported."""
        server = RunningServer(self)
        process = start(server.port, "fanout", *SIZES["fanout"], "--rate", "50", "--duration", "60")
        self.addCleanup(process.kill)
        wait_for_load(process)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(process.returncode, 0, printed)
        self.assertIn("the load was interrupted", printed)
        self.assertIn("every post arrived once and in order", printed)
        server.stop()


class ImpossibleTests(SynchronousTestCase):
    """Loads that cannot be."""

    def test_limits(self) -> None:
        """The limits that a server announces are named before anything is sent: exit status 2. What they allow runs."""
        server = RunningServer(self, config="")
        finished = run(server.port, "fanout")
        self.assertEqual((finished.exit_code, finished.stdout), (2, ""))
        self.assertIn("10 connections from one address (max_connections_per_ip)", finished.stderr)
        self.assertIn("10 messages a minute (message_rate_limit)", finished.stderr)
        load = ("fanout", "--posters", "4", "--subscribers", "6", "--rate", "20", "--duration", "1")
        status, outcome = measure(server.port, *load)
        self.assertEqual((status, outcome["metrics"]["deliveries"]), (0, 120), outcome)
        server.stop()

    def test_limits_ignored(self) -> None:
        """On request it is tried all the same, and shows how the server refuses."""
        server = RunningServer(self, config="[limits]\nmessage_rate_limit = 3\n")
        load = ("posts", "--posters", "1", "--rate", "40", "--duration", "0.5", "--ignore-limits")
        status, outcome = measure(server.port, *load)
        self.assertEqual((status, outcome["metrics"]["posts_acked"], outcome["metrics"]["posts_refused"]), (0, 3, 17))
        [(kind, times)] = outcome["errors"].items()
        self.assertTrue(re.match("ERROR 5001: ", kind))
        self.assertEqual(times, 17)
        server.stop()

    def test_channels(self) -> None:
        """A channel is found by name, in any case, or id; one that is not there, or has no threads, is said."""
        server = RunningServer(self)
        for channel in ("#GENERAL", "2"):
            status, _ = measure(server.port, "posts", "--posters", "1", "--channel", channel, *SMALL)
            self.assertEqual(status, 0)
        for channel, words in (("nowhere", "no channel nowhere"), ("general/x", "no channel"), ("chat", "is a chat")):
            finished = run(server.port, "threads", "--channel", channel)
            self.assertEqual(finished.exit_code, 2)
            self.assertIn(words, finished.stderr)
        server.stop()

    def test_nobody_there(self) -> None:
        """Where nobody listens the exit status is 3."""
        finished = run(free_port(), "fanout")
        self.assertEqual((finished.exit_code, finished.stdout), (3, ""))
        self.assertIn("cannot connect", finished.stderr)

    def test_server_full(self) -> None:
        """A server that does not let all clients in, for a reason it does not announce, is named with that reason."""
        server = RunningServer(self, config="[limits]\nmax_users = 5\nmax_connections_per_ip = 0\n")
        finished = run(server.port, "churn", "--posters", "0", "--churners", "0", "--subscribers", "20")
        self.assertEqual((finished.exit_code, finished.stdout), (3, ""))
        self.assertIn("15 of 20 clients", finished.stderr)
        server.stop()


def start(port: int, *arguments: str) -> subprocess.Popen[str]:
    """Start a load test without waiting for it."""
    return subprocess.Popen(
        [*COMMAND, *arguments, "--server", f"127.0.0.1:{port}"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_load(process: subprocess.Popen[str]) -> None:
    """Wait until the load is under way."""
    assert process.stderr is not None
    for line in process.stderr:
        if re.match(r"(load|\d+/60 s) ", line):
            return
    raise AssertionError("the load does not begin")
