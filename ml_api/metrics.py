"""Every metric of the application: name, labels and buckets, in one catalogue bound to one registry.

Labels are bounded whatever clients send: routes are labelled by their rule, never by raw paths, texts or ids.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ml_api.errors import DeadlineExceeded
from ml_api.records import ModelInfo

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
BATCH_SIZE_BUCKETS = tuple(2**power for power in range(9))


class Metrics:
    """The catalogue. One instance per process; tests make their own, so that nothing is shared between them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

        self.http_request_duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request, by route rule.",
            ["method", "route", "status"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.http_requests_in_progress = Gauge(
            "http_requests_in_progress", "Requests being handled now.", ["route"], registry=self.registry
        )
        self.rejected = Counter(
            "ml_api_rejected",
            "Requests that were refused or given up: too_large, bad_image, queue_full, deadline.",
            ["reason"],
            registry=self.registry,
        )
        self.stage_duration = Histogram(
            "ml_api_stage_duration_seconds",
            "Time a request spent in one stage: decode, prepare, queue, embed, search, serialize.",
            ["operation", "stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.embed_items = Counter(
            "ml_api_embed_items",
            "Inputs that went to the model: ok, error, oom, expired.",
            ["modality", "outcome"],
            registry=self.registry,
        )
        self.embed_batch_size = Histogram(
            "ml_api_embed_batch_size",
            "Inputs per forward pass.",
            ["modality"],
            buckets=BATCH_SIZE_BUCKETS,
            registry=self.registry,
        )
        self.embed_batch_duration = Histogram(
            "ml_api_embed_batch_duration_seconds",
            "Time of a forward pass.",
            ["modality"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.embed_queue_depth = Gauge(
            "ml_api_embed_queue_depth", "Inputs waiting for the model.", ["modality"], registry=self.registry
        )
        self.text_cache_requests = Counter(
            "ml_api_text_cache_requests",
            "Search texts whose vector was known or not: hit, miss.",
            ["result"],
            registry=self.registry,
        )
        self.store_duration = Histogram(
            "ml_api_store_duration_seconds",
            "Time of one call of the vector store, seen from here: ok, error, or deadline (the caller's time was up).",
            ["backend", "operation", "outcome"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.search_batch_size = Histogram(
            "ml_api_search_batch_size",
            "Searches that shared one call of the vector store.",
            buckets=BATCH_SIZE_BUCKETS[:7],
            registry=self.registry,
        )
        self.sync_items = Counter(
            "ml_api_sync_items",
            "Files a sync accounted for: added, replaced, moved, removed, unchanged, failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.model_info = Info("ml_api_model", "The model that makes the vectors.", registry=self.registry)
        self.model_load_seconds = Gauge("ml_api_model_load_seconds", "Time to load the model.", registry=self.registry)

    def describe_model(self, model: ModelInfo, load_seconds: float) -> None:
        self.model_load_seconds.set(load_seconds)
        self.model_info.info(
            {
                "model": model.name,
                "revision": model.revision,
                "dim": str(model.dim),
                "device": model.device,
                "dtype": model.precision,
            }
        )

    @contextmanager
    def store_call(self, backend: str, operation: str) -> Iterator[None]:
        """Time one call of a vector store, whether it succeeds or raises."""
        started, outcome = perf_counter(), "ok"
        try:
            yield
        except DeadlineExceeded:
            outcome = "deadline"
            raise
        except BaseException:
            outcome = "error"
            raise
        finally:
            self.store_duration.labels(backend, operation, outcome).observe(perf_counter() - started)
