"""A scrape of /metrics on a server with very much to tell.

Sessions, channels and threads are real objects of the chat in this process, without transports; what is timed is what
the reactor is held for at a scrape: collecting and rendering. The yardstick is a scrape of the same server when it is
empty.

    python -m benchmarks.scrape [--quick] [--check]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from superchat.chat.service import Chat
from superchat.clocks import wall_ms
from superchat.config import Config, Limits, SeedChannel
from superchat.net.factory import SuperChatFactory
from superchat.ops.logs import LogFiles
from superchat.ops.metrics import Metrics
from superchat.ops.monitor import Monitor
from superchat.storage.memory import MemoryStorage
from superchat.wire.messages import SetNickname

TARGET_MS = 10.0
TEXT = "text/plain"


class Nobody:
    """A peer that takes everything and reads nothing."""

    version = 2

    def write(self, frames: bytes) -> None:
        """Drop it."""

    def disconnect(self, reason: str | None, cause: str) -> None:
        """It was never there."""


def build(sessions: int, channels: int, threads: int) -> Monitor:
    """A monitor over a chat of that size; every session is subscribed to ten channels and ten threads."""
    clock: Any = Clock()
    clock.callFromThread = lambda call, *arguments: call(*arguments)
    storage = MemoryStorage()
    storage.open()
    limits = Limits(max_connections_per_ip=0)
    config = Config(limits=limits, channels=tuple(SeedChannel(f"channel{n}") for n in range(channels)))
    chat = Chat(config, storage, clock, wall_ms)
    Deferred.fromCoroutine(chat.start())
    factory = SuperChatFactory(chat, clock)
    for number in range(sessions):
        session = chat.connect("192.0.2.1", Nobody())
        assert session is not None
        chat.handle(session, SetNickname(nickname=f"user{number}"))
        for offset in range(10):
            chat.registry.subscribe_channel(session, (number * 10 + offset) % channels + 1)
            chat.registry.subscribe_thread(session, (number * 10 + offset) % threads + 1, 1)
    for thread in range(1, threads + 1):
        chat.counters.thread_deliveries.add(thread, 1, thread, thread % 97)
    return Monitor(clock, config, storage, factory, LogFiles(Path("."), False, clock), list)


def scrape_ms(monitor: Monitor) -> tuple[float, float]:
    """Median and slowest of a number of scrapes, in milliseconds."""
    metrics = Metrics(monitor.families)
    took = []
    for _ in range(30):
        start = time.perf_counter()
        metrics.render(TEXT)
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took), max(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--check", action="store_true", help=f"exit with 1 when the median is over {TARGET_MS:g} ms")
    arguments = parser.parse_args()
    share = 10 if arguments.quick else 1
    empty, _ = scrape_ms(build(0, 5, 1))
    full, slowest = scrape_ms(build(10_000 // share, 5_000 // share, 100_000 // share))
    print(f"empty server {empty:6.2f} ms")
    print(f"full server  {full:6.2f} ms, slowest {slowest:.2f} ms   ratio {full / empty:.1f}")
    if arguments.check and full > TARGET_MS:
        sys.exit(1)


if __name__ == "__main__":
    main()
