"""Fuzzes everything that reads what strangers send, for as long as one likes.

    python -m tests.fuzz                              every target, 10 seconds each
    python -m tests.fuzz wire talks --seconds 600 --seed 7 --keep found
    python -m tests.fuzz talks --replay found/failures/talks/0123456789ab.bin

A run begins with the inputs in tests/fuzz/corpus and goes on from there by chance. What breaks a promise ends it: the
input is made as small as it can be, written to a file, and the last line says how to replay it. Copy such a file to
tests/fuzz/corpus as failure-<what it is>.bin, and every run of the tests will replay it for ever.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twisted.logger import globalLogBeginner

from tests.faults.outside import Outside, outside
from tests.fuzz import corpus, loop
from tests.fuzz.loop import Loop
from tests.fuzz.talks import play, real
from tests.fuzz.targets import TARGETS

REAL: Final = "server"
ALL: Final = (*TARGETS, play.NAME, REAL)
_REPORT_SECONDS: Final = 5.0

Failure = loop.Failed | play.Failed | real.Failed


class Reporter:
    """Says now and then how far it is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = self._said = time.monotonic()

    def __call__(self, progress: object) -> None:
        """Say it, if it is time to."""
        now = time.monotonic()
        if now - self._said >= _REPORT_SECONDS:
            self._said = now
            tell(f"{self._name}: {now - self._began:.0f} s, {shown(progress)}")


def shown(progress: object) -> str:
    """A progress in words."""
    if isinstance(progress, loop.Progress):
        return f"{progress.inputs} inputs, {progress.edges} ways through the code, {progress.kept} new inputs"
    assert isinstance(progress, play.Progress)
    return (
        f"{progress.talks} talks, {progress.steps} steps, {len(progress.features)} kinds of answers, "
        f"{progress.kept} new talks"
    )


def tell(line: str) -> None:
    """Say something to whoever watches."""
    print(line, file=sys.stderr, flush=True)


def fuzz(name: str, seconds: float, seed: int, keep: Path | None) -> str:
    """Fuzz one target; a sentence about it. Raises what is wrong."""
    report = Reporter(name)
    if name == REAL:
        with outside():
            return shown(real.run(Outside, seconds, seed, report))
    known = corpus.load(name)
    if name == play.NAME:
        return shown(play.run(seconds, seed, keep, known, report))
    going = Loop(TARGETS[name], known, seed, keep)
    going.run(seconds, report=report)
    return shown(going.progress)


def replay(name: str, data: bytes) -> None:
    """Try one input again. Raises what is wrong."""
    if name in (play.NAME, REAL):
        play.replay(data)
    else:
        loop.run_once(TARGETS[name], data)


def main(argv: Sequence[str]) -> int:
    """Fuzz as the command line says; 0 when every promise was kept."""
    arguments = _parser().parse_args(argv)
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    names: list[str] = arguments.targets or [*ALL]
    if arguments.list:
        print(*ALL, sep="\n")
        return 0
    if arguments.replay is not None:
        return _replayed(names, arguments.replay)
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    tell(f"--seed {seed}")
    failures = [name for name in names if not _kept_its_promises(name, arguments.seconds, seed, arguments.keep)]
    print(f"{len(names) - len(failures)} targets passed, failed: {', '.join(failures) or 'none'}, seed {seed}")
    return 1 if failures else 0


def _kept_its_promises(name: str, seconds: float, seed: int, keep: Path | None) -> bool:
    try:
        print(f"{name}: {fuzz(name, seconds, seed, keep)}", flush=True)
    except (loop.Failed, play.Failed, real.Failed) as failed:
        _save(name, seed, failed, keep)
        return False
    return True


def _save(name: str, seed: int, failed: Failure, keep: Path | None) -> None:
    """Save what failed at once, and then again as small as it gets."""
    tell(str(failed))
    folder = (keep or Path("fuzz-found")) / "failures"
    path = corpus.save(name, failed.data, folder)
    tell(f"{name} failed with --seed {seed}; the input is in {path}, and is being made smaller")
    least = _smaller(failed)
    if least != failed.data:
        path = corpus.save(name, least, folder)
    print(f"{name} failed, seed {seed}; replay it with: python -m tests.fuzz {name} --replay {path}", flush=True)


def _smaller(failed: Failure) -> bytes:
    match failed:
        case loop.Failed():
            return loop.shrink_failure(TARGETS[failed.target], failed.data)
        case play.Failed():
            return play.shortened_failure(failed)
    return failed.data


def _replayed(names: Sequence[str], path: Path) -> int:
    if len(names) != 1:
        print("--replay needs the name of one target", file=sys.stderr)
        return 2
    try:
        replay(names[0], path.read_bytes())
    except Exception:  # noqa: BLE001  # whatever it is, it is what was asked for
        traceback.print_exc()
        print(f"{names[0]}: {path} fails")
        return 1
    print(f"{names[0]}: {path} passes")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", choices=(*ALL, []), metavar="TARGET", help=f"of: {', '.join(ALL)}")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of chance; default: another one each time")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where to write inputs that show something new")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one input of one target again")
    parser.add_argument("--list", action="store_true", help="name the targets")
    return parser
