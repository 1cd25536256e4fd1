"""The outcome of a run, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from superchat.loadtest.expectations import Expectation
from superchat.loadtest.measurements import FAULTS, LATENCIES
from superchat.loadtest.metrics import PERCENTILES
from superchat.loadtest.options import Options

BUSY_PERCENT: Final = 90.0
WAIT_PERCENT: Final = 20.0
FLOOD: Final = "ERROR 5000:"


@attrs.frozen(kw_only=True)
class Result:
    """What a run came to."""

    options: Options
    metrics: Mapping[str, float | None]
    errors: Mapping[str, int]
    examples: tuple[str, ...]
    is_interrupted: bool = False

    @property
    def faults(self) -> dict[str, int]:
        """The faults that there are."""
        return {name: int(self.metrics[name] or 0) for name in FAULTS if self.metrics[name]}

    @property
    def failed_expectations(self) -> list[Expectation]:
        """Those that are not met."""
        return [each for each in self.options.expectations if not each.is_met(self.metrics)]

    @property
    def is_good(self) -> bool:
        """Whether everything arrived once and in order, and every expectation is met."""
        return not self.faults and not self.failed_expectations and not self.is_vain

    @property
    def is_vain(self) -> bool:
        """Whether the server refused every post: then nothing was checked."""
        return bool(self.metrics["posts_sent"]) and not self.metrics["posts_acked"]

    @property
    def notes(self) -> list[str]:
        """What one should know before believing the figures."""
        notes = []
        if self.is_interrupted:
            notes.append("the load was interrupted")
        if (self.metrics["generator_cpu_percent"] or 0) > BUSY_PERCENT:
            notes.append("a process of the load generator was busy all the time: more --processes may show more")
        if max(self.metrics["generator_wait_percent"] or 0, self.metrics["server_wait_percent"] or 0) > WAIT_PERCENT:
            notes.append("this machine had too few free cores: processes had to wait for one, which is in the figures")
        if self.metrics["posts_unsent"]:
            notes.append("the server did not take all posts that were due: their latency is missing above")
        if any(kind.startswith(FLOOD) for kind in self.errors):
            notes.append(
                "the server slowed posters down (max_frames_per_second, which it does not announce): "
                "more posters or a lower rate avoid that"
            )
        return notes


def as_json(result: Result) -> str:
    """The result as one JSON object."""
    options = attrs.asdict(result.options, filter=lambda field, value: field.name != "expectations")
    expectations = [
        {"expectation": str(each), "value": result.metrics[each.metric], "met": each.is_met(result.metrics)}
        for each in result.options.expectations
    ]
    document: dict[str, Any] = {
        "scenario": result.options.scenario,
        "ok": result.is_good,
        "interrupted": result.is_interrupted,
        "options": options,
        "metrics": dict(result.metrics),
        "errors": dict(result.errors),
        "faults": result.faults,
        "examples": list(result.examples),
        "expectations": expectations,
        "notes": result.notes,
    }
    return json.dumps(document, indent=2)


def as_text(result: Result) -> str:
    """The result for people."""
    return "\n".join([*_figures(result), *_latencies(result), *_troubles(result), *_verdict(result)])


def _figures(result: Result) -> Iterator[str]:
    metrics = result.metrics
    lasted = f"{metrics['duration_seconds'] or 0:.1f} s of load"
    connected = f"{metrics['connections']:,} connections"
    if metrics["connections_per_second"]:
        connected += f" ({metrics['connections_per_second']:,.0f} per second)"
    yield f"{result.options.scenario}: {lasted}, {connected}"
    if metrics["posts_sent"]:
        yield (
            f"  posts       {metrics['posts_acked']:>12,} acknowledged of {metrics['posts_sent']:,}, "
            f"{metrics['posts_per_second'] or 0:,.0f} per second"
        )
    if metrics["deliveries"]:
        yield f"  deliveries  {metrics['deliveries']:>12,}, {metrics['deliveries_per_second'] or 0:,.0f} per second"
    for name, text in (
        ("nicknames", "taken"),
        ("churned", "visits"),
        ("other_messages", "messages of others"),
        ("posts_refused", "posts refused"),
        ("posts_unsent", "posts not sent in time"),
    ):
        if metrics[name]:
            yield f"  {name:<11} {metrics[name]:>12,} {text}"
    if result.options.slow:
        yield f"  slow_cut    {metrics['slow_cut']:>12,} of {result.options.slow} slow readers disconnected"
    if metrics["server_cpu_percent"] is not None:
        waited = f"{metrics['server_wait_percent'] or 0:.0f} % waiting for a core"
        yield (
            f"  server      {metrics['server_cpu_percent']:>10.0f} % CPU, {waited}, "
            f"{metrics['server_rss_mib'] or 0:.0f} MiB"
        )
    yield (
        f"  generator   {metrics['generator_cpu_percent'] or 0:>10.0f} % CPU, "
        f"{metrics['generator_wait_percent'] or 0:.0f} % waiting for a core, in its busiest process"
    )


def _latencies(result: Result) -> Iterator[str]:
    columns = (*PERCENTILES, "max")
    yield f"  {'latency, ms':<12}" + "".join(f"{each.replace('_', '.'):>10}" for each in columns)
    for name in LATENCIES:
        values = [result.metrics[f"{name}_{each}_ms"] for each in columns]
        if values[-1] is not None:
            yield f"  {name:<12}" + "".join(f"{value:>10,.1f}" for value in values)


def _troubles(result: Result) -> Iterator[str]:
    for kind, times in sorted(result.errors.items(), key=lambda each: -each[1]):
        yield f"  error       {times:>12,} {kind}"
    for kind, times in result.faults.items():
        yield f"  FAULT       {times:>12,} {kind}: {FAULTS[kind]}"
    for example in result.examples:
        yield f"              for example {example}"


def _verdict(result: Result) -> Iterator[str]:
    for note in result.notes:
        yield f"  note: {note}"
    for each in result.options.expectations:
        value = result.metrics[each.metric]
        is_met = "met" if each.is_met(result.metrics) else "NOT MET"
        yield f"  expected {each}: {is_met} ({'not measured' if value is None else f'{value:,g}'})"
    if result.faults:
        yield "  check: FAILED"
    elif result.is_vain:
        yield "  check: FAILED, no post was acknowledged"
    elif result.metrics["deliveries"]:
        yield "  check: every post arrived once and in order"
    else:
        yield "  check: every request was answered"
