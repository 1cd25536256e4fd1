"""Plays talks: by chance from a seed, or as they were written down; and makes those that fail shorter."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import attrs

from tests.fuzz import corpus
from tests.fuzz.patience import patience
from tests.fuzz.talks.chance import Chance, settings
from tests.fuzz.talks.garbage import only_new_garbage
from tests.fuzz.talks.script import Settings, Step, read, written
from tests.fuzz.talks.stage import staged

NAME: Final = "talks"
_STEPS: Final = (20, 60, 60, 120)
_TRIES_TO_SHORTEN: Final = 400


class Failed(AssertionError):
    """A talk in which a promise was broken; the text says how, `data` is the talk."""

    def __init__(self, data: bytes, why: Exception) -> None:
        lines = data.count(b"\n")
        super().__init__(f"a talk of {lines} lines\n{''.join(traceback.format_exception(why))}")
        self.data = data


@attrs.define
class Progress:
    """How far a run has come."""

    talks: int = 0
    steps: int = 0
    kept: int = 0
    features: set[tuple[str, str]] = attrs.field(factory=set)


def play_by_chance(seed: int) -> tuple[bytes, set[tuple[str, str]]]:
    """One talk, and what was answered to what in it. Raises `Failed`."""
    rng = random.Random(seed)
    on = settings(rng)
    chance = Chance(rng)
    steps: list[Step] = []
    number = rng.choice(_STEPS)
    try:
        with patience(), staged(on) as stage:
            while len(steps) < number:
                for step in chance.step(len(stage.late)):
                    steps.append(step)
                    stage.play(step)
                for message in stage.heard:
                    chance.values.learn(message)
                stage.heard.clear()
            stage.finish()
            return written(on, steps), stage.features
    except Exception as error:
        raise Failed(written(on, steps), error) from error


def replay(data: bytes) -> set[tuple[str, str]]:
    """A talk as it was written down, and what was answered to what in it. Raises `Failed`."""
    on, steps = read(data)
    try:
        return _play(on, steps)
    except Exception as error:
        raise Failed(data, error) from error


def run(
    seconds: float,
    seed: int,
    keep: Path | None = None,
    known: Iterable[bytes] = (),
    report: Callable[[Progress], None] | None = None,
    most: int | None = None,
) -> Progress:
    """Play talks for so long, or so many: first those that are *known*. Raises `Failed`.

    A talk in which something was answered as in none before is written to *keep*, if that is given.
    """
    progress = Progress()
    until = time.monotonic() + seconds
    with only_new_garbage():
        for data in known:
            progress.features |= replay(data)
        _go_on(progress, until, seed, keep, report, most)
    return progress


def _go_on(
    progress: Progress,
    until: float,
    seed: int,
    keep: Path | None,
    report: Callable[[Progress], None] | None,
    most: int | None,
) -> None:
    while time.monotonic() < until and (most is None or progress.talks < most):
        data, features = play_by_chance(seed + progress.talks)
        progress.talks += 1
        progress.steps += data.count(b"\n")
        if news := features - progress.features:
            progress.features |= news
            if keep is not None:
                corpus.save(NAME, data, keep)
                progress.kept += 1
        if report is not None:
            report(progress)


def shortened_failure(failed: Failed) -> bytes:
    """The shortest talk that can be found that fails in the same way."""
    kind = _how(failed.data)
    return failed.data if kind is None else shortened(failed.data, lambda data: _how(data) == kind)


def shortened(data: bytes, is_good: Callable[[bytes], bool], tries: int = _TRIES_TO_SHORTEN) -> bytes:
    """Leave out steps as long as a talk stays good."""
    on, steps = read(data)
    size = len(steps) // 2
    while size and tries > 0:
        at = 0
        while at < len(steps) and tries > 0:
            fewer = steps[:at] + steps[at + size :]
            tries -= 1
            if is_good(written(on, fewer)):
                steps = fewer
            else:
                at += size
        size //= 2
    return written(on, steps)


def _play(on: Settings, steps: Iterable[Step]) -> set[tuple[str, str]]:
    with patience(), staged(on) as stage:
        for step in steps:
            stage.play(step)
        stage.finish()
        return stage.features


def _how(data: bytes) -> str | None:
    """How a talk fails, in short."""
    try:
        replay(data)
    except Failed as failed:
        cause = failed.__cause__
        text = "".join(letter for letter in str(cause).partition("\n")[0] if letter.isalpha() or letter == " ")
        return f"{type(cause).__name__} {text[:20]}"
    return None
