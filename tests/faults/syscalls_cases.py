"""Lets each call to the file system of a storage fail, in one scene after the other.

It has to run with syscalls.c before the C library, and with the variables of `syscalls_calls.Faults`; see syscalls.py.
"""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

import attrs

from tests.faults.syscalls_calls import ERRORS, FOR_EVER, Call, File, Kind
from tests.faults.syscalls_scenes import SCENES, Ending, Stage

FULL: Final = (Kind.WRITE, Kind.SYNC, Kind.TRUNCATE, Kind.NAME)
"""What a full disk may refuse."""
ANY: Final = tuple(Kind)
DEAD: Final = tuple(kind for kind in Kind if kind is not Kind.LOCK)
"""What a disk that is gone may refuse; locks are not on it."""
RARE: Final = (Kind.OPEN, Kind.SYNC, Kind.TRUNCATE, Kind.NAME, Kind.MAP)
"""Calls that are few and matter: also a sample has all of them."""


class Shape(Enum):
    """For how long calls fail."""

    ONCE = "once"
    SHORT = "short"  # half a read or write, the rest of which succeeds
    TORN = "torn"  # half a write, and then there is no space
    FULL = "full"  # there is no space from then on
    DEAD = "dead"  # everything fails from then on

    @property
    def is_full(self) -> bool:
        """Whether nothing fails but what a full disk refuses."""
        return self in (Shape.TORN, Shape.FULL)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The calls that count."""
        if self.is_full:
            return FULL
        return DEAD if self is Shape.DEAD else ANY

    @property
    def lasts(self) -> bool:
        """Whether it does not end by itself."""
        return self in (Shape.TORN, Shape.FULL, Shape.DEAD)


@attrs.frozen
class Case:
    """A scene, and what fails in it: the call of this number, which does *what* when nothing fails before."""

    scene: str
    shape: Shape
    number: int
    what: Call
    error: int
    ending: Ending

    def is_undecided(self, is_whole: bool) -> bool:
        """Whether what was refused may be there after a crash: the disk has taken all of it but did not say so, and
        then takes nothing more, not even what is to be written over it.

        So it is after the frames, and when the last of them *is_whole* although it was torn: the log began anew, and
        the half that did not come is the same as in the frame that was there before.
        """
        after_the_frames = self.what == Call(Kind.SYNC, File.WAL) or self.what.file is File.INDEX
        is_torn_whole = is_whole and self.what == Call(Kind.WRITE, File.WAL)
        return (after_the_frames or is_torn_whole) and self.shape.lasts and self.ending is not Ending.GO_ON

    def __str__(self) -> str:
        error = errno.errorcode[self.error]
        return f"{self.scene}, call {self.number} ({self.what}): {self.shape.value} {error}, then {self.ending.value}"


class Numbered:
    """Plays cases in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._stage = Stage(directory)
        self._stage.faults.skip_sync()
        self.played: Counter[str] = Counter()

    def calls(self, scene: str, kinds: tuple[Kind, ...]) -> list[Call]:
        """The calls of a scene in which nothing fails."""
        faults = self._stage.faults
        told = self._stage.play(scene, Ending.CLOSE, lambda: faults.count(kinds), True)
        trace = faults.trace
        wrong = [*self._stage.judge(told, False), *(f"refused: {each}" for each in told.refused)]
        assert not wrong, f"{scene}, and nothing fails: {wrong}"
        return trace

    def play(self, case: Case) -> list[str]:
        """What is wrong after a case."""
        faults, shape = self._stage.faults, case.shape
        last = FOR_EVER if shape.lasts else case.number
        is_short = shape in (Shape.SHORT, Shape.TORN)

        def arm() -> None:
            faults.fail(case.number, last, case.error, is_short=is_short, kinds=shape.kinds)

        told = self._stage.play(case.scene, case.ending, arm, shape.is_full)
        self.played["cases"] += 1
        self.played["failed"] += bool(faults.failures)
        self.played["refused"] += bool(told.refused or told.undeleted)
        done = faults.trace[case.number - 1 :][:1]
        if done:  # threads may have been faster or slower than when the calls were counted
            case = attrs.evolve(case, what=done[0])
        # A backup that took the database's place could not be taken back.
        told.removed |= case.scene == "restored" and shape.lasts
        return [f"{case}: {each}" for each in self._stage.judge(told, case.is_undecided(faults.is_whole))]

    def every(self, scenes: Sequence[str], errors: Collection[int]) -> list[Case]:
        """All cases there are, or those in which calls fail with *errors* if there are any."""
        return [case for scene in scenes for case in self._cases(scene) if not errors or case.error in errors]

    def _cases(self, scene: str) -> Iterator[Case]:
        calls = {kinds: self.calls(scene, kinds) for kinds in (ANY, DEAD, FULL)}
        for ending in Ending:
            for shape in Shape:
                for number, call in enumerate(calls[shape.kinds], 1):
                    for error in _errors(shape, call.kind):
                        yield Case(scene, shape, number, call, error, ending)


def _errors(shape: Shape, kind: Kind) -> tuple[int, ...]:
    """With what calls of a kind fail in this shape."""
    if shape is Shape.ONCE:
        return ERRORS[kind]
    if shape is Shape.DEAD or (shape is Shape.SHORT and kind in (Kind.READ, Kind.WRITE)):
        return (errno.EIO,)
    if shape is Shape.FULL or (shape is Shape.TORN and kind is Kind.WRITE):
        return (errno.ENOSPC,)
    return ()


def sample(cases: Sequence[Case], count: int, rng: random.Random) -> list[Case]:
    """So many cases, by chance: half of them of calls that are rare and matter, and every scene as often."""
    scenes = [scene for scene in SCENES if any(case.scene == scene for case in cases)]
    chosen: list[Case] = []
    for scene in scenes:
        mine = [case for case in cases if case.scene == scene]
        rare = [case for case in mine if case.what.kind in RARE]
        share = count // len(scenes)
        half = rng.sample(rare, min(share // 2, len(rare)))
        chosen += half + rng.sample(mine, min(share - len(half), len(mine)))
    rng.shuffle(chosen)
    return chosen
