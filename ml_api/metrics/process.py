"""Metrics of the service's process (build, readiness, threads, log records) and of its decoding processes."""

import threading
from typing import Final

from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ml_api.metrics.catalogue import Catalogue

PARTS: Final = ("model", "store")
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
REFUSALS: Final = ("time", "memory", "crash", "busy")
ENDS: Final = ("stopped", "crashed", "lost", "renewed")


class ProcessMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        ProcessCollector(registry=catalogue.registry)
        PlatformCollector(registry=catalogue.registry)
        GCCollector(registry=catalogue.registry)
        self.ready = catalogue.gauge(
            "ml_api_ready", "1 if the part passed its last check, by `/readyz` or in the background, else 0.", {"part": PARTS}
        )
        self.threads = catalogue.gauge("ml_api_threads", "Python threads of the process.")
        self.threads.set_function(threading.active_count)
        self.log_records = catalogue.counter("ml_api_log_records", "Log records written.", {"level": LEVELS})
        self.build_info = catalogue.info("ml_api_build", "Version and commit of the running service.", ("version", "revision"))

    def describe_build(self, version: str, revision: str) -> None:
        self.build_info.info({"version": version, "revision": revision})

    def count_log(self, level: str) -> None:
        self.log_records.labels(level).inc()


class DecodingMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.memory = catalogue.gauge("ml_api_decoding_memory_bytes", "Memory reserved for images being decoded.")
        self.refused = catalogue.counter(
            "ml_api_decoding_refused",
            "Images that were not decoded: over the limit on time or memory, decoder crashed, or all processes busy.",
            {"reason": REFUSALS},
        )
        self.ended = catalogue.counter(
            "ml_api_decoding_processes_ended",
            "Decoding processes that were replaced: stopped at a limit, crashed on an image, lost for another reason, or renewed.",
            {"reason": ENDS},
        )
