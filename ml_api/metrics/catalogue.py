"""Declares metrics on a registry, each once, with its help and the values that its labels can have; `metrics_table` prints them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

Labels = Mapping[str, Sequence[str]]
"""The names of labels, with the values that each can have; () if these depend on the installation."""

M = TypeVar("M", Counter, Gauge)

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Buckets for parts of a request."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Documentation of one metric. `name` is the name in queries: counters end in `_total`, infos in `_info`."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: Labels

    def row(self) -> str:
        """The metric as a row of a Markdown table."""
        labels = (f"`{label}`" + (f" ({', '.join(values)})" if values else "") for label, values in self.labels.items())
        return f"| `{self.name}` | {self.kind} | {', '.join(labels)} | {self.help} |"


class Catalogue:
    """Declares metrics on a registry, and collects their definitions.

    Counters and gauges whose label values are all known exist from the start, at 0: a rate over a series that does not exist yet
    has no value, and an alert on it would stay silent.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.definitions: list[Definition] = []

    def counter(self, name: str, help_: str, labels: Labels | None = None) -> Counter:
        """Declare a counter. `name` is without the `_total` that the exposition adds."""
        labels = labels or {}
        self.definitions.append(Definition(f"{name}_total", "counter", help_, labels))
        return _started(Counter(name, help_, list(labels), registry=self.registry), labels)

    def gauge(self, name: str, help_: str, labels: Labels | None = None) -> Gauge:
        labels = labels or {}
        self.definitions.append(Definition(name, "gauge", help_, labels))
        return _started(Gauge(name, help_, list(labels), registry=self.registry), labels)

    def histogram(self, name: str, help_: str, labels: Labels | None = None, *, buckets: Sequence[float] = SECONDS) -> Histogram:
        labels = labels or {}
        self.definitions.append(Definition(name, "histogram", help_, labels))
        return Histogram(name, help_, list(labels), buckets=buckets, registry=self.registry)

    def info(self, name: str, help_: str, labels: Sequence[str]) -> Info:
        """Declare an info. `name` is without the `_info` that the exposition adds."""
        self.definitions.append(Definition(f"{name}_info", "info", help_, dict.fromkeys(labels, ())))
        return Info(name, help_, registry=self.registry)

    def collected(self, name: str, help_: str, labels: Labels) -> Definition:
        """Declare a gauge that a collector of the caller's reads at each scrape."""
        self.definitions.append(Definition(name, "gauge", help_, labels))
        return self.definitions[-1]


def _started(metric: M, labels: Labels) -> M:
    if labels and all(labels.values()):
        for values in product(*labels.values()):
            metric.labels(*values)
    return metric
