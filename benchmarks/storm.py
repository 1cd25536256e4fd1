"""A storm of arrivals: how fast connections are accepted, and how long until all have taken a nickname at once.

Everything is measured beside yardsticks in the same run, which the same clients make busy: a bare loop that accepts
and greets, and a bare Twisted protocol that greets and gives back what it gets. Of the time for the nicknames
"everything" is until all know of all, which takes as many frames as there are pairs of users.

    python -m benchmarks.storm [--users 2000] [--quick] [--check]
"""

from __future__ import annotations

import argparse
import sys
import time

import attrs

from benchmarks.bare import GREETING_START, running_bare
from benchmarks.crowd import Crowd
from benchmarks.server import Server, cpu_seconds, raise_descriptor_limit, running_server
from superchat.wire.messages import NicknameResponse, SetNickname
from superchat.wire.records import Message

QUIET_SECONDS = 1.0
TARGET_PER_SECOND = 5000
TARGET_SECONDS = {2000: 3.0, 10_000: 30.0}
TARGET_CPU_SECONDS = {2000: 10.0}


@attrs.frozen
class Storm:
    """How so many users fared; times are seconds, *cpu* what the server computed for it."""

    users: int
    connected: float
    connect_cpu: float
    answered: float = 0.0
    quiet: float = 0.0
    cpu: float = 0.0
    megabytes: float = 0.0

    @property
    def per_second(self) -> float:
        """Connections accepted in a second."""
        return self.users / self.connected

    @property
    def microseconds(self) -> float:
        """CPU for one connection."""
        return self.connect_cpu / self.users * 1e6


def name(number: int) -> Message:
    """What a user asks for."""
    return SetNickname(nickname=f"user{number:05}")


def named(number: int) -> Message:
    """What it is to be told."""
    return NicknameResponse(success=True, message=f"Nickname set to user{number:05}")


def storm(server: Server, users: int, answers: bool, echoes: bool = False) -> Storm:
    """Let them all come, and all ask at once."""
    crowd = Crowd(server.port)
    begun = cpu_seconds(server.pid)
    connected = crowd.connect(users, GREETING_START)
    before = cpu_seconds(server.pid)
    if not answers:
        crowd.close()
        return Storm(users, connected, before - begun)
    start, bytes_before = time.monotonic(), crowd.bytes_read
    answered = quiet = crowd.ask(name, name if echoes else named)
    while crowd.read(QUIET_SECONDS):
        quiet = time.monotonic() - start
    spent = cpu_seconds(server.pid) - before
    megabytes = (crowd.bytes_read - bytes_before) / 1e6
    crowd.close()
    return Storm(users, connected, before - begun, answered, quiet, spent, megabytes)


def main() -> None:
    """Print the figures; the exit status is 1 if --check is given and a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="500 users")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"exit with 1 below {TARGET_PER_SECOND:,} connections a second, or when 2,000 users are answered after "
        f"more than {TARGET_SECONDS[2000]:g} s or {TARGET_CPU_SECONDS[2000]:g} s of CPU, or 10,000 after more than "
        f"{TARGET_SECONDS[10_000]:g} s",
    )
    options = parser.parse_args()
    users = 500 if options.quick else options.users
    raise_descriptor_limit()
    with running_bare("loop") as server:
        loop = storm(server, users, answers=False)
    with running_bare("twisted") as server:
        bare = storm(server, users, answers=True, echoes=True)
    with running_server() as server:
        ours = storm(server, users, answers=True)
    print(f"{users:,} users")
    print("connections per second, and CPU for each")
    for title, one in (("server", ours), ("bare Twisted protocol", bare), ("bare accept loop", loop)):
        print(
            f"  {title:22}{one.per_second:9,.0f}   x {ours.per_second / one.per_second:.2f}"
            f"{one.microseconds:12.0f} us   x {ours.microseconds / max(one.microseconds, 1e-9):.2f}"
        )
    print("a nickname for everybody at once")
    print(f"  all are answered      {ours.answered:9.2f} s   bare Twisted protocol {bare.answered:.2f} s")
    print(f"  all know of all       {ours.quiet:9.2f} s   {ours.megabytes:,.0f} MB")
    print(f"  CPU                   {ours.cpu:9.2f} s   bare Twisted protocol {bare.cpu:.2f} s")
    if options.check and not _within_targets(ours):
        sys.exit(1)


def _within_targets(ours: Storm) -> bool:
    return (
        ours.per_second >= TARGET_PER_SECOND
        and ours.connected + ours.answered <= TARGET_SECONDS.get(ours.users, float("inf"))
        and ours.connect_cpu + ours.cpu <= TARGET_CPU_SECONDS.get(ours.users, float("inf"))
    )


if __name__ == "__main__":
    main()
