"""Metrics of the vector store: every call, and periodic counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from time import perf_counter
from typing import get_args

from ml_api.errors import DeadlineExceeded, StoreFailure, StoreUnavailable
from ml_api.metrics.catalogue import Catalogue


class CallOutcome(StrEnum):
    OK = "ok"
    ERROR = "error"
    DEADLINE = "deadline"


class StoreMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.duration = catalogue.histogram(
            "ml_api_store_duration_seconds",
            "Time of one call of the vector store; `deadline` is a call that was cut off at its request's deadline.",
            {"backend": (), "operation": (), "outcome": tuple(CallOutcome)},
        )
        self.errors = catalogue.counter(
            "ml_api_store_errors",
            "Failed calls of the vector store, by reason.",
            {"backend": (), "operation": (), "reason": get_args(StoreFailure)},
        )
        self.entities = catalogue.gauge(
            "ml_api_store_entities", "Images in the collection, counted in the background.", {"collection": ()}
        )
        self.up = catalogue.gauge(
            "ml_api_store_up", "1 if the last count of the collection, in the background, succeeded, else 0.", {"collection": ()}
        )

    @contextmanager
    def call(self, backend: str, operation: str) -> Iterator[None]:
        """Time one call of a vector store, whether it succeeds or raises."""
        started, outcome = perf_counter(), CallOutcome.OK
        try:
            yield
        except DeadlineExceeded:
            outcome = CallOutcome.DEADLINE
            raise
        except BaseException as exc:
            outcome = CallOutcome.ERROR
            reason = exc.reason if isinstance(exc, StoreUnavailable) else "failed"
            self.errors.labels(backend, operation, reason).inc()
            raise
        finally:
            self.duration.labels(backend, operation, outcome).observe(perf_counter() - started)
