"""Kills servers at any moment, and looks whether anything that they had acknowledged is lost (decisions 4.6).

    python -m tests.faults.kill [--rounds 1000] [--seed N]

In a round people write to a server as fast as it answers, it is killed with SIGKILL, and the next one starts on what
it left. Some are killed while they start, stop, migrate, remove old messages, or are copied. Then the database and
what clients are shown are compared with everything that clients had been told. Every few rounds begin with another
database. The exit code is 0 when nothing was lost; a failure names the seed and the database, which
`--seed N --first DATABASE --rounds 5` plays again: the same plan, though not the same microseconds.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.trial.unittest import SynchronousTestCase

from tests.faults.judge import Judge
from tests.faults.survival import BEGINNINGS, Survival

ROUNDS_PER_DATABASE: Final = 5
ENDINGS_IN_TURN: Final = (
    "under load", "while stopping", "under load", "while starting", "under load", "while backing up", "under load",
)  # fmt: skip
"""As many as have no factor in common with `ROUNDS_PER_DATABASE`, so that each comes everywhere."""
BEGINNINGS_IN_TURN: Final = ("new", "old threads", "new", "first schema")


@attrs.define
class Tally:
    """What was done so far."""

    rounds: int = 0
    acknowledged: int = 0
    endings: Counter[str] = attrs.field(factory=Counter)
    beginnings: Counter[str] = attrs.field(factory=Counter)

    def __str__(self) -> str:
        endings = ", ".join(f"{number} {name}" for name, number in self.endings.items())
        beginnings = ", ".join(f"{number} {name}" for name, number in self.beginnings.items())
        return f"{self.rounds} servers killed ({endings}) on {self.beginnings.total()} databases ({beginnings})"


def silent(tally: Tally) -> None:
    """Tell nobody."""


async def play(
    reactor: Any,
    new_case: Callable[[], SynchronousTestCase],
    seed: int,
    rounds: int,
    *,
    first: int = 0,
    progress: Callable[[Tally], object] = silent,
) -> Tally:
    """Play so many rounds; raises the case's failure, which names the seed, at the first that was lost.

    The databases are numbered from `first`; each has a case of its own.
    """
    tally, judge = Tally(), Judge()
    for number, wanted in enumerate(_shares(rounds), first):
        case, beginning = new_case(), BEGINNINGS_IN_TURN[number % len(BEGINNINGS_IN_TURN)]
        endings = islice(cycle(ENDINGS_IN_TURN), number * ROUNDS_PER_DATABASE, None)
        rng = random.Random(f"{seed} {number}")
        try:
            survival = Survival(reactor, case, judge, rng)
            BEGINNINGS[beginning](survival)
            tally.beginnings[beginning] += 1
            for ending in islice(endings, wanted):
                await survival.round(ending)
                tally.rounds += 1
                tally.endings[ending] += 1
                progress(tally)
            await survival.finish()
        except Exception as error:
            where = f"seed {seed}, database {number} ({beginning}), after {tally.rounds} rounds"
            raise case.failureException(f"{where}: {error}") from error
        tally.acknowledged += survival.ledger.number_told()
    return tally


def _shares(rounds: int) -> Iterator[int]:
    """How many rounds each database gets."""
    while rounds > 0:
        yield min(rounds, ROUNDS_PER_DATABASE)
        rounds -= ROUNDS_PER_DATABASE


class Case(SynchronousTestCase):
    """Owns the processes and files of one database, outside trial."""

    def runTest(self) -> None:
        """There is nothing to run: only what a case cleans up is of use here."""


@attrs.define
class Cases:
    """One case after the other; what the one before left behind is removed."""

    last: Case | None = None

    def new(self) -> Case:
        """The next one."""
        self.end()
        self.last = Case()
        return self.last

    def end(self) -> None:
        """End the processes of the last one, and remove its files."""
        if self.last is not None:
            self.last.doCleanups()
            for entry in os.scandir():
                shutil.rmtree(entry.path)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.kill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1000, help="how many servers are killed (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of everything left to chance (default: another one each time)")
    parser.add_argument("--first", type=int, default=0, metavar="DATABASE", help="begin with this one of the seed")
    return parser.parse_args(argv)


async def run(reactor: Any, arguments: argparse.Namespace) -> None:
    """Play, say how it goes on standard error, and leave with the exit code."""
    seed = random.SystemRandom().randrange(1, 1 << 32) if arguments.seed is None else arguments.seed
    began = time.monotonic()

    def report(tally: Tally) -> None:
        if tally.rounds % 10 == 0 or tally.rounds == arguments.rounds:
            seconds = time.monotonic() - began
            print(f"{tally.rounds} of {arguments.rounds} rounds, {seconds:.0f} s", file=sys.stderr, flush=True)

    cases = Cases()
    try:
        tally = await play(reactor, cases.new, seed, arguments.rounds, first=arguments.first, progress=report)
    except AssertionError as failure:
        print(f"FAILED: {failure}", flush=True)
        raise SystemExit(1) from None
    finally:
        cases.end()
    seconds = time.monotonic() - began
    print(f"seed {seed}: {tally}, {tally.acknowledged} acknowledgements, none lost, in {seconds:.0f} s", flush=True)


def main(argv: Sequence[str]) -> None:
    """Play in a folder of its own."""
    arguments = _arguments(argv)
    with tempfile.TemporaryDirectory(prefix="superchat-kill-") as folder:
        os.chdir(folder)
        try:
            react(lambda reactor: Deferred.fromCoroutine(run(reactor, arguments)))
        finally:
            os.chdir("/")


if __name__ == "__main__":
    main(sys.argv[1:])
