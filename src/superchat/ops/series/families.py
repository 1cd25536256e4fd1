"""A metric family as a plain value, whatever format it is shown in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

from superchat.histogram import Distribution

Labels = tuple[str, ...]


@attrs.frozen
class Family:
    """One metric: its samples by the values of its labels.

    The name of a counter ends in `_total`. Values of labels come from closed or bounded sets.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: Labels = ()
    values: Iterable[tuple[Labels, float]] = ()
    distributions: Iterable[tuple[Labels, Distribution]] = ()


def counter(name: str, text: str, value: float) -> Family:
    """A sum since the server started."""
    return Family(name, "counter", text, (), [((), value)])


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Family:
    """Sums by the value of one label."""
    return Family(name, "counter", text, (label,), _by_label(values))


def gauge(name: str, text: str, value: float) -> Family:
    """How it is now."""
    return Family(name, "gauge", text, (), [((), value)])


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Family:
    """How it is now, by the value of one label."""
    return Family(name, "gauge", text, (label,), _by_label(values))


def histogram(name: str, text: str, distribution: Distribution) -> Family:
    """A distribution since the server started."""
    return Family(name, "histogram", text, (), (), [((), distribution)])


def histograms(name: str, text: str, label: str, distributions: Mapping[str, Distribution]) -> Family:
    """Distributions by the value of one label."""
    return Family(name, "histogram", text, (label,), (), [((key,), each) for key, each in distributions.items()])


def constant(name: str, text: str, **labels: str) -> Family:
    """Facts that are all label, beside the value 1."""
    return Family(name, "gauge", text, tuple(labels), [(tuple(labels.values()), 1)])


def _by_label(values: Mapping[str, float]) -> list[tuple[Labels, float]]:
    return [((key,), value) for key, value in values.items()]
