"""What a server announces and the machine allows is compared with the load before it begins."""

from __future__ import annotations

import resource
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from superchat.loadtest import limits
from superchat.loadtest.options import Options
from superchat.loadtest.plan import shares
from superchat.wire.messages import ServerConfig
from tests.loadtest.test_plan import plan


def config(**announced: int) -> ServerConfig:
    """A SERVER_CONFIG without limits but for those given."""
    unlimited = {
        "protocol_version": 2,
        "max_message_rate": 0,
        "max_channel_creates": 0,
        "inactive_cleanup_days": 0,
        "max_connections_per_ip": 0,
        "max_message_length": 4096,
        "max_thread_subscriptions": 0,
        "max_channel_subscriptions": 0,
    }
    return ServerConfig(**{**unlimited, **announced}, directory_enabled=False)


def options(**asked: Any) -> Options:
    """Options of a load."""
    return Options(**{"scenario": "fanout", "posters": 2, "subscribers": 8, "rate": 1.0, **asked})


class AnnouncedTests(SynchronousTestCase):
    """Limits in SERVER_CONFIG (wire 0x98)."""

    def check(self, asked: Options, announced: ServerConfig, *words: str) -> None:
        """One sentence stands against it, with these words."""
        [sentence] = limits.announced(asked, announced)
        for word in words:
            self.assertIn(word, sentence)

    def test_none(self) -> None:
        """A server without limits takes everything."""
        self.assertEqual(limits.announced(options(rate=0.0, threads=50, posters=5000), config()), [])

    def test_connections(self) -> None:
        """As many connections as the address may have are possible, one more is not."""
        self.assertEqual(limits.announced(options(), config(max_connections_per_ip=10)), [])
        self.check(options(), config(max_connections_per_ip=9), "9 connections", "max_connections_per_ip", "10")

    def test_rate(self) -> None:
        """Posters may post a minute's worth at once and then at the rate; with more posters more is possible."""
        tight = config(max_message_rate=10)
        self.assertEqual(limits.announced(options(rate=2.0, duration_seconds=10.0), tight), [])
        self.check(options(rate=3.0, duration_seconds=10.0), tight, "message_rate_limit", "3 posters could do it")
        enough = options(rate=3.0, duration_seconds=10.0, posters=3)
        self.assertEqual(limits.announced(enough, tight), [])

    def test_saturating(self) -> None:
        """A limited server cannot be saturated."""
        self.check(options(rate=0.0), config(max_message_rate=600), "message_rate_limit", "--rate")
        self.assertEqual(limits.announced(options(rate=0.0, posters=0), config(max_message_rate=600)), [])

    def test_threads(self) -> None:
        """The threads have to be begun, and each subscriber needs to follow some."""
        self.check(options(threads=11), config(max_message_rate=10), "11 threads")
        self.check(options(threads=11), config(max_thread_subscriptions=4), "max_thread_subscriptions", "5")
        self.assertEqual(limits.announced(options(threads=11), config(max_thread_subscriptions=5)), [])

    def test_length(self) -> None:
        """A text that is too long is refused before it is sent."""
        self.check(options(size_bytes=4097), config(), "4096", "--size", "4097")

    def test_all_at_once(self) -> None:
        """Everything that stands against it is said at once."""
        tight = config(max_message_rate=1, max_connections_per_ip=1, max_message_length=50)
        self.assertEqual(len(limits.announced(options(rate=0.0), tight)), 3)


class MachineTests(SynchronousTestCase):
    """File descriptors."""

    def test_descriptors(self) -> None:
        """More connections than a process may open are refused, with what helps; more processes do."""
        self.patch(resource, "getrlimit", lambda which: (1024, 1024))
        [sentence] = limits.of_this_machine(shares(plan(subscribers=2000, processes=1)))
        self.assertIn("1024", sentence)
        self.assertIn("--processes", sentence)
        self.assertEqual(limits.of_this_machine(shares(plan(subscribers=2000, processes=3))), [])
