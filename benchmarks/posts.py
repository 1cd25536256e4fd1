"""Posting through a whole server, over real sockets; every acknowledgement is durable (WAL, synchronous=FULL).

The yardsticks, measured in the same run on the same disk, are a bare loop that commits every row with SQLite; the same
loop with a socket, which is the least that a post can take from a client and back; and a bare Twisted protocol behind
which a thread commits, the least where a disk must not hold up a reactor.
The clients are one process that does no more than count the answers by their size; the server is another.

    python -m benchmarks.posts [--posters 50] [--in-flight 8] [--seconds 5] [--sync-longer 0.001]
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import attrs

from benchmarks.bare import COMMIT_ROW, GREETING, Kind, bare_database, running_bare
from benchmarks.server import cpu_seconds, raise_descriptor_limit, running_server
from superchat.wire import frames, messages
from superchat.wire.connection import Connection

CHANNEL: Final = 2
CONTENT: Final = b"x" * 140
POST: Final = frames.encode(messages.PostMessage(channel_id=CHANNEL, content=CONTENT))
ANSWER_BYTES: Final = len(frames.encode(messages.MessagePosted(success=True, message_id=1, message="Message posted")))
SETTLE_SECONDS: Final = 0.5
_ANSWERING: Final[dict[Kind, str]] = {
    "durable-loop": "the same with a socket",
    "durable": "behind a bare protocol and a thread",
}


@attrs.define(eq=False)
class Poster:
    """One client, with some posts in flight at any time; *asked* has the times of those that are not answered yet."""

    socket: socket.socket
    asked: deque[float] = attrs.field(factory=deque)
    rest_bytes: int = 0

    @classmethod
    def connect(cls, port: int, nickname: str) -> Poster:
        """Connect and take a nickname."""
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(frames.encode(messages.SetNickname(nickname=nickname)))
        return cls(connection)

    def settle(self) -> None:
        """Read all that came before the answer to a PING: greetings, and the presence of those who came meanwhile."""
        incoming = Connection(messages.BY_CODE)
        self.socket.sendall(frames.encode(messages.Ping(timestamp=0)))
        event = None
        while not isinstance(event, messages.Pong):
            event = incoming.next_event()
            if event is None:
                incoming.receive_data(self.socket.recv(1 << 16))
        self.socket.setblocking(False)

    def post(self, number: int, now: float) -> None:
        """Send *number* more."""
        self.socket.sendall(POST * number)
        self.asked.extend([now] * number)

    def answered(self, now: float) -> list[float]:
        """Read; the seconds that each of the posts took that are answered."""
        self.rest_bytes += len(self.socket.recv(1 << 16))
        number, self.rest_bytes = divmod(self.rest_bytes, ANSWER_BYTES)
        return [now - self.asked.popleft() for _ in range(number)]


@attrs.frozen
class Outcome:
    """What a phase came to."""

    rate: float  # acknowledged posts a second
    took: list[float]  # seconds, of each
    server_seconds: float  # CPU of the server for one post

    def __str__(self) -> str:
        cuts = quantiles(self.took, n=100)
        return (
            f"{self.rate:9,.0f}/s   p50 {cuts[49] * 1e3:6.2f} ms   p99 {cuts[98] * 1e3:6.2f} ms"
            f"   server {self.server_seconds * 1e6:4.0f} us of CPU each"
        )


def bare_commits(folder: Path, seconds: float) -> list[float]:
    """The seconds that each commit of one row took, with nothing around it."""
    took = []
    with closing(bare_database(folder / "bare.db")) as connection:
        ends = time.monotonic() + seconds
        while (began := time.monotonic()) < ends:
            connection.execute(COMMIT_ROW, (CONTENT,))
            took.append(time.monotonic() - began)
    return took


def bare_posts(kind: Kind, folder: Path, seconds: float) -> list[float]:
    """The seconds until one of the durable yardsticks answers that a post is committed, one at a time."""
    took = []
    with (
        running_bare(kind, folder / f"{kind}.db") as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(len(GREETING), socket.MSG_WAITALL)
        ends = time.monotonic() + seconds
        while (began := time.monotonic()) < ends:
            connection.sendall(POST)
            connection.recv(1)
            took.append(time.monotonic() - began)
    return took


def posting(posters: Sequence[Poster], in_flight: int, seconds: float, pid: int) -> Outcome:
    """Keep that many of each poster's posts in flight for some seconds, then wait for the last answers."""
    poll = select.epoll()
    by_descriptor = {poster.socket.fileno(): poster for poster in posters}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    took: list[float] = []
    used, began = cpu_seconds(pid), time.monotonic()
    ends = began + seconds
    for poster in posters:
        poster.post(in_flight, began)
    now = began
    while now < ends or any(poster.asked for poster in posters):
        for descriptor, _ in poll.poll(1.0):
            poster = by_descriptor[descriptor]
            now = time.monotonic()
            answered = poster.answered(now)
            took += answered
            if answered and now < ends:
                poster.post(len(answered), now)
        now = time.monotonic()
    poll.close()
    return Outcome(len(took) / (now - began), took, (cpu_seconds(pid) - used) / len(took))


def measure(folder: Path, number: int, in_flight: int, seconds: float) -> None:
    """Print the yardsticks, one post at a time, and many."""
    before = bare_commits(folder, seconds / 2)
    answered = {kind: bare_posts(kind, folder, seconds / 2) for kind in _ANSWERING}
    with running_server(folder=str(folder)) as server:
        posters = [Poster.connect(server.port, f"poster{n:02}") for n in range(number)]
        time.sleep(SETTLE_SECONDS)  # presence is told a moment later
        for poster in posters:
            poster.settle()
        alone = posting(posters[:1], 1, seconds, server.pid)
        many = posting(posters, in_flight, seconds, server.pid)
        for poster in posters:
            poster.socket.close()
    bare = before + bare_commits(folder / "superchat", seconds / 2)
    bare_rate, bare_p50 = len(bare) / sum(bare), median(bare)
    print(f"bare commits of one row     {bare_rate:9,.0f}/s   p50 {bare_p50 * 1e3:6.2f} ms")
    for kind, seconds_each in answered.items():
        p50 = median(seconds_each)
        print(f"{_ANSWERING[kind]:40}  p50 {p50 * 1e3:6.2f} ms   ratio of p50 {p50 / bare_p50:5.2f}")
    print(f"1 poster, 1 in flight       {alone}   ratio of p50 {median(alone.took) / bare_p50:5.2f}")
    print(f"{number} posters, {in_flight} in flight    {many}   ratio of rates {many.rate / bare_rate:5.2f}")


def on_slow_disk(seconds: float, folder: Path, arguments: Sequence[str]) -> int:
    """Measure in another process, with whose children all syncs take so much longer; its exit code."""
    # Not for all: whoever imports the tests is told of every warning.
    from tests.faults.preload import build, environment

    slow = environment(build("slow_sync", folder, Path(__file__).parent), SLOW_SYNC_US=str(round(seconds * 1e6)))
    command = [sys.executable, "-m", "benchmarks.posts", *arguments, "--sync-longer", "0"]
    return subprocess.run(command, env={**os.environ, **slow}, check=False).returncode


def main(arguments: Sequence[str] = sys.argv[1:]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each phase")
    parser.add_argument("--folder", default=".", help="where to put the databases; a real disk (default: here)")
    parser.add_argument("--sync-longer", type=float, default=0.0, help="seconds more that each sync of a disk takes")
    parser.add_argument("--quick", action="store_true", help="phases of one second")
    options = parser.parse_args(arguments)
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        if options.sync_longer:
            raise SystemExit(on_slow_disk(options.sync_longer, Path(name), arguments))
        measure(Path(name), options.posters, options.in_flight, 1.0 if options.quick else options.seconds)


if __name__ == "__main__":
    main()
