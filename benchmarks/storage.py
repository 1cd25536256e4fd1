"""How fast SQLite storage is, and whether a long history makes it slower.

    python benchmarks/storage.py [--quick] [--folder FOLDER]

Reads, counts and starts are timed on a short and on a long history: a ratio near 1 means that the cost does not
depend on how much was ever posted. Appending is set beside a bare loop that commits every row, measured in the
same run on the same disk. Everything is as durable as in the server: WAL, synchronous=FULL.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median, quantiles

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from superchat.model import Account, Backlog, Message, NewAccount, NewChannel, NewMessage, View
from superchat.storage.requests import ThreadedReactor
from superchat.storage.sqlite import SQLiteStorage

CHANNELS = 5
THREAD_LENGTH = 20
LONG_THREAD_SHARE = 10  # every tenth message goes to one thread, which thus grows with the history
PAGE = 50
CONTENT = b"a message of ordinary length, as people write them to each other all day long"
START_MS = 1_750_000_000_000
TROLL_SHARE = 50  # every fiftieth message is by an account that is shadowbanned later
READER = View(None, 2)
TARGETS = 500  # places whose unread messages are counted at once


@attrs.define
class History:
    """A filled database and what to ask of it."""

    storage: SQLiteStorage
    messages: int = 0
    long_thread: Message | None = None
    troll: Account | None = None
    roots: list[int] = attrs.Factory(list)

    @property
    def now_ms(self) -> int:
        return START_MS + self.messages

    def new(self, parent_id: int | None, channel_id: int) -> NewMessage:
        self.messages += 1
        by_troll = self.troll is not None and self.messages % TROLL_SHARE == 0
        author_id = self.troll.id if self.troll is not None and by_troll else None
        return NewMessage(channel_id, parent_id, "benchmark", 1, CONTENT, self.now_ms, author_id)


async def fill(history: History, size: int) -> None:
    """Write ``size`` messages: threads of some twenty replies in five channels, and one long thread."""
    storage = history.storage
    for number in range(1, CHANNELS + 1):
        await storage.create_channel(NewChannel(f"channel{number}", "", "", 1, 0), START_MS)
    history.troll = await storage.create_account(NewAccount("troll", "hash", 0, START_MS))
    history.long_thread = await storage.append_message(history.new(None, 1))
    while history.messages < size:
        starts = [history.new(None, 1 + n % CHANNELS) for n in range(40)]
        roots = await gatherResults([storage.append_message(start) for start in starts])
        history.roots += [root.id for root in roots]
        await gatherResults([storage.append_message(reply) for reply in replies(history, roots)])


def replies(history: History, roots: Sequence[Message]) -> list[NewMessage]:
    """Answers to each of ``roots``, interleaved, and the long thread's share."""
    assert history.long_thread is not None
    made = []
    for n in range(len(roots) * THREAD_LENGTH):
        root = history.long_thread if n % LONG_THREAD_SHARE == 0 else roots[n % len(roots)]
        made.append(history.new(root.id, root.channel_id))
    return made


def reads(history: History) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every kind of read, through threads, as a session sees it."""
    storage, long_thread, dice = history.storage, history.long_thread, random.Random(7)
    assert long_thread is not None
    assert history.troll is not None
    recent_ms = history.now_ms - 200
    stranger = View(None, 2, frozenset({history.troll.id}))

    def channel() -> int:
        return dice.randrange(CHANNELS) + 1

    def root() -> int:
        return dice.choice(history.roots)

    def recently(place: int) -> Backlog:
        return Backlog(place, recent_ms)

    def everything() -> list[Backlog]:
        return [Backlog(channel(), recent_ms, root()) if n % 2 else recently(channel()) for n in range(TARGETS)]

    return {
        "newest roots": lambda: storage.root_page(channel(), PAGE, None, None, READER),
        "roots before": lambda: storage.root_page(channel(), PAGE, root(), None, READER),
        "roots after": lambda: storage.root_page(channel(), PAGE, None, root(), READER),
        "a thread": lambda: storage.thread_page(root(), PAGE, None, None, READER),
        "the long thread": lambda: storage.thread_page(long_thread.id, PAGE, None, None, READER),
        "long thread before": lambda: storage.thread_page(long_thread.id, PAGE, root(), None, READER),
        "count in a channel": lambda: storage.counts_since([recently(channel())], READER),
        "count in a thread": lambda: storage.counts_since([Backlog(1, recent_ms, long_thread.id)], READER),
        f"{TARGETS} counts": lambda: storage.counts_since(everything(), READER),
        "roots, some withheld": lambda: storage.root_page(channel(), PAGE, None, None, stranger),
        "thread, some withheld": lambda: storage.thread_page(root(), PAGE, None, None, stranger),
        "count, some withheld": lambda: storage.counts_since([recently(channel())], stranger),
    }


def start(path: Path, reactor: ThreadedReactor) -> Callable[[], Awaitable[float]]:
    """How long it takes to open a database that is there."""

    async def open_and_close() -> float:
        storage = SQLiteStorage(path, reactor)
        begin = time.perf_counter()
        await storage.open()
        seconds = time.perf_counter() - begin
        await storage.close()
        return seconds

    return open_and_close


async def compare(kind: str, pair: Sequence[Callable[[], Awaitable[object]]], times: int) -> None:
    """Print the medians of two actions that take turns, so that other programs disturb both alike."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for action, seconds in zip(pair, taken, strict=True):
            begin = time.perf_counter()
            own_measure = await action()
            whole = time.perf_counter() - begin
            seconds.append(own_measure if isinstance(own_measure, float) else whole)
    short, long = (median(seconds) * 1e6 for seconds in taken)
    print(f"  {kind:22}{short:8,.0f} {long:8,.0f}   x {long / short:.2f}")


async def filled(reactor: ThreadedReactor, path: Path, size: int) -> History:
    history = History(SQLiteStorage(path, reactor))
    await history.storage.open()
    begin = time.perf_counter()
    await fill(history, size)
    rate = history.messages / (time.perf_counter() - begin)
    print(f"{size:,} messages, mostly replies, written at {rate:,.0f} a second")
    return history


async def compare_histories(reactor: ThreadedReactor, folder: Path, short: int, long: int) -> None:
    paths = [folder / "short.db", folder / "long.db"]
    histories = [await filled(reactor, *each) for each in zip(paths, (short, long), strict=True)]
    print(f"microseconds with {short:,} and with {long:,} messages, and their ratio")
    kinds = [reads(history) for history in histories]
    for kind in kinds[0]:
        await compare(kind, [kinds[0][kind], kinds[1][kind]], times=300)
    for history in histories:
        await history.storage.close()
    await compare("start", [start(path, reactor) for path in paths], times=10)
    print(f"{paths[1].stat().st_size / long:,.0f} bytes of disk a message of {len(CONTENT)} bytes")


def commit_every_row(path: Path, seconds: float) -> float:
    """Rows a second of the plainest loop there is, as a yardstick for this disk."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, channel_id, content, created_at)")
    rows, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        connection.execute("INSERT INTO message (channel_id, content, created_at) VALUES (?, ?, ?)", (1, CONTENT, rows))
        rows += 1
    connection.close()
    return rows / seconds


async def append_together(history: History, appenders: int, seconds: float) -> tuple[float, list[float]]:
    """Rows a second of ``appenders`` who each post again as soon as they are confirmed, and their waits."""
    waits: list[float] = []
    begin = time.perf_counter()

    async def append() -> None:
        while (asked := time.perf_counter()) - begin < seconds:
            await history.storage.append_message(history.new(None, 1))
            waits.append(time.perf_counter() - asked)

    await gatherResults([Deferred.fromCoroutine(append()) for _ in range(appenders)])
    return len(waits) / (time.perf_counter() - begin), waits


async def compare_appending(reactor: ThreadedReactor, folder: Path, seconds: float) -> None:
    history = History(SQLiteStorage(folder / "appending.db", reactor))
    await history.storage.open()
    await history.storage.create_channel(NewChannel("general", "", "", 1, 0), START_MS)
    yardstick = commit_every_row(folder / "yardstick.db", seconds)
    print(f"durable rows a second; a bare loop that commits every row: {yardstick:,.0f}")
    for appenders in (1, 50, 200):
        rate, waits = await append_together(history, appenders, seconds)
        percentiles = quantiles(waits, n=100)
        print(
            f"  {appenders:4} appenders {rate:8,.0f}   x {rate / yardstick:5.2f}"
            f"   p50 {percentiles[49] * 1e3:.1f} ms, p99 {percentiles[98] * 1e3:.1f} ms"
        )
    statistics = history.storage.statistics()
    print(f"  {statistics.operations:,} in {statistics.commits:,} commits, at most {statistics.largest_batch}")
    await history.storage.close()


async def run(reactor: ThreadedReactor, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        await compare_appending(reactor, folder, 1.0 if options.quick else 3.0)
        await compare_histories(reactor, folder, 10_000, 100_000 if options.quick else 1_000_000)


def main(arguments: Sequence[str] = sys.argv[1:]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten times less history, in under 20 seconds")
    parser.add_argument("--folder", default=".", help="where to put the databases; a real disk (default: here)")
    options = parser.parse_args(arguments)
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, options)))


if __name__ == "__main__":
    main()
