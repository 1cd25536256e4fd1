"""What a retention of many old messages costs those who post meanwhile, and how much disk space it gives back.

    python -m benchmarks.retention [--old 200000] [--quick] [--folder FOLDER]

Posters post all the time, first alone, then while old messages are removed, each in threads of its own. Latencies are
from the request to the confirmation, so they include the commit; the reactor's hold is how late a timer of 2 ms is; the
writer's hold is how long one slice of removal keeps posts waiting; its share of CPU is what the slice needs, the rest
is the disk, and whatever else the machine does. Everything is as durable as in the server.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater, react

from superchat.chat.broadcasts import Broadcasts
from superchat.chat.channels import ChannelDirectory
from superchat.chat.counters import Counters
from superchat.chat.fanout import FanOut
from superchat.chat.registry import ChannelRegistry
from superchat.chat.retention import Retention
from superchat.clocks import wall_ms
from superchat.model import Channel, NewChannel, NewMessage
from superchat.server import SWITCH_SECONDS
from superchat.storage.sqlite import SQLiteStorage

CHANNELS = 4
THREAD_LENGTH = 10
YOUNG_SHARE = 0.1
POSTERS = 50
PAUSE_SECONDS = 0.05
ALONE_SECONDS = 5.0
TICK_SECONDS = 0.002
CONTENT = b"a message of ordinary length, as people write them to each other all day long"
DAY_SECONDS = 86_400


@attrs.define
class Measures:
    """Milliseconds, as they were measured while they were wanted."""

    posts: list[float] = attrs.Factory(list)
    lateness: list[float] = attrs.Factory(list)
    slices: list[float] = attrs.Factory(list)
    slices_cpu: list[float] = attrs.Factory(list)


class Load:
    """Posters that never stop, and a clock on the reactor."""

    def __init__(self, reactor: Any, storage: SQLiteStorage, channels: list[Channel]) -> None:
        self.measures = Measures()
        self._reactor = reactor
        self._storage = storage
        self._channels = channels
        self._is_on = True
        self._due = 0.0

    def start(self) -> None:
        """Begin to post, and to measure."""
        self._posters = [Deferred.fromCoroutine(self._post(number)) for number in range(POSTERS)]
        self._ticks = LoopingCall(self._tick)
        self._ticks.start(TICK_SECONDS)

    async def stop(self) -> None:
        """Let everybody finish."""
        self._is_on = False
        self._ticks.stop()
        await gatherResults(self._posters)

    async def _post(self, number: int) -> None:
        channel, parent_id, count = self._channels[number % len(self._channels)], None, 0
        while self._is_on:
            new = NewMessage(channel.id, parent_id, "poster", 1, CONTENT, int(self._reactor.seconds() * 1000))
            begin = time.perf_counter()
            posted = await self._storage.append_message(new)
            self.measures.posts.append((time.perf_counter() - begin) * 1e3)
            count += 1
            parent_id = None if count % THREAD_LENGTH == 0 else posted.id
            await deferLater(self._reactor, PAUSE_SECONDS)

    def _tick(self) -> None:
        now = time.perf_counter()
        if self._due:
            self.measures.lateness.append(max(0.0, now - self._due) * 1e3)
        self._due = now + TICK_SECONDS


async def fill(storage: SQLiteStorage, channels: list[Channel], count: int, now_ms: int) -> None:
    """Old threads, and young ones after them."""
    for number, age_ms in ((count, 2 * DAY_SECONDS * 1000), (int(count * YOUNG_SHARE), 0)):
        for begun in range(0, number, 100 * THREAD_LENGTH):
            new = partial(NewMessage, author_nickname="old", author_session=1, content=CONTENT)
            moment = now_ms - age_ms + begun // 1000
            roots = await gatherResults(
                [storage.append_message(new(channels[n % CHANNELS].id, None, created_at=moment)) for n in range(100)]
            )
            await gatherResults(
                [
                    storage.append_message(new(roots[n % 100].channel_id, roots[n % 100].id, created_at=moment))
                    for n in range(100 * (THREAD_LENGTH - 1))
                ]
            )


def timed(storage: SQLiteStorage, measures: Measures) -> None:
    """Have the writer's thread measure each slice."""
    submit = storage._writer.submit_alone

    def submit_timed(operation: Callable[[Any], Any]) -> Deferred[Any]:
        def run(connection: Any) -> Any:
            begin, cpu = time.perf_counter(), time.thread_time()
            try:
                return operation(connection)
            finally:
                measures.slices.append((time.perf_counter() - begin) * 1e3)
                measures.slices_cpu.append((time.thread_time() - cpu) * 1e3)

        return submit(run)

    storage._writer.submit_alone = submit_timed  # type: ignore[method-assign]


def show(name: str, milliseconds: list[float]) -> None:
    """Print a distribution."""
    parts = quantiles(milliseconds, n=1000)
    above = sum(each > 20 for each in milliseconds)
    print(
        f"  {name:16}p50 {parts[499]:6.1f}  p99 {parts[989]:6.1f}  p99.9 {parts[998]:6.1f}  "
        f"max {max(milliseconds):6.1f} ms   {above} of {len(milliseconds):,} above 20 ms"
    )


def size_mb(path: Path) -> float:
    """The database and its log."""
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*")) / 1e6


async def run(reactor: Any, folder: Path, old: int) -> None:
    path = folder / "retention.db"
    storage = SQLiteStorage(path, reactor)
    await storage.open()
    now_ms = int(reactor.seconds() * 1000)
    channels = [await storage.create_channel(NewChannel(f"channel{n}", "", "", 1, 24), now_ms) for n in range(CHANNELS)]
    await fill(storage, channels, old, now_ms)
    print(
        f"{old:,} old messages in threads of {THREAD_LENGTH}, {int(old * YOUNG_SHARE):,} young ones, {POSTERS} posters"
    )
    full_mb = size_mb(path)
    load = Load(reactor, storage, channels)
    load.start()
    await deferLater(reactor, 1.0)  # warm up
    load.measures = alone = Measures()
    await deferLater(reactor, ALONE_SECONDS)
    load.measures = beside = Measures()
    seconds = await retain(reactor, storage, channels, beside)
    await load.stop()
    rate = len(alone.posts) / ALONE_SECONDS
    print(f"without retention, {rate:,.0f} posts a second")
    show("posts", alone.posts)
    show("reactor's hold", alone.lateness)
    print(f"while it runs, {len(beside.posts) / seconds:,.0f} posts a second")
    show("posts", beside.posts)
    show("reactor's hold", beside.lateness)
    show("writer's hold", beside.slices)
    show("  of that CPU", beside.slices_cpu)
    print(f"removed {old / seconds:,.0f} a second; {full_mb:.1f} MB before, {size_mb(path):.1f} MB after")
    await storage.close()


async def retain(reactor: Any, storage: SQLiteStorage, channels: list[Channel], measures: Measures) -> float:
    """One pass; how many seconds it took."""
    directory = ChannelDirectory()
    directory.add(channels)
    registry = ChannelRegistry(Counters(), FanOut(Broadcasts(reactor)))
    retention = Retention(storage, directory, registry, reactor, wall_ms, interval_minutes=60)
    timed(storage, measures)
    retention.start()
    begin = time.perf_counter()
    await retention._work(directory.expiring())
    retention.stop()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=int, default=200_000)
    parser.add_argument("--quick", action="store_true", help="20,000 old messages")
    parser.add_argument("--folder", type=Path, help="where the database is made; default: a temporary one")
    arguments = parser.parse_args()
    sys.setswitchinterval(SWITCH_SECONDS)
    old = 20_000 if arguments.quick else arguments.old
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        react(lambda reactor: Deferred.fromCoroutine(run(reactor, Path(folder), old)))


if __name__ == "__main__":
    main()
