"""Every call to the file system fails, one after the other, and nothing that was acknowledged is lost.

    python -m tests.faults.syscalls [--cases 400] [--seed N]
    python -m tests.faults.syscalls --every [--errno EIO ENOSPC]

First in a storage alone, while a database is made, migrated, written, copied, restored and cleared, each time in a
process that is killed, closed, or goes on; then in a server with people on it. The exit code is 0 when nothing was
wrong. What was is named with the number and the kind of the call; the same seed plays the same cases.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.outside import outside
from tests.faults.syscalls_calls import FOR_EVER, Faults, build
from tests.faults.syscalls_cases import Numbered, sample
from tests.faults.syscalls_scenes import SCENES
from tests.faults.syscalls_server import FailingServer, fail_each, fail_starts, fill_disk, lose_lines, refuse_and_kill

_INSIDE: Final = "--inside"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.syscalls",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--every", action="store_true", help="play all cases; takes two or three hours")
    parser.add_argument("--cases", type=int, default=400, metavar="N", help="how many of them else (%(default)s)")
    parser.add_argument("--errno", nargs="*", default=[], metavar="NAME", help="only failures with these errors")
    parser.add_argument("--scene", nargs="*", default=[*SCENES], choices=[*SCENES], help="only these scenes")
    parser.add_argument("--seed", type=int, default=0, help="what chance does; 0: another one each time")
    parser.add_argument("--only", choices=["storage", "server"], help="without the other one (default: both)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument(_INSIDE, metavar="DIRECTORY", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.errno if not hasattr(errno, name)]
    if unknown:
        parser.error(f"there is no error {unknown[0]}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Play, and return the exit code."""
    options = parsed(arguments)
    if options.inside:
        return _play(options, Path(options.inside))
    code = 0
    if options.only != "server":
        with tempfile.TemporaryDirectory(prefix="superchat-syscalls-") as name:
            code = run(Path(name), arguments)
    return code if options.only == "storage" else max(code, _serve(options))


def run(directory: Path, arguments: Sequence[str]) -> int:
    """Play in a process with syscalls.c, and return its exit code; it writes to standard output and error."""
    directory = directory.resolve()
    (directory / "played").mkdir()
    faults = Faults(directory / "control", directory / "played")
    command = [sys.executable, "-m", "tests.faults.syscalls", *arguments, _INSIDE, str(directory)]
    environment = os.environ | faults.environment(build(directory))
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode


def _play(options: argparse.Namespace, directory: Path) -> int:
    seed = _seed(options)
    numbered = Numbered(directory)
    cases = numbered.every(options.scene, [getattr(errno, name) for name in options.errno])
    if not options.every:
        cases = sample(cases, options.cases, random.Random(seed))
    wrong: list[str] = []
    started = told_at = time.monotonic()
    for done, case in enumerate(cases):
        found = numbered.play(case)
        for each in found:
            print(each, flush=True)
        wrong += found
        if not options.quiet and time.monotonic() - told_at > 2:
            told_at = time.monotonic()
            rate = done / (told_at - started)
            print(f"\r{done} of {len(cases)} cases, {rate:.0f} a second, {len(wrong)} wrong ", end="", file=sys.stderr)
    if not options.quiet:
        print(file=sys.stderr)
    counted = ", ".join(f"{count} {what}" for what, count in numbered.played.items())
    print(f"seed {seed}: {counted}, {len(wrong)} wrong")
    return 1 if wrong else 0


def _serve(options: argparse.Namespace) -> int:
    """The same with a server."""
    seed, errors = _seed(options), tuple(getattr(errno, name) for name in options.errno)
    rng, count = random.Random(seed), 0
    with outside() as case:
        try:
            server = FailingServer(case)
            for play in (fail_each, fail_starts):
                for what in play(server, rng, 0 if options.every else options.cases // 4, errors):
                    count += 1
                    if not options.quiet:
                        print(f"\r{count}: {what:80}", end="", file=sys.stderr)
                if play is fail_each:
                    fill_disk(server)
                    server.check_listener()
                    for last in (1, FOR_EVER):
                        refuse_and_kill(server, errno.EIO, last)
            server.check_stored()
            server.check_no_mistakes()
            lose_lines(FailingServer(case, "[logging]\ndebug = true\n"), 1 << 24)
        except AssertionError as failure:
            print(f"seed {seed}, with a server: {failure}")
            return 1
    print(f"seed {seed}, with a server: {count} cases, 0 wrong")
    return 0


def _seed(options: argparse.Namespace) -> int:
    seed: int = options.seed or random.SystemRandom().randrange(1, 1 << 32)
    return seed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
