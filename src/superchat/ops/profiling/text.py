"""Profiles as text: a table for people, and folded stacks for flame-graph programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from superchat.ops.profiling.profile import Frame, Labels, Measure, Profile, Sample

MAX_FUNCTIONS: Final = 50
MAX_STACKS: Final = 200

_UNITS: Final = {"nanoseconds": (1e6, "ms"), "bytes": (1024.0, "KiB")}
_CONTROL: Final = dict.fromkeys(range(32), " ") | {ord(";"): ":"}


def folded(profile: Profile) -> str:
    """One line per stack, outermost frame first: `a;b;c 42`, in the unit of the measure that is shown first.

    This is what flamegraph.pl, inferno and speedscope read. What became less cannot be told in it.
    """
    lines: Counter[str] = Counter()
    for sample in profile.samples:
        lines[";".join(name.translate(_CONTROL) for name in path(sample))] += sample.values[-1]
    return "".join(f"{line} {value}\n" for line, value in sorted(lines.items()) if value > 0)


def path(sample: Sample) -> list[str]:
    """The names on the way from the outside to the inside of a sample, its labels first."""
    return [*(value for _, value in sample.labels), *(frame.function for frame in reversed(sample.stack))]


def table(profile: Profile) -> str:
    """The functions and the stacks that weigh the most."""
    return "\n".join((*_head(profile), "", *_functions(profile), "", *_stacks(profile), ""))


def amount(value: int, measure: Measure) -> str:
    """A value with its unit, for people."""
    if measure.unit not in _UNITS:
        return f"{value} {measure.name}"
    factor, unit = _UNITS[measure.unit]
    return f"{value / factor:.1f} {unit}"


def moment(seconds: float) -> str:
    """A Unix time, for people anywhere."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _head(profile: Profile) -> Iterator[str]:
    yield f"{profile.shown.name}, total {amount(profile.total, profile.shown)}"
    yield f"taken {moment(profile.taken_at)}, covers {profile.duration_seconds:.1f} s"
    yield from profile.comments


def _functions(profile: Profile) -> Iterator[str]:
    flat: Counter[str] = Counter()
    cumulated: Counter[str] = Counter()
    for sample in profile.samples:
        value = sample.values[-1]
        flat[sample.stack[0].function] += value
        for function in {frame.function for frame in sample.stack}:
            cumulated[function] += value
    yield f"{'itself':>16} {'with callees':>16}  function"
    for function, value in flat.most_common(MAX_FUNCTIONS):
        both = amount(value, profile.shown), amount(cumulated[function], profile.shown)
        yield f"{both[0]:>16} {both[1]:>16}  {function}"


def _stacks(profile: Profile) -> Iterator[str]:
    heaviest = profile.heaviest_first()
    for sample in heaviest[:MAX_STACKS]:
        yield " ".join((amount(sample.values[-1], profile.shown), *_described(sample.labels)))
        yield from (f"    {_place(frame)}" for frame in sample.stack)
        yield ""
    if len(heaviest) > MAX_STACKS:
        yield f"and {len(heaviest) - MAX_STACKS} lighter stacks"


def _described(labels: Labels) -> Iterator[str]:
    return (f"{name}={value}" for name, value in labels)


def _place(frame: Frame) -> str:
    where = f" {frame.file}:{frame.line}" if frame.file else ""
    return f"{frame.function}{where}"
