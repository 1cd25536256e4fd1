"""Clocks that jump while people talk: ids, timeouts and retention stay sane.

`python -m tests.faults.clock` sets the wall clock of a server by chance, by as much as days, while people talk. Nobody
is disconnected or waits, ids ascend, dates are those of the clock, health and metrics are what they are without jumps,
retention deletes nothing, and a server that stops has everything stored.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e.peers import connect
from tests.e2e.phrases import GENERAL, page, posting
from tests.e2e.server import PATIENCE_SECONDS, UNLIMITED, RunningServer, free_port
from tests.faults.outside import outside, seed_of, tell
from tests.faults.talkers import Talkers, integrity
from tests.faults.wall_clock import WallClock

CONFIG: Final = UNLIMITED + "\n[retention]\ncleanup_interval_minutes = 1\n"
HOUR: Final = 3600.0
MOST_WRONG_SECONDS: Final = 80 * HOUR
"""From one end to the other this is less than a message is kept, 168 hours: however often the clock jumps, and for
however long, nothing is ever due."""
LONGEST_SECONDS: Final = 900.0
"""More than anything here takes; a jump of an hour that is taken for time makes it longer."""
AT_ONCE: Final = 100
"""More than ever happens at the same time, so in a second sums of times grow by less than so many seconds."""

_SAMPLE: Final = re.compile(r"^(\w+)(\{[^}]*\})? (\S+)$", re.M)
_SPAN: Final = re.compile(r"_seconds$|_age\b|uptime")


class JumpyServer:
    """A server with a clock that the test sets."""

    def __init__(self, case: SynchronousTestCase, config: str = CONFIG) -> None:
        self.clock = WallClock(Path(case.mktemp()))
        case.addCleanup(self.clock.close)
        self._metrics_port = free_port()
        self._started_at = self._looked_at = time.monotonic()
        self._sums: dict[str, float] = {}
        environment = {
            **self.clock.environment,
            "SUPERCHAT_MONITORING_METRICS_PORT": str(self._metrics_port),
            "SUPERCHAT_SERVER_SHUTDOWN_TIMEOUT_SECONDS": "2",
        }
        self.running = RunningServer(case, config, environment=environment)
        self.scribe = connect(case, self.running).named("scribe")
        """Somebody who talks apart from everybody else, and looks at dates."""

    def oddities(self) -> list[str]:
        """What it says of itself that cannot be, or is not well."""
        before_ms = self.clock.now_ms()
        with urlopen(f"http://127.0.0.1:{self._metrics_port}/health", timeout=PATIENCE_SECONDS) as response:
            health, date = json.load(response), parsedate_to_datetime(response.headers["Date"])
        odd = [] if health["status"] == "ok" else [f"health: {health}"]
        if not 0 <= health["uptime"] <= time.monotonic() - self._started_at + 1:
            odd.append(f"uptime: {health['uptime']}")
        if not before_ms - 2000 <= date.timestamp() * 1000 <= self.clock.now_ms():
            odd.append(f"Date: {date}")
        return odd + self._odd_metrics()

    def odd_dates(self) -> list[str]:
        """Post something, and see whether it has the date of the clock."""
        before_ms = self.clock.now_ms()
        posted = self.scribe.ask_past_presence(posting(GENERAL, b"what time is it?"), wire.MessagePosted)
        after_ms = self.clock.now_ms()
        (entry,) = self.scribe.ask_past_presence(page(GENERAL, limit=1), wire.MessageList).messages
        if entry.message_id == posted.message_id and before_ms <= entry.created_at <= after_ms:
            return []
        return [f"posted {posted.message_id} between {before_ms} and {after_ms}, but the newest message is {entry}"]

    def _odd_metrics(self) -> list[str]:
        with urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=PATIENCE_SECONDS) as response:
            text = response.read().decode()
        values = {name + labels: float(value) for name, labels, value in _SAMPLE.findall(text)}
        odd = {name: value for name, value in values.items() if value < 0}
        del values["process_start_time_seconds"]
        odd |= {name: value for name, value in values.items() if _SPAN.search(name) and value > LONGEST_SECONDS}
        sums = {name: value for name, value in values.items() if "_seconds_sum" in name}
        now = time.monotonic()
        most = 30 + AT_ONCE * (now - self._looked_at)
        odd |= {name: value for name, value in sums.items() if value - self._sums.get(name, 0.0) > most}
        self._sums, self._looked_at = sums, now
        return [f"metric: {name} {value}" for name, value in odd.items()]


def jump_and_talk(case: SynchronousTestCase, server: JumpyServer, talkers: Talkers, seconds: float) -> float:
    """Set the clock, and see that everything goes on; how many seconds it took until everybody had been heard."""
    server.clock.jump(seconds)
    took = talkers.goes_on(2 * len(talkers.people))
    odd = [*talkers.mistakes(unfinished=True), *server.oddities(), *server.odd_dates()]
    case.assertEqual(odd, [], f"the clock jumped by {seconds:.0f} seconds, to {server.clock.wrong_seconds:.0f}")
    return took


def end_well(case: SynchronousTestCase, server: JumpyServer, talkers: Talkers, jump: float) -> None:
    """Stop the server while the clock jumps; everything that was confirmed is stored and was heard."""
    running = server.running
    running.terminate()
    server.clock.jump(jump)
    running.wait_for_end()
    talkers.wait(lambda: all(one.end is not None for one in talkers.people))
    talkers.close()
    case.assertEqual(talkers.mistakes(may_end=True), [])
    case.assertEqual({one.end for one in talkers.people}, {"Server shutting down for maintenance"})
    case.assertEqual(talkers.not_stored(running.place.database)[:10], [])
    case.assertEqual(integrity(running.place.database), "ok")
    case.assertEqual((running.data_directory / "errors.log").read_text(), "")


def any_jump(chance: random.Random, wrong_seconds: float) -> float:
    """A jump of any size that leaves the clock not too wrong; every fifth puts it right."""
    if chance.random() < 0.2:
        return -wrong_seconds
    size = chance.choice((1, 60, HOUR, 24 * HOUR)) * chance.uniform(0.1, 4)
    jump = size if chance.random() < 0.5 else -size
    return jump if abs(wrong_seconds + jump) < MOST_WRONG_SECONDS else -wrong_seconds


def play(case: SynchronousTestCase, chance: random.Random, seconds: float, people: int) -> Mapping[str, float]:
    """Let the clock of one server jump for so long; figures about it. Raises AssertionError for what went wrong."""
    server = JumpyServer(case)
    talkers = Talkers(server.running.port, people, max(1, people // 10), pause_seconds=0.05)
    case.addCleanup(talkers.close)
    talkers.start()
    jumps, longest, end = 0, 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        took = jump_and_talk(case, server, talkers, any_jump(chance, server.clock.wrong_seconds))
        jumps, longest = jumps + 1, max(longest, took)
        tell(f"{jumps} jumps, the clock is {server.clock.wrong_seconds:+.0f} s wrong, heard after {took:.2f} s")
        time.sleep(chance.uniform(0, 1))
    end_well(case, server, talkers, any_jump(chance, server.clock.wrong_seconds))
    return {"jumps": jumps, "messages": len(talkers.confirmed), "longest_seconds": longest}


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.clock", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="how long the clock jumps (default: %(default)s)")
    parser.add_argument("--people", type=int, default=50, help="how many talk (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="what chance does; default: another one each time")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Play, and say how it went."""
    arguments = _arguments(argv)
    seed = seed_of(arguments.seed)
    tell(f"--seed {seed}")
    try:
        with outside() as case:
            found = play(case, random.Random(seed), arguments.minutes * 60, arguments.people)
    except (AssertionError, TimeoutError, EOFError) as error:
        print(f"FAILED, --seed {seed}: {error}")
        return 1
    print(
        f"passed: {found['jumps']} jumps, {found['messages']} messages, each heard at most "
        f"{found['longest_seconds']:.2f} s after a jump, seed {seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
