"""Tests for `superchat.ops.series.passwords`: logging in, in numbers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from superchat.auth.passwords import PasswordWork
from superchat.ops.metrics import Metrics
from superchat.ops.series.passwords import families
from superchat.wire.messages import AuthRequest
from tests.ops.monitored import MonitoredServer, scraped


class PasswordSeriesTests(SynchronousTestCase):
    """What operators see of passwords."""

    def test_values(self) -> None:
        """Every number of the work is there under its name."""
        work = PasswordWork(waiting=3, running=2, refused=7)
        for seconds in (0.08, 0.2, 99.0):
            work.seconds.observe(seconds)
        samples = scraped(Metrics(lambda: families(work)).render("text/plain")[0])
        self.assertEqual(samples["superchat_password_waiting"], 3)
        self.assertEqual(samples["superchat_password_running"], 2)
        self.assertEqual(samples["superchat_password_refused_total"], 7)
        self.assertEqual(samples["superchat_password_duration_seconds_count"], 3)
        self.assertEqual(samples['superchat_password_duration_seconds_bucket{le="0.1"}'], 1)
        self.assertAlmostEqual(samples["superchat_password_duration_seconds_sum"], 99.28)

    def test_of_the_server(self) -> None:
        """A login shows, whether it succeeds or not."""
        server = MonitoredServer(self)
        server.connect().send(AuthRequest(nickname="nobody", password_hash="x" * 43))
        samples = scraped(Metrics(server.monitor.families).render("text/plain")[0])
        self.assertEqual(samples["superchat_password_duration_seconds_count"], 1)
