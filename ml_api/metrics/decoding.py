"""Metrics of the decoding processes: memory, refusals, replacements."""

from typing import Final

from ml_api.metrics.catalogue import Catalogue

REFUSALS: Final = ("time", "memory", "crash", "busy")
ENDS: Final = ("stopped", "crashed", "lost", "renewed")


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
