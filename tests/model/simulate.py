"""Plays worlds by seeds: `python -m tests.model.simulate` for many, `--seed N` to see one again.

Exit code 0 when the chat was as the model in every one, 1 otherwise; the last line names the seeds that failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import traceback
from collections.abc import Sequence
from os import chdir
from typing import TypeVar

import attrs

from tests.model.acts import act
from tests.model.world import World

T = TypeVar("T")


@attrs.frozen
class Seeded:
    """Choices that are the same for the same seed."""

    source: random.Random

    def one_of(self, options: Sequence[T]) -> T:
        """One of several."""
        return self.source.choice(options)


class WorldOnDisk(World):
    """A world whose storage is SQLite."""

    on_disk = True


def play(seed: int, steps: int, *, on_disk: bool, report: bool = False) -> None:
    """Play one world; raises what was not as the model says."""
    world = (WorldOnDisk if on_disk else World)()
    choose = Seeded(random.Random(seed))
    world.setUp()
    try:
        for number in range(steps):
            done = act(world, choose)
            if report:
                print(f"{number}: {done}", flush=True)
        world.check()
    finally:
        world.tearDown()


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many worlds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="acts in each world (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="only this world, act by act")
    parser.add_argument("--on-disk", action="store_true", help="on SQLite, not in memory")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Play, and say how it went."""
    arguments = _arguments(argv)
    chdir(tempfile.mkdtemp(prefix="superchat-simulation-"))
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.seed is not None:
        seeds = range(arguments.seed, arguments.seed + 1)
    failed = []
    for done, seed in enumerate(seeds, 1):
        try:
            play(seed, arguments.steps, on_disk=arguments.on_disk, report=arguments.seed is not None)
        except Exception:  # noqa: BLE001 (whatever it was, the next seed deserves its try)
            failed.append(seed)
            print(f"seed {seed} failed:\n{traceback.format_exc()}", file=sys.stderr)
        if done % 100 == 0:
            print(f"{done} of {len(seeds)} worlds, {len(failed)} failed", file=sys.stderr)
    print(f"{len(seeds)} worlds of {arguments.steps} acts, failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
