"""A chat in memory with everything that watches it, and its metrics as a scraper reads them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred
from twisted.logger import LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.service import Chat
from superchat.config import Config, Limits, Monitoring, Server, default_channels
from superchat.config.seeds import SeedChannel
from superchat.net.factory import SuperChatFactory
from superchat.ops.logs import LogFiles
from superchat.ops.metrics import Metrics
from superchat.ops.monitor import Monitor
from superchat.storage.memory import MemoryStorage
from tests.clocks import now_ms_of
from tests.net.in_memory import InMemoryClient, InMemoryServer
from tests.storage.reactor import SteppedReactor

NO_LIMITS = Limits(max_connections_per_ip=0, message_rate_limit=0, max_channel_subscriptions=0)


@attrs.frozen
class Scraped:
    """The samples of one scrape: name and labels as they are written, and the value."""

    samples: dict[str, float]

    def of(self, name: str) -> dict[str, float]:
        """All samples with this name, by their labels."""
        return {
            key.removeprefix(name): value for key, value in self.samples.items() if key.partition("{")[0] == name
        }

    def __getitem__(self, key: str) -> float:
        return self.samples[key]


def scraped(body: bytes) -> Scraped:
    """Read the text format."""
    samples = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in samples, f"{key} is there twice"
            samples[key] = sample.value
    return Scraped(samples)


class MonitoredServer(InMemoryServer):
    """An `InMemoryServer` on a reactor whose threads wait for the test, with a `Monitor`."""

    def __init__(
        self,
        case: SynchronousTestCase,
        limits: Limits = NO_LIMITS,
        channels: tuple[SeedChannel, ...] | None = None,
        monitoring: Monitoring | None = None,
        ports: Iterable[Any] = (),
    ) -> None:
        self.clock = self.reactor = SteppedReactor()
        self.storage = MemoryStorage()
        self.storage.open()
        directory = Path(case.mktemp())
        directory.mkdir()
        self.config = Config(
            server=Server(data_directory=str(directory), database_path=str(directory / "superchat.db")),
            limits=limits,
            monitoring=monitoring or Monitoring(),
            channels=default_channels() if channels is None else channels,
        )
        self.chat = Chat(self.config, self.storage, self.clock, now_ms_of(self.clock))
        self.factory = SuperChatFactory(self.chat, self.clock)
        case.successResultOf(Deferred.fromCoroutine(self.chat.start()))
        self.logs = LogFiles(directory, False, self.clock, [LogPublisher()])
        self.monitor = Monitor(self.reactor, self.config, self.storage, self.factory, self.logs, lambda: ports)
        self.metrics = Metrics(self.monitor.families)

    def scrape(self) -> Scraped:
        """What curl gets."""
        return scraped(self.metrics.render("")[0])

    def people(self, number: int) -> list[InMemoryClient]:
        """So many connections."""
        return [self.connect() for _ in range(number)]
