"""The loop: mutate what has shown something new before, run it, keep it if it shows something new itself."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path

import attrs

from tests.fuzz import corpus
from tests.fuzz.edges import Edges
from tests.fuzz.mutation import mutate
from tests.fuzz.patience import patience
from tests.fuzz.target import Target

_TRIES_TO_SHRINK = 100
_LONGEST_SHOWN = 400


class Failed(AssertionError):
    """An input broke a promise; the text says how."""

    def __init__(self, target: str, data: bytes, why: Exception) -> None:
        shown = repr(data) if len(data) <= _LONGEST_SHOWN else f"{data[:_LONGEST_SHOWN]!r}..."
        super().__init__(f"{target}, {len(data)} bytes: {shown}\n{''.join(traceback.format_exception(why))}")
        self.target = target
        self.data = data


@attrs.define
class Progress:
    """How far a run has come."""

    inputs: int = 0
    kept: int = 0
    edges: int = 0


class Loop:
    """Fuzzes one target from its seeds and *inputs*; the same *seed* takes the same way.

    What shows something new is written to *keep*, if that is given, as small as it can be made.
    """

    def __init__(self, target: Target, inputs: list[bytes], seed: int, keep: Path | None = None) -> None:
        self.target = target
        self.progress = Progress()
        self._edges = Edges(target.files)
        self._rng = random.Random(seed)
        self._keep = keep
        self._known: set[Hashable] = set()
        self._inputs: list[bytes] = []
        for data in [*inputs, *target.seeds()]:
            self._try(data[: target.longest_bytes], write=False)
        if not self._inputs:
            self._inputs.append(b"")

    def run(self, seconds: float, most: int | None = None, report: Callable[[Progress], None] | None = None) -> None:
        """Go on for so long, or for so many inputs. Raises `Failed`."""
        until = time.monotonic() + seconds
        count = 0
        while (most is None or count < most) and time.monotonic() < until:
            self._try(self._next(), write=True)
            count += 1
            if report is not None:
                report(self.progress)

    def _next(self) -> bytes:
        rng, inputs = self._rng, self._inputs
        # What was found last leads on most often.
        chosen = rng.choice(inputs[-20:] if rng.random() < 0.3 else inputs)
        data = mutate(chosen, inputs, self.target.words, rng, self.target.longest_bytes)
        return self.target.shape(data, rng)[: self.target.longest_bytes]

    def _try(self, data: bytes, *, write: bool) -> None:
        news = self._news(data)
        self.progress.inputs += 1
        if not news:
            return
        if write and self._keep is not None:
            data = self._smaller(data, news)
            corpus.save(self.target.name, data, self._keep)
        self._known |= news
        self._inputs.append(data)
        self.progress.kept += write
        self.progress.edges = len(self._known)

    def _news(self, data: bytes) -> set[Hashable]:
        try:
            with patience():
                outcome, seen = self._edges.of(partial(self.target.run, data), allowed_steps(self.target, data))
                self.target.check(data, outcome)
        except Exception as error:
            raise Failed(self.target.name, data, error) from error
        seen.add(outcome)
        return seen - self._known

    def _smaller(self, data: bytes, news: set[Hashable]) -> bytes:
        """The least of *data* that still shows the *news*."""

        def shows(part: bytes) -> bool:
            return news <= self._news(part)

        return shrink(data, shows, _TRIES_TO_SHRINK)


def allowed_steps(target: Target, data: bytes) -> int:
    """How many lines of its files a target may execute for an input."""
    return target.steps_at_least + target.steps_per_byte * len(data)


def run_once(target: Target, data: bytes) -> None:
    """Replay one input; raises what is wrong with it."""
    with patience():
        outcome, _ = Edges(target.files).of(partial(target.run, data), allowed_steps(target, data))
        target.check(data, outcome)


def shrink(data: bytes, is_good: Callable[[bytes], bool], tries: int) -> bytes:
    """Leave out of *data* what can be left out while it stays good, in halves, quarters and so on."""
    size = len(data) // 2
    while size and tries > 0:
        at = 0
        while at < len(data) and tries > 0:
            shorter = data[:at] + data[at + size :]
            tries -= 1
            if is_good(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def shrink_failure(target: Target, data: bytes, tries: int = 2000) -> bytes:
    """The least of a failing input that fails in the same way."""

    def how(part: bytes) -> type[BaseException] | None:
        try:
            run_once(target, part)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what we look for
            return type(error)
        return None

    kind = how(data)
    return data if kind is None else shrink(data, lambda part: how(part) is kind, tries)
