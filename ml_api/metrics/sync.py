"""Metrics of syncs. A sync may run in a process of its own, so they are kept in a file, which the service serves with its metrics.

Each sync continues from the values in the file and rewrites it, as counters must never fall. The format is Prometheus', so node
exporter's textfile collector could read the file, too.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from prometheus_client import Metric, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from ml_api.metrics.catalogue import Catalogue
from ml_api.vocabulary import ReasonCode, SyncOutcome, SyncStage

_log = logging.getLogger(__name__)


class SyncMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.registry = catalogue.registry
        self.items = catalogue.counter(
            "ml_api_sync_items", "Files that syncs have processed, by outcome.", {"outcome": tuple(SyncOutcome)}
        )
        self.failures = catalogue.counter(
            "ml_api_sync_failures", "Files that syncs could not index, by reason code.", {"reason": tuple(ReasonCode)}
        )
        self.stage_duration = catalogue.gauge(
            "ml_api_sync_stage_duration_seconds",
            "Time that the last sync spent in one stage, summed over its threads; stages overlap.",
            {"stage": tuple(SyncStage)},
        )
        self.backlog = catalogue.gauge("ml_api_sync_backlog", "Files that the last sync had to process and did not.")
        self.last_success = catalogue.gauge(
            "ml_api_sync_last_success_timestamp_seconds", "Time of the last successful sync; 0 if there was none."
        )

    def begin(self) -> None:
        """Reset the times of the stages for a new sync."""
        for stage in SyncStage:
            self.stage_duration.labels(stage).set(0)

    @contextmanager
    def stage(self, name: SyncStage) -> Iterator[None]:
        """Add the time until the context ends to a stage. Thread-safe."""
        started = perf_counter()
        try:
            yield
        finally:
            self.stage_duration.labels(name).inc(perf_counter() - started)

    def succeeded(self) -> None:
        self.backlog.set(0)
        self.last_success.set(time.time())

    def restore(self, path: Path) -> None:
        """Continue from the values that the last sync saved."""
        for family in SyncFile(path).collect():
            for sample in family.samples:
                match sample.name:
                    case "ml_api_sync_items_total" if sample.labels.get("outcome") in tuple(SyncOutcome):
                        self.items.labels(sample.labels["outcome"]).inc(sample.value)
                    case "ml_api_sync_failures_total" if sample.labels.get("reason") in tuple(ReasonCode):
                        self.failures.labels(sample.labels["reason"]).inc(sample.value)
                    case "ml_api_sync_last_success_timestamp_seconds":
                        self.last_success.set(sample.value)
                    case "ml_api_sync_backlog":
                        self.backlog.set(sample.value)

    def save(self, path: Path) -> None:
        """Write the file atomically. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), self.registry)


class SyncFile(Collector):
    """Collects the metrics that the last sync saved; none if no sync has run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        try:
            return list(text_string_to_metric_families(self._path.read_text()))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as exc:
            _log.warning("the metrics of syncs in %s cannot be read: %s", self._path, exc)
            return []
