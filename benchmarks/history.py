"""A server with a long history: how soon it serves, how long a page takes, and what memory it needs.

Two databases are written directly, a short and a long one, both as recent as if it had all been posted within the last
hour: threads of some twenty replies, and one long thread that every tenth reply belongs to. A real server is started on
each, and one client reads pages all over the history, which begin anywhere. The yardstick is the short history.

    python -m benchmarks.history [--messages 1000000] [--pages 2000] [--quick] [--check] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import random
import socket
import sqlite3
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import attrs

from benchmarks.server import cpu_seconds, resident_bytes, running_server
from superchat.ids import EPOCH_MS, SEQUENCE_BITS
from superchat.wire import frames
from superchat.wire.messages import ListMessages, MessageList

SHORT = 10_000
CHANNELS = 4  # of those that a new database has
THREAD = 21  # a root and its replies
LONG_THREAD_EVERY = 10
PAGE = 50
CONTENT = b"a message of ordinary length, as people write them to each other all day long"
HOUR_MS = 3_600_000
STARTS = 3
TARGET_START_SECONDS = 1.0
TARGET_PAGE_SECONDS = 0.005
TARGET_MEMORY_RATIO = 1.1
_COLUMNS = "id, channel_id, parent_id, root_id, author_nickname, author_session, created_at, content"
_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'message' AND sql IS NOT NULL"
_COUNT_REPLIES = """
UPDATE message SET reply_count = (SELECT count(*) FROM message AS reply WHERE reply.parent_id = message.id)
WHERE parent_id IS NULL
"""


@attrs.frozen
class History:
    """Messages by number, from 0; a message's id follows from its number."""

    size: int
    end_ms: int

    def created_at(self, number: int) -> int:
        """All of them are spread over an hour."""
        return self.end_ms - HOUR_MS + HOUR_MS * number // self.size

    def id(self, number: int) -> int:
        """A snowflake; those of one millisecond differ in their sequence."""
        sequence = number % (1 << SEQUENCE_BITS)
        return (self.created_at(number) - EPOCH_MS << SEQUENCE_BITS) + sequence

    def root(self, number: int) -> int:
        """The number of the message that began the thread."""
        root = number - number % THREAD
        return 0 if number != root and number % LONG_THREAD_EVERY == 0 else root

    def channel(self, number: int) -> int:
        """The id of the channel."""
        return 1 + self.root(number) // THREAD % CHANNELS

    def rows(self) -> Iterator[tuple[object, ...]]:
        """All of them as the table has them, before replies are counted."""
        for number in range(self.size):
            root = self.root(number)
            parent = None if root == number else self.id(root)
            channel, created_at = self.channel(number), self.created_at(number)
            yield self.id(number), channel, parent, self.id(root), "somebody", 1, created_at, CONTENT


def write(path: Path, history: History) -> None:
    """Fill a database that a server has made, in one go, with the indexes at the end."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    indexes = database.execute(_INDEXES).fetchall()
    database.execute("BEGIN")
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    marks = ", ".join("?" * len(_COLUMNS.split(",")))
    database.executemany(f"INSERT INTO message ({_COLUMNS}) VALUES ({marks})", history.rows())
    for _, sql in indexes:
        database.execute(sql)
    database.execute(_COUNT_REPLIES)
    database.execute("COMMIT")
    database.close()


class Reader:
    """One client that asks for pages, and takes them without looking at them."""

    def __init__(self, port: int) -> None:
        self._stream = socket.create_connection(("127.0.0.1", port))
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frame()

    def page_seconds(self, request: ListMessages) -> float:
        """How long a page takes."""
        frame = frames.encode(request)
        start = time.perf_counter()
        self._stream.sendall(frame)
        code = self._frame()
        seconds = time.perf_counter() - start
        if code != MessageList.CODE:
            raise SystemExit(f"no page but 0x{code:02X} for {request}")
        return seconds

    def _frame(self) -> int:
        (length,) = struct.unpack(">I", self._stream.recv(4, socket.MSG_WAITALL))
        return self._stream.recv(length, socket.MSG_WAITALL)[1]


def requests(history: History, number: int) -> Iterator[ListMessages]:
    """Pages all over: of channels and of threads, from either end, from anywhere, and of the long thread."""
    dice = random.Random(7)
    for turn in range(number):
        somewhere = dice.randrange(history.size)
        channel, root, cursor = history.channel(somewhere), history.root(somewhere), history.id(somewhere)
        thread = None if turn % 2 else history.id(0 if turn % 10 == 0 else root)
        if thread == history.id(0):
            channel = history.channel(0)
        before, after = ((None, None), (cursor, None), (None, cursor))[dice.randrange(3)]
        yield ListMessages(channel_id=channel, limit=PAGE, before_id=before, after_id=after, parent_id=thread)


@attrs.frozen
class Figures:
    """What was measured with one history; times are seconds."""

    start: float
    start_cpu: float
    pages: list[float]
    resident: int

    @property
    def page(self) -> float:
        """The median of all pages."""
        return median(self.pages)

    @property
    def slow_page(self) -> float:
        """What 99 of 100 pages do not reach."""
        return quantiles(self.pages, n=100)[98]


def measured(folder: Path, size: int, pages: int) -> Figures:
    """Make a history and use it."""
    folder.mkdir()
    with running_server(folder=str(folder)):
        pass  # it has made the database
    history = History(size, int(time.time() * 1000))
    write(folder / "superchat" / "superchat.db", history)
    starts, computed = [], []
    for _ in range(STARTS):
        begin = time.perf_counter()
        with running_server(folder=str(folder)) as server:
            starts.append(time.perf_counter() - begin)
            computed.append(cpu_seconds(server.pid))
            reader = Reader(server.port)
            taken = [reader.page_seconds(request) for request in requests(history, pages)]
            resident = resident_bytes(server.pid)
    return Figures(median(starts), median(computed), taken, resident)


def main() -> None:
    """Print each figure beside that of the short history; with --check the exit status is 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="100,000 messages, 500 pages")
    parser.add_argument("--folder", default=".", help="where to put the databases; a real disk (default: here)")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"exit with 1 when the start takes more than {TARGET_START_SECONDS:g} s, a page in the median more than "
        f"{TARGET_PAGE_SECONDS * 1000:g} ms, or the memory is more than {TARGET_MEMORY_RATIO:g} of the short one's",
    )
    options = parser.parse_args()
    if options.quick:
        options.messages, options.pages = 100_000, 500
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        short = measured(Path(name, "short"), SHORT, options.pages)
        long = measured(Path(name, "long"), options.messages, options.pages)
    print(f"{'messages':26}{SHORT:12,}{options.messages:12,}")
    for title, one, other, unit in (
        ("start to listening", short.start, long.start, "s"),
        ("CPU until then", short.start_cpu, long.start_cpu, "s"),
        ("a page, p50", short.page * 1000, long.page * 1000, "ms"),
        ("a page, p99", short.slow_page * 1000, long.slow_page * 1000, "ms"),
        ("memory after the pages", short.resident / 1e6, long.resident / 1e6, "MB"),
    ):
        print(f"{title:26}{one:12.2f}{other:12.2f} {unit}   x {other / one:.2f}")
    is_good = (
        long.start <= TARGET_START_SECONDS
        and long.page <= TARGET_PAGE_SECONDS
        and long.resident <= TARGET_MEMORY_RATIO * short.resident
    )
    if options.check and not is_good:
        sys.exit(1)


if __name__ == "__main__":
    main()
