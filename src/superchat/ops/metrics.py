"""The metrics in the formats that Prometheus reads; the only module that knows its library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from superchat.histogram import Distribution
from superchat.ops.series.families import Family


class _Families(Collector):
    """Hands plain families to the library when it asks."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._families())

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: names are not checked for duplicates, and nothing is read before it can be."""
        return iter(())


class Metrics:
    """A registry of its own, filled at each scrape from *families*."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Families(families))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The body and its content type, for what an Accept header asks for: OpenMetrics or the text format."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _metric(family: Family) -> Metric:
    if family.kind == "counter":
        counted = CounterMetricFamily(family.name.removesuffix("_total"), family.text, labels=family.labels)
        for labels, value in family.values:
            counted.add_metric(labels, value)
        return counted
    if family.kind == "gauge":
        gauge = GaugeMetricFamily(family.name, family.text, labels=family.labels)
        for labels, value in family.values:
            gauge.add_metric(labels, value)
        return gauge
    histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    for labels, distribution in family.distributions:
        histogram.add_metric(labels, _buckets(distribution), distribution.total)
    return histogram


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    bounds = (*map(floatToGoString, distribution.bounds), "+Inf")
    return list(zip(bounds, distribution.cumulative(), strict=True))
