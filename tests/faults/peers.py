"""Whether peers that mean no good are felt by the others: `python -m tests.faults.peers`.

For each kind of bad peer, phases without and with them take turns on one server, while posts at a fixed rate go to 20
subscribers. Printed are, for acknowledgements and deliveries, the p99 without and with, in milliseconds, and the ratio
of the two with its 95 % interval. Exit code 1 when a ratio is above the bound for certain, or when anything was lost,
came twice or in another order.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from os import chdir
from statistics import median
from typing import Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.faults.bad_kinds import KINDS
from tests.faults.besieged import ATTACKS, LIMITS, Attack, Besieged
from tests.faults.phases import Ratio, percentile, ratio

UNLIMITED: Final = LIMITS + "max_frames_per_second = 0\n"
SETTLING_SECONDS: Final = 0.5


class Siege(SynchronousTestCase):
    """Ends what it has begun, as a test does."""

    def runTest(self) -> None:
        """It is no test."""


@attrs.frozen
class Phase:
    """The p99 of one phase, in milliseconds, and the processors that the server used."""

    acknowledged: float
    delivered: float
    cpus: float


@attrs.frozen
class Verdict:
    """What came of one attack."""

    attack: Attack
    pairs: Sequence[tuple[Phase, Phase]]
    problems: Sequence[str]
    seed: int

    def ratio(self, what: str) -> Ratio:
        """With against without, of the p99 with this name."""
        return ratio([(getattr(without, what), getattr(within, what)) for without, within in self.pairs], self.seed)

    def exceeds(self, bound: float) -> bool:
        """Whether others suffer for certain, or anything was wrong."""
        return bool(self.problems) or any(self.ratio(what).low > bound for what in ("acknowledged", "delivered"))

    def __str__(self) -> str:
        columns = [f"{self.attack!s:24}"]
        for what in ("acknowledged", "delivered"):
            without, within = self._medians(what)
            columns.append(f"{without:6.1f} {within:6.1f} {self.ratio(what)!s:21}")
        columns.append("{:.2f} {:.2f}".format(*self._medians("cpus")))
        return " | ".join([*columns, *self.problems])

    def _medians(self, what: str) -> tuple[float, float]:
        without, within = zip(*self.pairs, strict=True)
        return median(getattr(phase, what) for phase in without), median(getattr(phase, what) for phase in within)


def measured(besieged: Besieged, options: argparse.Namespace, problems: list[str]) -> Phase:
    """One phase."""
    before, began = besieged.cpu_seconds(), time.monotonic()
    found = besieged.talk(options.seconds, options.rate)
    cpus = (besieged.cpu_seconds() - before) / (time.monotonic() - began)
    problems += found.problems
    acknowledged, delivered = (
        percentile(latencies, 99) / 1000 if latencies else float("inf")
        for latencies in (found.acknowledged, found.delivered)
    )
    return Phase(acknowledged, delivered, cpus)


def verdict(besieged: Besieged, attack: Attack, options: argparse.Namespace) -> Verdict:
    """Alternate phases without and with an attack; which comes first alternates, too."""
    pairs: list[tuple[Phase, Phase]] = []
    problems: list[str] = []
    for number in range(options.rounds):
        phases = {}
        for attacked in (False, True) if number % 2 else (True, False):
            if attacked:
                besieged.let_loose([attack], options.peers)
                time.sleep(options.before)
            phases[attacked] = measured(besieged, options, problems)
            besieged.call_off()
            time.sleep(SETTLING_SECONDS)
        pairs.append((phases[False], phases[True]))
        print(f"{attack}: {number + 1} of {options.rounds}", end="\r", file=sys.stderr, flush=True)
        if problems:
            break
    return Verdict(attack, pairs, problems, options.seed)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.peers", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS], help="only these kinds of bad peers")
    parser.add_argument("--ways", nargs="+", default=["tcp", "websocket", "http", "metrics"], help="only over these")
    parser.add_argument("--peers", type=int, default=10, help="how many at once, all from one address (default: 10)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a phase (default: %(default)s)")
    parser.add_argument("--before", type=float, default=1.0, help="seconds of an attack before a phase (default: 1)")
    parser.add_argument("--rounds", type=int, default=10, help="pairs of phases for each kind (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=100.0, help="posts a second (default: %(default)s)")
    parser.add_argument("--bound", type=float, default=1.10, help="the ratio that must not be passed (default: 1.10)")
    parser.add_argument("--unlimited", action="store_true", help="without a limit on frames per second")
    parser.add_argument("--seed", type=int, default=1, help="of what is random (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Measure, and say how it went."""
    options = _arguments(argv)
    chdir(tempfile.mkdtemp(prefix="superchat-peers-"))
    attacks = [attack for attack in ATTACKS if attack.kind in options.kinds and attack.way in options.ways]
    case = Siege()
    failed = []
    try:
        besieged = Besieged(case, UNLIMITED if options.unlimited else LIMITS, options.seed)
        besieged.talk(2.0, options.rate)
        print(f"{options.peers} bad peers; p99 in ms without, with, and their ratio; CPUs used without, with")
        print(f"{'':24} | {'acknowledged':35} | delivered")
        for attack in attacks:
            found = verdict(besieged, attack, options)
            print(found, flush=True)
            if found.exceeds(options.bound):
                failed.append(attack)
    finally:
        case.doCleanups()
    unfelt = len(attacks) - len(failed)
    print(f"{unfelt} of {len(attacks)} kinds were not felt (seed {options.seed})", *failed, sep="; ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
