"""Hours in the life of a server, in half an hour: half of the load that it can bear, and nothing may grow.

    python -m tests.faults.soak --minutes 30
    python -m tests.faults.soak --minutes 30 --rate 400 --json soak.json

Loads follow each other, with a rest in between in which nobody is there and everything alive is counted. All the while
guests log in, edit and delete, retention removes, metrics are scraped, and the configuration is read again.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from os import chdir
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.loadtest import COMMAND, environment
from tests.faults.guests import Guests
from tests.faults.samples import Sample, Samples
from tests.faults.soaked import SoakedServer
from tests.faults.verdicts import Load, Soak, Verdict, judge

SHORT_MINUTES: Final = 5.0
"""Below, slopes and latencies are shown, and not judged; and no canary complains of a machine that is too busy."""
CANARY_SECONDS: Final = 30
LOAD_SECONDS: Final = 80.0
"""Of one load; who only listens would be sent away after 120 seconds."""
FEWEST_LOADS: Final = 4
REST_SECONDS: Final = 4.0
"""Of a load's time goes into connecting, rest and counting, about."""
MEASURING_SECONDS: Final = 5.0
SHOW_EVERY: Final = 10
SHAPE: Final = (
    *("--subscribers", "100", "--posters", "20", "--threads", "10"),
    *("--slow", "3", "--churners", "40", "--stay", "0.4", "--grace", "240", "--timeout", "120"),
)
"""Nothing is late as long as it comes: on a machine that is busy with other things it may take its time."""
IN_FLIGHT: Final = 4
STARVED_PERCENT: Final = 50.0

Say = Callable[[str], None]


class SoakFailed(Exception):
    """The soak could not go on; the text says why."""


def soak(
    case: SynchronousTestCase, minutes: float, rate: float | None, seed: int, say: Say, most_rate: float = math.inf
) -> Soak:
    """Soak a server, at a rate of posts per second, or at half of what it can bear, but not more than *most_rate*.

    Raises `SoakFailed`.
    """
    soaked = SoakedServer(case, minutes, 0 if minutes < SHORT_MINUTES else CANARY_SECONDS)
    guests = Guests(soaked, random.Random(seed))
    guests.settle()
    run = _Run(soaked, guests, say)
    try:
        if rate is None:
            rate = min(run.bearable() / 2, most_rate)
            say(f"half of what this machine can bear: {rate:.0f} posts per second")
        return run.soak(minutes, rate)
    finally:
        run.samples.close()


class _Run:
    """The phases of a soak, one after the other."""

    def __init__(self, soaked: SoakedServer, guests: Guests, say: Say) -> None:
        self._soaked = soaked
        self._guests = guests
        self._say = say
        self._phase = "measuring"
        self._posts = 0
        self.samples = Samples(soaked, self._show)

    def bearable(self) -> float:
        """Posts per second of a server that is saturated, in the time until the last of them is delivered: who receives
        them is on this machine too, and may be slower than the server."""
        load = self._load("measure", MEASURING_SECONDS, "--rate", "0", "--in-flight", str(IN_FLIGHT))
        metrics = load.outcome["metrics"]
        return float(metrics["posts_acked"] * metrics["deliveries_per_second"] / metrics["deliveries"])

    def soak(self, minutes: float, rate: float) -> Soak:
        """Load by load."""
        number = max(FEWEST_LOADS, round(minutes * 60 / (LOAD_SECONDS + REST_SECONDS)))
        seconds = minutes * 60 / number - REST_SECONDS
        self.samples.rest(self._posts + self._guests.posts)
        loads = []
        for count in range(number):
            self._phase = f"load {count + 1}/{number}"
            self._guests.begin()
            try:
                loads.append(self._load(f"load{count}", seconds, "--rate", f"{rate:.1f}"))
            finally:
                self._guests.end()
            self._phase = f"rest {count + 1}/{number}"
            self.samples.rest(self._posts + self._guests.posts)
        removed = int(self._soaked.metrics()["superchat_messages_removed_total"])
        complaints = self._soaked.complaints()
        self.samples.close()
        self._soaked.running.stop()
        return Soak(
            minutes=minutes,
            rate=rate,
            loads=loads,
            samples=self.samples.samples,
            rests=self.samples.rests,
            complaints=complaints or self._soaked.complaints(),
            troubles=[each for each in (self._guests.trouble, self.samples.trouble) if each],
            removed_messages=removed,
            is_short=minutes < SHORT_MINUTES,
        )

    def _load(self, channel: str, seconds: float, *more: str) -> Load:
        """One load in a channel of its own, which is deleted afterwards; in its middle the configuration is read."""
        soaked = self._soaked
        channel_id = soaked.make_channel(channel)
        command = [*COMMAND, "mixed", *SHAPE, *more, "--channel", channel, "--duration", f"{seconds:.1f}"]
        command += ["--server", f"127.0.0.1:{soaked.running.port}", "--pid", str(soaked.pid), "--json", "--quiet"]
        process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        try:
            try:
                process.wait(seconds / 2)
            except subprocess.TimeoutExpired:
                soaked.running.send_signal(signal.SIGHUP)
            output, _ = process.communicate(timeout=seconds + 600)
        finally:
            process.kill()
            process.wait()
        try:
            outcome: Any = json.loads(output)
        except ValueError:
            raise SoakFailed(f"the load test ended with {process.returncode}: {output}") from None
        load = Load(outcome, soaked.messages_of(channel_id))
        self._posts += load.posts
        soaked.delete_channel(channel_id)
        return load

    def _show(self, sample: Sample) -> None:
        if round(sample.at) % SHOW_EVERY == 0:
            self._say(
                f"{sample.at:6.0f} s  {self._phase:<12} {sample.sessions:4} sessions  "
                f"{sample.resident_kb / 1024:6.1f} MiB  {sample.descriptors:4} descriptors  {sample.threads} threads  "
                f"database {sample.database_bytes / 1048576:5.1f} MiB + log {sample.log_bytes / 1048576:4.1f} MiB  "
                f"lag {sample.lag_seconds * 1000:.0f} ms"
            )


def table(soaked: Soak, verdicts: Sequence[Verdict]) -> str:
    """The outcome for people: a line for each load and its rest, and one for each promise."""
    lines = ["load  posts/s  no core  ack p99  delivery p99  connections  memory at rest    blocks  descriptors  disk"]
    for number, (load, rest) in enumerate(zip(soaked.loads, soaked.rests[1:], strict=True), 1):
        lines.append(
            f"{number:4} {load.outcome['metrics']['posts_per_second']:8.0f} {load.waited_percent:6.0f} % "
            f"{load.p99_ms('ack'):8.1f} "
            f"{load.p99_ms('delivery'):13.1f} {rest.sessions_created:12,} {rest.resident_kb / 1024:10.1f} MiB "
            f"{rest.census['blocks']:10,} {rest.descriptors:10} {rest.database_bytes / 1048576:6.1f} MiB"
        )
    starved = sum(load.waited_percent > STARVED_PERCENT for load in soaked.loads)
    if starved:
        lines.append(f"note: in {starved} loads processes waited for a core most of the time; believe no latency then")
    lines += [f"{'kept' if each.is_kept else 'BROKEN':<7}{each.promise}: {each.figures}" for each in verdicts]
    return "\n".join(lines)


def document(soaked: Soak, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The outcome for programs."""
    return {
        "minutes": soaked.minutes,
        "rate": soaked.rate,
        "ok": all(each.is_kept for each in verdicts),
        "verdicts": [attrs.asdict(each) for each in verdicts],
        "loads": [{"stored": load.stored, "metrics": load.outcome["metrics"]} for load in soaked.loads],
        "rests": [attrs.asdict(rest) for rest in soaked.rests],
        "samples": [attrs.asdict(sample) for sample in soaked.samples],
    }


class _Case(SynchronousTestCase):
    """Whoever runs outside trial needs somebody to complain to, and to clean up."""

    def runTest(self) -> None:
        """Nothing of its own."""


def _rate(text: str) -> float | None:
    return None if text == "auto" else float(text)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)g)")
    parser.add_argument(
        "--rate", type=_rate, metavar="R", help="posts per second; default: auto, half of what can be done"
    )
    parser.add_argument("--seed", type=int, help="what chance does; default: another one each time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to a file")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Soak, and say how it went; 0 when every promise was kept."""
    arguments = _arguments(argv)
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    file = None if arguments.json is None else arguments.json.absolute()
    chdir(tempfile.mkdtemp(prefix="superchat-soak-"))
    case = _Case()

    def say(line: str) -> None:
        if not arguments.quiet:
            print(line, file=sys.stderr, flush=True)

    try:
        soaked = soak(case, arguments.minutes, arguments.rate, seed, say)
    except (SoakFailed, AssertionError) as error:
        print(f"FAILED, --seed {seed}: {error}")
        return 1
    finally:
        case.doCleanups()
    verdicts = [*judge(soaked)]
    if file is not None:
        file.write_text(json.dumps(document(soaked, verdicts)))
    print(table(soaked, verdicts))
    is_good = all(each.is_kept for each in verdicts)
    outcome = "passed" if is_good else "FAILED"
    print(f"{outcome}: {arguments.minutes:g} minutes at {soaked.rate:.0f} posts/s, seed {seed}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
