"""Decoding in processes of their own: what they hold, what was refused there, how often they are replaced."""

from typing import Final

from ml_api.metrics.catalogue import Catalogue

REFUSALS: Final = ("time", "memory", "crash", "busy")
ENDS: Final = ("stopped", "crashed", "lost", "renewed")


class DecodingMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.memory = catalogue.gauge("ml_api_decoding_memory_bytes", "Memory that images being decoded now may take.")
        self.refused = catalogue.counter(
            "ml_api_decoding_refused",
            "Images that were not decoded, as they took too much time or memory, made their decoder crash, or all were busy.",
            {"reason": REFUSALS},
        )
        self.ended = catalogue.counter(
            "ml_api_decoding_processes_ended",
            "Decoding processes that were replaced: stopped over an image, crashed, lost for no fault of an image's, or renewed.",
            {"reason": ENDS},
        )
