"""What a soak has shown: each promise, whether it was kept, and the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

import attrs

from tests.faults.samples import Rest, Sample
from tests.faults.trend import Slope, slope, thinned

MIB: Final = 1 << 20
POINTS: Final = 60
"""A slope goes by so many medians."""
LEAK_BYTES: Final = 50
"""Half of what must be noticed: of every connection, or of every post, whichever there are fewer of."""
LEAST_LEAK_KB_PER_MINUTE: Final = 60.0
"""A load of so few connections that less would have to be noticed is too small for that."""
LEAKED_BLOCKS: Final = 0.02
"""Blocks of memory that each connection and post may leave behind: one of each fiftieth."""
SPARE_BLOCKS: Final = 300
"""Caches that fill, from one rest to the next."""
COARSE_KB: Final = 32 * 1024
"""What a minute may add to the memory of a server that has just begun."""
LOG_BYTES: Final = 96 * MIB
"""The write-ahead log is cut to 64 MiB whenever it begins anew; what is written before that comes on top."""
SLOWER: Final = 3.0
SLOWER_MS: Final = 100.0
KINDS_SHOWN: Final = 6


@attrs.frozen
class Load:
    """One load, as the load test reports it, and how many of its posts the database had at its end."""

    outcome: Mapping[str, Any]
    stored: int

    @property
    def posts(self) -> int:
        """How many were acknowledged, the beginnings of its threads included."""
        return int(self.outcome["metrics"]["posts_acked"]) + int(self.outcome["options"]["threads"])

    @property
    def troubles(self) -> list[str]:
        """What was not as it should have been; slow readers may be cut off."""
        errors = [kind for kind in self.outcome["errors"] if not kind.startswith("slow reader")]
        return [*self.outcome["faults"], *errors, *([] if self.outcome["ok"] else ["not good"])]

    @property
    def waited_percent(self) -> float:
        """For how much of the time the server, or a process of the load test, had work to do and no core."""
        metrics = self.outcome["metrics"]
        return max(metrics["server_wait_percent"] or 0.0, metrics["generator_wait_percent"] or 0.0)

    def p99_ms(self, name: str) -> float:
        """The 99th percentile of a latency."""
        return float(self.outcome["metrics"][f"{name}_p99_ms"] or 0.0)


@attrs.frozen(kw_only=True)
class Soak:
    """Everything that was seen."""

    minutes: float
    rate: float
    loads: Sequence[Load]
    samples: Sequence[Sample]
    rests: Sequence[Rest]
    complaints: Sequence[str]
    troubles: Sequence[str]
    removed_messages: int
    is_short: bool
    """Whether it was too short for slopes and latencies to mean anything."""


@attrs.frozen
class Verdict:
    """One promise."""

    promise: str
    is_kept: bool
    figures: str


def judge(soak: Soak) -> Iterator[Verdict]:
    """All promises."""
    yield _delivered(soak)
    yield _stored(soak)
    yield Verdict("nobody was troubled", not soak.troubles, "; ".join(soak.troubles) or "no trouble")
    yield Verdict("logs are clean", not soak.complaints, "; ".join(soak.complaints[:3]) or "no errors, no warnings")
    yield _objects(soak)
    yield _memory(soak)
    yield _same("descriptors at rest", [rest.descriptors for rest in soak.rests])
    yield _same("threads at rest", [rest.threads for rest in soak.rests[1:]])
    yield _same("timers at rest", [rest.delayed_calls for rest in soak.rests], spare=2)
    most = max(sample.log_bytes for sample in soak.samples)
    yield Verdict("write-ahead log is bounded", most <= LOG_BYTES, f"at most {most / MIB:.1f} MiB")
    yield _database(soak)
    for name in ("ack", "delivery"):
        yield _latency(soak, name)


def memory_slope(samples: Sequence[Sample]) -> Slope:
    """Of resident memory over the second half, in kB per minute."""
    half = samples[-1].at / 2
    points = [(sample.at / 60, sample.resident_kb) for sample in samples if sample.at >= half]
    return slope(thinned(points, POINTS))


def _delivered(soak: Soak) -> Verdict:
    troubles = [trouble for load in soak.loads for trouble in load.troubles]
    deliveries = sum(load.outcome["metrics"]["deliveries"] for load in soak.loads)
    return Verdict("delivered once and in order", not troubles, "; ".join(troubles[:5]) or f"{deliveries:,} deliveries")


def _stored(soak: Soak) -> Verdict:
    missing = sum(max(0, load.posts - load.stored) for load in soak.loads)  # what has no answer may be stored as well
    posts = sum(load.posts for load in soak.loads)
    return Verdict("acknowledged is stored", not missing, f"{posts:,} posts, {missing} missing")


def _objects(soak: Soak) -> Verdict:
    """The least growth from one rest to the next: a leak is in every one of them, a cache that fills is not."""
    late = soak.rests[len(soak.rests) // 2 - 1 :] if len(soak.rests) > 4 else soak.rests[1:]
    steps = [
        (after.census["blocks"] - before.census["blocks"], after.units - before.units)
        for before, after in pairwise(late)
    ]
    over = [blocks - LEAKED_BLOCKS * units - SPARE_BLOCKS for blocks, units in steps]
    least = min(steps, key=lambda step: step[0] / max(step[1], 1))
    figures = f"{least[0]:+,} blocks for {least[1]:,} connections and posts at the least"
    is_kept = min(over) <= 0
    return Verdict("no object is left behind", is_kept, figures if is_kept else f"{figures}: {_grown(late)}")


def _grown(rests: Sequence[Rest]) -> str:
    """The kinds of objects that there are more of, for whoever has to find the leak."""
    before, after = rests[0].census["kinds"], rests[-1].census["kinds"]
    grown = {kind: number - before.get(kind, 0) for kind, number in after.items()}
    most = sorted(grown, key=lambda kind: -grown[kind])[:KINDS_SHOWN]
    return ", ".join(f"{kind} {grown[kind]:+,}" for kind in most)


def _memory(soak: Soak) -> Verdict:
    found = memory_slope(soak.samples)
    first, last = soak.rests[0], soak.rests[-1]
    minutes = (last.at - first.at) / 60
    connections = (last.sessions_created - first.sessions_created) / minutes
    posts = (last.posts - first.posts) / minutes
    allowed = max(LEAK_BYTES * min(connections, posts) / 1000, LEAST_LEAK_KB_PER_MINUTE)
    grown = last.resident_kb - first.resident_kb
    figures = (
        f"{found.value:+.0f} kB a minute, {found.low:+.0f} to {found.high:+.0f}; {allowed:.0f} allowed, "
        f"which is {1000 * allowed / connections:.0f} bytes a connection or {1000 * allowed / posts:.0f} a post; "
        f"{grown / 1024:+.1f} MiB from the first rest to the last, of {last.resident_kb / 1024:.0f}"
    )
    return Verdict("memory is flat", grown <= COARSE_KB if soak.is_short else found.low <= allowed, figures)


def _same(what: str, seen: Sequence[int], spare: int = 0) -> Verdict:
    return Verdict(f"{what} are flat", seen[-1] <= seen[0] + spare, f"{seen[0]} to {seen[-1]}")


def _database(soak: Soak) -> Verdict:
    """What is deleted and expired makes room for what comes: the second half needs no more than the first."""
    sizes = [sample.database_bytes for sample in soak.samples]
    half = len(sizes) // 2
    first, second = max(sizes[:half]), max(sizes[half:])
    is_kept = soak.is_short or (second <= 1.5 * first + 16 * MIB and soak.removed_messages > 0)
    return Verdict(
        "history does not only grow",
        is_kept,
        f"at most {first / MIB:.1f} MiB, then {second / MIB:.1f}; {soak.removed_messages:,} messages removed",
    )


def _latency(soak: Soak, name: str) -> Verdict:
    each = [load.p99_ms(name) for load in soak.loads]
    quarter = max(1, len(each) // 4)
    first, last = median(each[:quarter]), median(each[-quarter:])
    is_kept = soak.is_short or last <= max(SLOWER * first, first + SLOWER_MS)
    return Verdict(f"p99 of {name} stays", is_kept, f"{first:.1f} ms in the first quarter, {last:.1f} in the last")
