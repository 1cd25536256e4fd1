"""No file descriptor is left: who is there goes on talking, the log stays quiet, and accepting recovers by itself.

    python -m tests.faults.descriptors --rounds 20
    python -m tests.faults.descriptors --seed 7 --seconds 10
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from os import chdir
from typing import Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.admin import run_admin
from tests.faults.scarce import Crowd, ScarceServer, at_random, newcomers, until_let_in

FREE: Final = 30
"""Descriptors for newcomers in a round that connections exhaust."""
BELOW: Final = 10
"""A limit below what any server has open."""
WAITING_AT_EACH: Final = 4
SPIN_SHARE: Final = 0.25
"""A process that does nothing uses less of a core than that, and one that turns round all the time more, unless three
others want the same core; therefore attempts are counted as well."""
BACKUP_SECONDS: Final = 3.0
RECOVERY_SECONDS: Final = 5.0
"""Accepting is tried again after one second; the rest is for a machine that has other things to do."""


@attrs.frozen(kw_only=True)
class Outcome:
    """What a round has shown; times in seconds."""

    tried: int = 0
    dropped: int = 0
    failures: int
    """Connections that were not accepted, or attempts at it, as the metrics tell."""
    lines: int
    """In server.log, but for those about connections that were."""
    told: int
    """In errors.log about connections that were not."""
    posts: int
    slowest_post: float
    recovery: float
    """Until the last of the ports served somebody again."""
    cpu: float = 0.0
    """While nobody talked and all ports had somebody waiting, of a core."""
    idle_cpu: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.posts} posts (slowest {self.slowest_post * 1000:.0f} ms), {self.tried} connections tried, "
            f"{self.dropped} dropped, {self.failures} failures counted, {self.told} lines about them, "
            f"{self.lines} lines in all, CPU {self.cpu:.1%} (idle {self.idle_cpu:.1%}), "
            f"recovered after {self.recovery:.2f} s"
        )


def beyond(case: SynchronousTestCase, scarce: ScarceServer, chance: random.Random, seconds: float) -> Outcome:
    """Connections take every descriptor, and thousands more come; then all of them go."""
    crowd, started = Crowd(case), time.monotonic()
    posts: list[float] = []
    failures, lines, told = scarce.accept_failures(), len(scarce.lines("server.log")), len(scarce.told())
    limit = scarce.open_descriptors + FREE
    scarce.limit(limit)
    crowd.storm(at_random(scarce.doors, chance), FREE + 200, seconds, lambda: posts.extend(scarce.talk(0.0)))
    case.assertGreaterEqual(scarce.open_descriptors, limit - 3, "descriptors were not exhausted")
    took = time.monotonic() - started
    crowd.leave()
    recovery = time.monotonic()
    for door in scarce.doors:
        until_let_in(door)
    outcome = Outcome(
        tried=crowd.tried,
        dropped=crowd.dropped,
        failures=scarce.accept_failures() - failures,
        lines=len(scarce.lines("server.log")) - lines,
        told=len(scarce.told()) - told,
        posts=len(posts),
        slowest_post=max(posts),
        recovery=time.monotonic() - recovery,
    )
    scarce.relax()
    case.assertGreater(outcome.dropped, 100, "nobody was turned away")
    case.assertGreater(outcome.failures, 100, "the metrics do not tell")
    _quiet(case, outcome, took + outcome.recovery)
    return outcome


def below(case: SynchronousTestCase, scarce: ScarceServer, chance: random.Random, seconds: float) -> Outcome:
    """The running process may have fewer descriptors than it has, while people wait at all ports; then it may again."""
    crowd, idle_cpu = Crowd(case), scarce.cpu_seconds(1.0)
    failures, lines, told = scarce.accept_failures(), len(scarce.lines("server.log")), len(scarce.told())
    started = time.monotonic()
    scarce.limit(BELOW)
    doors = [door for door in scarce.doors for _ in range(WAITING_AT_EACH)]
    chance.shuffle(doors)
    for door in doors:
        crowd.knock(door)
    quiet_seconds = min(seconds / 2, 2.0)
    cpu = scarce.cpu_seconds(quiet_seconds) / quiet_seconds
    rotated = _rotate(scarce)
    posts = scarce.talk(seconds - quiet_seconds)
    crowd.look()
    case.assertEqual(crowd.dropped, 0, "somebody who waits is turned away although nothing is known about later")
    took = time.monotonic() - started
    scarce.relax()
    recovery = crowd.seconds_until_served()
    outcome = Outcome(
        tried=crowd.tried,
        failures=scarce.accept_failures() - failures,
        lines=rotated + len(scarce.lines("server.log")) - lines,
        told=len(scarce.told()) - told,
        posts=len(posts),
        slowest_post=max(posts),
        recovery=max(recovery.values()),
        cpu=cpu,
        idle_cpu=idle_cpu,
    )
    case.assertEqual(sorted(recovery), sorted(door.name for door in scarce.doors))
    case.assertLess(outcome.cpu, outcome.idle_cpu + SPIN_SHARE, "it turns round and round")
    case.assertLessEqual(outcome.failures, len(scarce.doors) * (took + 3), "it tries again and again")
    case.assertGreater(outcome.failures, 0, "the metrics do not tell")
    _quiet(case, outcome, took + outcome.recovery)
    crowd.leave()
    return outcome


def _rotate(scarce: ScarceServer) -> int:
    """Do as logrotate does, at a time when no new log can be opened; return the lines of the old one so far."""
    log = scarce.running.data_directory / "server.log"
    lines = len(scarce.lines("server.log"))
    log.replace(log.with_name("server.log.rotated"))
    log.touch()
    scarce.running.send_signal(signal.SIGHUP)
    return lines


def _quiet(case: SynchronousTestCase, outcome: Outcome, seconds: float) -> None:
    """One line a second at most, and few others; nobody waits long."""
    case.assertGreater(outcome.told, 0, "the log does not tell")
    case.assertLessEqual(outcome.told, seconds + 2, "the log is not quiet")
    case.assertLessEqual(outcome.lines - outcome.told, 20, "the log is not quiet")
    case.assertGreater(outcome.posts, 0)
    case.assertLess(outcome.recovery, RECOVERY_SECONDS)


def check_logs(case: SynchronousTestCase, scarce: ScarceServer) -> None:
    """Nothing but what was meant to be said is an error, and what is said now is in the file of now."""
    log = scarce.running.data_directory / "server.log"
    deadline = time.monotonic() + RECOVERY_SECONDS
    before = log.stat().st_size
    newcomers(scarce)
    while log.stat().st_size == before and time.monotonic() < deadline:
        time.sleep(0.05)
    case.assertGreater(log.stat().st_size, before, "server.log is not the file that is written")
    expected = ("Connections not accepted", "Configuration not reloaded", "Logs not reopened yet")
    odd = [line for line in scarce.lines("errors.log") if not any(each in line for each in expected)]
    case.assertEqual(odd, [])


def _back_up(case: SynchronousTestCase, scarce: ScarceServer) -> None:
    """A copy is made although the server has no descriptor for it; the record of that waits until it has."""
    copy = scarce.running.place.root / "copy.db"
    scarce.limit(BELOW)
    relief = threading.Timer(BACKUP_SECONDS, scarce.relax)
    relief.start()
    done = run_admin(scarce.running.place, "backup", str(copy))
    relief.join()
    case.assertEqual((done.exit_code, done.stderr, copy.exists()), (0, "", True))


class _Case(SynchronousTestCase):
    """Whoever runs outside trial needs somebody to complain to, and to clean up."""

    def runTest(self) -> None:
        """Nothing of its own."""


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.descriptors", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="of each of the two kinds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long a round lasts (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="what chance does; default: another one each time")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Play, and say how it went."""
    arguments = _arguments(argv)
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    chance, case = random.Random(seed), _Case()
    chdir(tempfile.mkdtemp(prefix="superchat-descriptors-"))
    try:
        scarce = ScarceServer(case)
        for number in range(arguments.rounds):
            for play in chance.sample([beyond, below], 2):
                outcome = play(case, scarce, chance, arguments.seconds)
                print(f"{number + 1}/{arguments.rounds} {play.__name__}: {outcome}", file=sys.stderr, flush=True)
            check_logs(case, scarce)
        _back_up(case, scarce)
        scarce.limit(BELOW)
        scarce.running.kill()
        lost = set(scarce.acknowledged) - scarce.kept()
        case.assertEqual(lost, set(), "acknowledged and lost")
    except AssertionError as error:
        print(f"FAILED, --seed {seed}: {error}")
        return 1
    finally:
        case.doCleanups()
    print(f"passed: {2 * arguments.rounds} rounds, {len(scarce.acknowledged)} posts and all of them kept, seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
