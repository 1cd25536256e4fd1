"""What one line about a client's act costs, on its way to server.log and to standard output.

Every post, connection and nickname has one. The lines are real ones, each different, through the server's own log to
two real files; the reactor's turns are those of a clock in this process. The yardstick of the same run is a bare
``os.write`` of each finished line to one file.

    python -m benchmarks.activity [--quick] [--check]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.internet.task import Clock

from superchat.ops.linefile import Stream
from superchat.ops.logs import LogFiles, StdoutLog, activity, lines

LIMIT_MICROSECONDS = 20.0
LINES_PER_TURN = (50, 5, 1)
LIMITED_LINES_PER_TURN = 50
ROUNDS = 7
POST = "~{nickname} POST_MESSAGE channel={channel} message={message} bytes={bytes}"
FIRST_ID = 384_012_827_246_985_216


@contextmanager
def running_logs(folder: Path, json: bool) -> Iterator[Clock]:
    """The logs of a server, and standard output in a file; the clock is its reactor."""
    clock = Clock()
    descriptor = os.open(folder / "stdout", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    output = StdoutLog(Stream(descriptor), marks_priority=False)
    files = LogFiles(folder, False, clock, json=json)
    files.start()
    lines.attach(output)
    try:
        yield clock
    finally:
        files.stop()
        lines.detach(output)
        os.close(descriptor)


def activity_microseconds(count: int, per_turn: int, json: bool = False) -> float:
    """CPU time for a line, so many in each turn of the reactor: the best of some rounds."""
    best = float("inf")
    with tempfile.TemporaryDirectory() as folder, running_logs(Path(folder), json) as clock:
        for _ in range(ROUNDS):
            start = time.process_time()
            for number in range(count):
                activity.info(POST, nickname="alice", channel=2, message=FIRST_ID + number, bytes=140)
                if number % per_turn == 0:
                    clock.advance(0)
            best = min(best, time.process_time() - start)
            clock.advance(60)  # the next round's lines are new ones again
    return best / count * 1e6


def bare_microseconds(count: int) -> float:
    """CPU time to write such a line, finished already: the best of some rounds."""
    line = f"2025/10/08 14:30:22.456789 [INFO] ~alice POST_MESSAGE channel=2 message={FIRST_ID} bytes=140\n".encode()
    best = float("inf")
    with tempfile.TemporaryFile() as file:
        descriptor = file.fileno()
        for _ in range(ROUNDS):
            start = time.process_time()
            for _ in range(count):
                os.write(descriptor, line)
            best = min(best, time.process_time() - start)
    return best / count * 1e6


def main() -> int:
    """Print a line for each figure; the exit status is 1 if --check is given and the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the lines")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"exit with 1 when a line costs more than {LIMIT_MICROSECONDS:g} us with {LIMITED_LINES_PER_TURN} a turn",
    )
    arguments = parser.parse_args()
    count = 1_000 if arguments.quick else 10_000
    bare = bare_microseconds(count)
    print(f"bare os.write of a line {bare:15.1f} us")
    taken = {per_turn: activity_microseconds(count, per_turn) for per_turn in LINES_PER_TURN}
    for per_turn, microseconds in taken.items():
        print(f"activity line, {per_turn:2} a turn {microseconds:16.1f} us   ratio {microseconds / bare:.1f}")
    json = activity_microseconds(count, LIMITED_LINES_PER_TURN, json=True)
    print(f"with server.json.log, {LIMITED_LINES_PER_TURN} a turn {json:9.1f} us   ratio {json / bare:.1f}")
    return int(arguments.check and taken[LIMITED_LINES_PER_TURN] > LIMIT_MICROSECONDS)


if __name__ == "__main__":
    sys.exit(main())
