"""What very many idle sessions cost: memory for each, and the processor while all they do is to PING now and then.

They come some hundred at a time, take a nickname, join a channel, subscribe to it, and read all that everybody is told
of that. What counts as memory is the growth of the server's own resident memory, divided by the sessions; the
kernel's buffers of a socket are not part of it. What counts as processor time has a scrape of /metrics in it every
15 seconds. The yardstick, measured in the same run, is a bare Twisted protocol with as many connections, which gives
the same PINGs back.

    python -m benchmarks.sessions [--sessions 10000] [--seconds 60] [--quick] [--check]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from urllib.request import urlopen

import attrs

from benchmarks.bare import GREETING_START, running_bare
from benchmarks.crowd import Crowd
from benchmarks.server import Server, cpu_seconds, free_port, raise_descriptor_limit, resident_bytes, running_server
from superchat.ops.trimming import EVERY_SECONDS
from superchat.wire import frames, messages

TARGET_BYTES = 4096
TARGET_SHARE = 0.05
CHANNEL = 2
AT_ONCE = 500
PING_EVERY_SECONDS = 30.0
SCRAPE_EVERY_SECONDS = 15.0
TRIMMED_SECONDS = EVERY_SECONDS + 1
LIMITS = "session_timeout_seconds = 3600"  # for on a slow machine the last ones come minutes after the first
PING = frames.encode(messages.Ping(timestamp=1))


@attrs.frozen
class Cost:
    """Bytes of memory for each session, and the share of one processor that all of them take."""

    bytes_each: float
    share: float


def settle(crowd: Crowd, number: int) -> None:
    """Let so many more come, and everybody read what there is to read."""
    crowd.connect(number, GREETING_START)
    newcomers = range(len(crowd) - number, len(crowd))
    crowd.ask(
        lambda number: messages.SetNickname(nickname=f"user{number:05}"),
        lambda number: messages.NicknameResponse(success=True, message=f"Nickname set to user{number:05}"),
        newcomers,
    )
    crowd.ask(
        lambda number: messages.JoinChannel(channel_id=CHANNEL),
        lambda number: messages.JoinResponse(success=True, channel_id=CHANNEL, message="Joined channel"),
        newcomers,
    )
    crowd.ask(
        lambda number: messages.SubscribeChannel(channel_id=CHANNEL),
        lambda number: messages.SubscribeOk(type=2, id=CHANNEL),
        newcomers,
    )
    crowd.read_until_quiet(0.15)


def idle(crowd: Crowd, server: Server, seconds: float, every_seconds: float, scrape: Callable[[], object]) -> float:
    """The share of a processor while every client sends a PING *every_seconds*, evenly spread."""
    started = scraped = time.monotonic()
    before = cpu_seconds(server.pid)
    sent = 0
    while (now := time.monotonic()) < started + seconds:
        due = int((now - started) * len(crowd) / every_seconds)
        while sent < due:
            crowd.send(sent % len(crowd), PING)
            sent += 1
        if now - scraped >= SCRAPE_EVERY_SECONDS:
            scraped = now
            scrape()
        crowd.read(0.01)
    return (cpu_seconds(server.pid) - before) / seconds


def settled_bytes(server: Server) -> int:
    """The memory of a server once it has given back what only arriving took."""
    time.sleep(TRIMMED_SECONDS)
    return resident_bytes(server.pid)


def measured(
    server: Server,
    arrive: Callable[[Crowd, int], object],
    sessions: int,
    seconds: float,
    scrape: Callable[[], object] = int,
) -> Cost:
    """What *sessions* cost in a server, once its first ones have made it do everything for the first time."""
    crowd = Crowd(server.port)
    arrive(crowd, AT_ONCE)
    scrape()
    before = settled_bytes(server)
    while len(crowd) < AT_ONCE + sessions:
        arrive(crowd, min(AT_ONCE, AT_ONCE + sessions - len(crowd)))
    bytes_each = (settled_bytes(server) - before) / sessions
    # The fewer there are, the more often they PING, so that there is something to measure.
    share = idle(crowd, server, seconds, PING_EVERY_SECONDS * min(1.0, len(crowd) / 10_000), scrape)
    crowd.close()
    return Cost(bytes_each, share)


def main() -> None:
    """Print both figures beside the yardstick's; the exit status is 1 if --check is given and a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they are idle")
    parser.add_argument("--quick", action="store_true", help="1,000 sessions, and 3 seconds")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"exit with 1 above {TARGET_BYTES} bytes a session or {TARGET_SHARE:.0%} of a processor",
    )
    options = parser.parse_args()
    if options.quick:
        options.sessions, options.seconds = 1000, 3.0
    raise_descriptor_limit()
    with running_bare("twisted") as server:
        bare = measured(
            server, lambda crowd, number: crowd.connect(number, GREETING_START), options.sessions, options.seconds
        )
    metrics_port = free_port()
    with running_server(metrics_port, LIMITS) as server:
        ours = measured(
            server,
            settle,
            options.sessions,
            options.seconds,
            lambda: urlopen(f"http://127.0.0.1:{metrics_port}/metrics").read(),
        )
    print(f"{options.sessions:,} idle sessions, each with a nickname, in a channel and subscribed to it")
    print(
        f"memory    {ours.bytes_each:8,.0f} bytes each   bare protocol {bare.bytes_each:8,.0f}"
        f"   ratio {ours.bytes_each / bare.bytes_each:.2f}   target {TARGET_BYTES:,}"
    )
    print(
        f"processor {ours.share:8.2%} of one       bare protocol {bare.share:8.2%}"
        f"   ratio {ours.share / max(bare.share, 1e-9):.2f}   target {TARGET_SHARE:.0%}"
    )
    if options.check and (ours.bytes_each > TARGET_BYTES or ours.share > TARGET_SHARE):
        sys.exit(1)


if __name__ == "__main__":
    main()
