"""Requests as clients see them: how many, how long, how large, and what was refused."""

from enum import StrEnum
from typing import Final

from ml_api.metrics.catalogue import Catalogue

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30)
"""An edge at every objective: 0.3 s, and 1 s where there is no GPU."""

SIZES: Final = tuple(1024 * 4**power for power in range(9))
"""1 KiB to 64 MiB."""


class Rejection(StrEnum):
    TOO_LARGE = "too_large"
    BAD_IMAGE = "bad_image"
    TOO_COSTLY = "too_costly"
    QUEUE_FULL = "queue_full"
    DEADLINE = "deadline"


STATES: Final = ("reading", "waiting", "working", "sending")


class HttpMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.request_duration = catalogue.histogram(
            "http_request_duration_seconds",
            "Time to answer a request, by the rule of its route. Its exemplars are trace ids.",
            {"method": (), "route": (), "status": ()},
            buckets=DURATIONS,
        )
        self.requests = catalogue.gauge(
            "ml_api_requests",
            "Requests by where they are: their body is being read, they wait for a thread, are worked on, or their answer is sent.",
            {"state": STATES},
        )
        self.requests_limit = catalogue.gauge(
            "ml_api_requests_limit", "Requests that may wait or be worked on, all together; more are refused with 503."
        )
        self.in_progress = catalogue.gauge("http_requests_in_progress", "Requests being handled now.", {"route": ()})
        self.request_size = catalogue.histogram(
            "http_request_size_bytes", "Size of the bodies that requests brought.", {"route": ()}, buckets=SIZES
        )
        self.response_size = catalogue.histogram(
            "http_response_size_bytes", "Size of the bodies of answers.", {"route": ()}, buckets=SIZES
        )
        self.rejected = catalogue.counter(
            "ml_api_rejected", "Requests that were refused or given up, and why.", {"reason": tuple(Rejection)}
        )
