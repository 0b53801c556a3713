"""Metrics of searches: time of each stage, hits, scores, and recall."""

from enum import StrEnum
from typing import Final

from ml_api.metrics.catalogue import Catalogue
from ml_api.metrics.embedding import BATCH_SIZES
from ml_api.stages import Timed
from ml_api.vocabulary import MODALITIES, Operation, Stage, TextLookup

SIMILARITIES: Final = (*(step / 50 for step in range(25)), *(step / 20 for step in range(10, 21)))
"""Bucket edges, dense where scores of texts against images lie: the alert on drift compares shares of searches between them."""
HITS: Final = (0, 1, 2, 5, 10, 20, 50, 100)
RECALLS: Final = (0, 0.5, 0.7, 0.8, 0.9, 1)


class Repeated(StrEnum):
    """The outcome of a live search that was chosen to be repeated exactly."""

    COMPARED = "compared"
    CHANGED = "changed"
    """Images it may find were indexed meanwhile, so a difference would not be the index's."""
    DROPPED = "dropped"
    """The service was busy, or too many searches waited to be repeated."""
    FAILED = "failed"
    """The store failed, or the pass over the collection took too long."""


class SearchMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.stage_duration = catalogue.histogram(
            "ml_api_stage_duration_seconds",
            "Time of one stage of a search.",
            {"operation": tuple(Operation), "stage": tuple(Stage)},
        )
        self.batch_size = catalogue.histogram(
            "ml_api_search_batch_size", "Searches that shared one call of the vector store.", buckets=BATCH_SIZES[:7]
        )
        self.top1_similarity = catalogue.histogram(
            "ml_api_top1_similarity",
            "Score of the best hit on the first page of a search, by modality of the query.",
            {"modality": MODALITIES},
            buckets=SIMILARITIES,
        )
        self.hits_returned = catalogue.histogram(
            "ml_api_hits_returned",
            "Hits on the first page of a search, by modality of the query.",
            {"modality": MODALITIES},
            buckets=HITS,
        )
        self.text_lookups = catalogue.counter(
            "ml_api_text_lookups",
            "Searches whose words were looked up in names and metadata, by what came of it.",
            {"outcome": tuple(TextLookup)},
        )
        self.text_behind = catalogue.gauge(
            "ml_api_texts_behind_images",
            "Images whose words are not found yet, or are found though they are gone from the vector store.",
        )
        self.recall = catalogue.histogram(
            "ml_api_online_recall",
            "Share of the 10 nearest images that a live search found, by an exact repetition in the background.",
            buckets=RECALLS,
        )
        self.repeats = catalogue.counter(
            "ml_api_online_recall_searches",
            "Live searches that were to be repeated exactly, by what became of it.",
            {"outcome": tuple(Repeated)},
        )

    def observe_stages(self, search: Timed) -> None:
        """Record the stages of a search that has succeeded or failed."""
        for stage, seconds in search.seconds.items():
            self.stage_duration.labels(search.operation, stage).observe(seconds)

    def observe_first_page(self, modality: str, hits: int, best: float | None) -> None:
        """Record a search's first page: its number of hits, and the score of the nearest image, even if a threshold left it out."""
        self.hits_returned.labels(modality).observe(hits)
        if best is not None:
            self.top1_similarity.labels(modality).observe(best)

    def recalled(self, share: float) -> None:
        """Record the recall of a search that was repeated exactly."""
        self.recall.observe(share)
        self.repeated(Repeated.COMPARED)

    def repeated(self, outcome: Repeated, searches: int = 1) -> None:
        """Count searches that were chosen to be repeated, by outcome."""
        self.repeats.labels(outcome).inc(searches)
