"""Metrics of HTTP requests: number, duration, size, rejections."""

from enum import StrEnum
from typing import Final

from ml_api.metrics.catalogue import Catalogue

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30)
"""Bucket edges; those of the latency objectives are among them: 0.3 s, and 1 s without a GPU."""

SIZES: Final = tuple(1024 * 4**power for power in range(9))
"""Bucket edges from 1 KiB to 64 MiB."""


class Rejection(StrEnum):
    TOO_LARGE = "too_large"
    BAD_IMAGE = "bad_image"
    TOO_COSTLY = "too_costly"
    QUEUE_FULL = "queue_full"
    MEMORY_FULL = "memory_full"
    DECODING = "decoding"
    BUSY = "busy"
    DEADLINE = "deadline"
    AUTH = "auth"


STATES: Final = ("reading", "waiting", "working", "sending")


class HttpMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.request_duration = catalogue.histogram(
            "http_request_duration_seconds",
            "Time to answer a request. Exemplars are trace ids.",
            {"method": (), "route": (), "status": ()},
            buckets=DURATIONS,
        )
        self.requests = catalogue.gauge(
            "ml_api_requests",
            "Requests by state: reading the body, waiting for a thread, working, sending the answer.",
            {"state": STATES},
        )
        self.requests_limit = catalogue.gauge(
            "ml_api_requests_limit", "Largest number of requests waiting and working together; further ones are answered 503."
        )
        self.in_progress = catalogue.gauge("http_requests_in_progress", "Requests in progress.", {"route": ()})
        self.request_size = catalogue.histogram("http_request_size_bytes", "Size of request bodies.", {"route": ()}, buckets=SIZES)
        self.response_size = catalogue.histogram("http_response_size_bytes", "Size of answer bodies.", {"route": ()}, buckets=SIZES)
        self.rejected = catalogue.counter(
            "ml_api_rejected", "Requests rejected or abandoned, by reason.", {"reason": tuple(Rejection)}
        )
