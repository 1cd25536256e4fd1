"""The power goes away at any moment, and nothing that was acknowledged is lost (decisions 4.6).

    python -m tests.faults.power [--runs 12] [--cuts 1000] [--seed N] [--keep DIRECTORY]

Everything that a server does to its files is written down (power.c), through its first start, migrations, work for
many clients, checkpoints, backups, the removal of old messages, and shutdown; and what a restore does. From that, what
a disk may hold after a power cut is made anew for as many moments as wanted (power_disk.py), and compared with what
clients had been told by then. On some of it servers are started; one of them is written down as well, and has its
power cut, too. The exit code is 0 when nothing was lost. `--seed N --runs 1` plays a run again: the same people and the
same choices, though not the same microseconds. So the files of what is wrong are kept where `--keep` says.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tests.faults.outside import outside
from tests.faults.power_story import BEGINNINGS, Outcome, Plan, Story

PROGRESS_SECONDS = 2.0


class Progress:
    """Says now and then how far it is."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._run = 0
        self._next = time.monotonic()

    def begin(self, run: int) -> None:
        """Another run."""
        self._run = run

    def __call__(self, outcome: Outcome) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + PROGRESS_SECONDS
            print(f"run {self._run} of {self._runs}: {outcome}", file=sys.stderr, flush=True)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.power", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=12, help="how many databases (default: %(default)s)")
    parser.add_argument("--cuts", type=int, default=1000, help="in each server's life (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of work for each server (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=3, help="on what is left of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the first run, one more for each (default: another one each time)")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="where files that are wrong are kept")
    return parser.parse_args(arguments)


async def play(reactor: Any, options: argparse.Namespace) -> None:
    """Play the runs one after the other, and leave with the exit code."""
    seed = random.SystemRandom().randrange(1, 1 << 32) if options.seed is None else options.seed
    keep = (options.keep or Path(tempfile.gettempdir()) / "superchat-power-cuts").absolute()
    plan = Plan(options.seconds, options.cuts, max(options.cuts // 5, 1), options.starts)
    progress, total = Progress(options.runs), Outcome()
    for number in range(options.runs):
        progress.begin(number + 1)
        with outside() as case:
            story = Story(case, reactor, plan, seed + number, keep, progress)
            outcome = await story.play([*BEGINNINGS][(seed + number) % len(BEGINNINGS)])
        for text in outcome.wrong:
            print(f"FAILED: {text}", flush=True)
        total.add(outcome)
    print(f"seeds {seed} to {seed + options.runs - 1}: {total}", flush=True)
    if total.wrong:
        print(f"what was left on the disk is in {keep}", flush=True)
        raise SystemExit(1)


def main(arguments: Sequence[str]) -> None:
    """Play, and end the process."""
    options = parsed(arguments)
    react(lambda reactor: Deferred.fromCoroutine(play(reactor, options)))


if __name__ == "__main__":
    main(sys.argv[1:])
