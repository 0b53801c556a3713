"""Metrics of the model: its queue, its batches, and whether its vectors are valid."""

from enum import StrEnum
from typing import Final

from ml_api.metrics.catalogue import SECONDS, Catalogue
from ml_api.records import ModelInfo
from ml_api.vocabulary import MODALITIES

BATCH_SIZES: Final = tuple(2**power for power in range(9))
BATCH_SECONDS: Final = SECONDS[1:]
NORMS: Final = (0.5, 0.9, 0.99, 0.999, 1.001, 1.01, 1.1, 2)
"""Vectors are normalised: a norm that differs from 1 by more than 0.001 is an error."""


class InputOutcome(StrEnum):
    OK = "ok"
    ERROR = "error"
    OUT_OF_MEMORY = "oom"
    EXPIRED = "expired"
    """Its deadline passed before the model computed it."""


class EmbeddingMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        by_modality = {"modality": MODALITIES}
        self.queue_depth = catalogue.gauge("ml_api_embed_queue_depth", "Inputs waiting for the model.", by_modality)
        self.bulk_depth = catalogue.gauge(
            "ml_api_embed_bulk_depth", "Inputs of syncs and of changes that wait for the model, behind those of searches."
        )
        self.batch_size = catalogue.histogram(
            "ml_api_embed_batch_size", "Inputs per forward pass.", by_modality, buckets=BATCH_SIZES
        )
        self.batch_duration = catalogue.histogram(
            "ml_api_embed_batch_duration_seconds", "Time of a forward pass.", by_modality, buckets=BATCH_SECONDS
        )
        self.items = catalogue.counter(
            "ml_api_embed_items",
            "Inputs to the model, by outcome.",
            {"modality": MODALITIES, "outcome": tuple(InputOutcome)},
        )
        self.norm = catalogue.histogram(
            "ml_api_embedding_norm", "L2 norm of the vectors that the model returned; 1 for sound ones.", by_modality, buckets=NORMS
        )
        self.nonfinite = catalogue.counter(
            "ml_api_embedding_nonfinite", "Inputs for which the model returned NaN or infinity.", by_modality
        )
        self.text_cache_requests = catalogue.counter(
            "ml_api_text_cache_requests", "Search texts looked up in the cache of vectors, by result.", {"result": ("hit", "miss")}
        )
        self.model_info = catalogue.info(
            "ml_api_model", "The model that computes the vectors.", ("model", "revision", "dim", "device", "dtype", "text_model")
        )
        self.model_load_seconds = catalogue.gauge("ml_api_model_load_seconds", "Time to load the model.")

    def set_depth(self, lane: str, depth: int) -> None:
        """Record how many inputs wait in a lane: a modality, or `bulk`."""
        gauge = self.bulk_depth if lane == "bulk" else self.queue_depth.labels(lane)
        gauge.set(depth)

    def describe_model(self, model: ModelInfo, load_seconds: float) -> None:
        self.model_load_seconds.set(load_seconds)
        self.model_info.info(
            {
                "model": model.name,
                "revision": model.revision,
                "dim": str(model.dim),
                "device": model.device,
                "dtype": model.precision,
                "text_model": model.text_model,
            }
        )
