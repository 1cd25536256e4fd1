"""The metrics of a run: names that --expect, the JSON output and the manual share, and how they are computed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from superchat.loadtest.latencies import Latencies
from superchat.loadtest.measurements import COUNTS, FAULTS, LATENCIES, Measurements

PERCENTILES: Final[Mapping[str, float]] = MappingProxyType({"p50": 50, "p90": 90, "p99": 99, "p99_9": 99.9})

_RATES: Final = {
    "duration_seconds": "from the start of the load to its end",
    "posts_per_second": "posts acknowledged per second of the load",
    "deliveries_per_second": "deliveries per second, from the start of the load to the last of them",
    "connections_per_second": "connections per second while the clients of the start connected",
}
_ENDS: Final = {
    "errors": "errors of all kinds",
    "server_cpu_percent": "CPU of the server's process during the load; 100 is one core",
    "server_cpu_seconds": "the same in seconds",
    "server_wait_percent": "how long the server's main thread was ready to run and had no core, of the load's duration",
    "server_rss_mib": "the most memory that the server's process was seen to use",
    "generator_cpu_percent": "CPU of the busiest process of the load generator; near 100 that is the limit",
    "generator_wait_percent": "how long one of its processes was ready to run and had no core, of the load's duration",
}


def _latency_metrics() -> dict[str, str]:
    return {
        f"{name}_{what}_ms": doc
        for name, doc in LATENCIES.items()
        for what in (*PERCENTILES, "max", "mean")
    }


METRICS: Final[Mapping[str, str]] = MappingProxyType(
    {**_latency_metrics(), **_RATES, **COUNTS, **FAULTS, **_ENDS}
)
"""Every metric, with what it means."""


def compute(measured: Measurements, figures: Mapping[str, float]) -> dict[str, float | None]:
    """Every metric with its value, None if it was not measured; ``figures`` are those that nobody counted."""
    metrics: dict[str, float | None] = dict.fromkeys(METRICS)
    for name, latencies in measured.latencies.items():
        metrics |= _latencies(name, latencies)
    metrics |= {name: measured.counts[name] for name in COUNTS}
    metrics |= {name: measured.faults[name] for name in FAULTS}
    metrics["errors"] = measured.errors.total()
    metrics.update(figures)
    return metrics


def _latencies(name: str, latencies: Latencies) -> dict[str, float | None]:
    values = {each: latencies.percentile_ms(percent) for each, percent in PERCENTILES.items()}
    values |= {"max": latencies.maximum_ms, "mean": latencies.mean_ms}
    return {f"{name}_{each}_ms": None if value is None else round(value, 3) for each, value in values.items()}
