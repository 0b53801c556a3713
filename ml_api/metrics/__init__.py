"""Declares every Prometheus metric of the application, in one module for each area, with the help text that operators read.

Labels have a bounded number of values, whatever clients send: a route is labelled by its rule, never by raw paths, texts or ids.
"""

from prometheus_client import CollectorRegistry, disable_created_metrics

from ml_api.metrics.catalogue import Catalogue
from ml_api.metrics.changes import ChangeMetrics
from ml_api.metrics.embedding import EmbeddingMetrics
from ml_api.metrics.feedback import FeedbackMetrics
from ml_api.metrics.gpu import GpuMetrics
from ml_api.metrics.http import HttpMetrics
from ml_api.metrics.jobs import JobMetrics
from ml_api.metrics.process import DecodingMetrics, ProcessMetrics
from ml_api.metrics.search import SearchMetrics
from ml_api.metrics.store import StoreMetrics
from ml_api.metrics.sync import SyncMetrics


class Metrics:
    """All metrics. There is one instance in a process; each test makes its own, so that tests share nothing."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # They would add a series with a timestamp to every counter and histogram, which nothing uses.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or CollectorRegistry()
        catalogue, of_syncs = Catalogue(self.registry), Catalogue(CollectorRegistry())
        self.http = HttpMetrics(catalogue)
        self.search = SearchMetrics(catalogue)
        self.feedback = FeedbackMetrics(catalogue)
        self.decoding = DecodingMetrics(catalogue)
        self.embedding = EmbeddingMetrics(catalogue)
        self.store = StoreMetrics(catalogue)
        self.changes = ChangeMetrics(catalogue)
        self.jobs = JobMetrics(catalogue)
        self.process = ProcessMetrics(catalogue)
        self.gpu = GpuMetrics(catalogue)
        self.sync = SyncMetrics(of_syncs)
        self.definitions = tuple(catalogue.definitions + of_syncs.definitions)


def metrics_table() -> str:
    """Every metric as a row of a Markdown table: the one in docs/metrics.md."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    return "\n".join(rows + [definition.row() for definition in Metrics().definitions])
