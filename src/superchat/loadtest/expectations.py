"""Thresholds: ``delivery_p99_ms<200``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from superchat.loadtest.metrics import METRICS

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}
)
_PATTERN: Final = re.compile(r"\s*(\w+)\s*(<=|>=|==|<|>)\s*(\d+(?:\.\d*)?|\.\d+)\s*")


@attrs.frozen
class Expectation:
    """What a metric is expected to be."""

    metric: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.limit:g}"

    def is_met(self, metrics: Mapping[str, float | None]) -> bool:
        """Whether it is so; what was not measured meets nothing."""
        value = metrics[self.metric]
        return value is not None and _OPERATORS[self.comparison](value, self.limit)


def read(text: str) -> Expectation:
    """Understand an expectation. Raises ValueError, which names all metrics if that one is unknown."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(f"not METRIC, one of < <= > >= ==, and a number: {text!r}")
    metric, comparison, limit = found.groups()
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; there are: {', '.join(METRICS)}")
    return Expectation(metric, comparison, float(limit))
