"""Metrics of searches: time of each stage, hits and scores."""

from typing import Final

from ml_api.metrics.catalogue import Catalogue
from ml_api.metrics.embedding import BATCH_SIZES
from ml_api.stages import Timed
from ml_api.vocabulary import MODALITIES, Operation, Stage

SIMILARITIES: Final = tuple(step / 20 for step in range(21))
HITS: Final = (0, 1, 2, 5, 10, 20, 50, 100)


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

    def took(self, search: Timed) -> None:
        """A search that has ended, however it did."""
        for stage, seconds in search.seconds.items():
            self.stage_duration.labels(search.operation, stage).observe(seconds)

    def found(self, modality: str, hits: int, best: float | None) -> None:
        """On a search's first page. `best` is the score of the nearest image, whether or not a threshold left it out."""
        self.hits_returned.labels(modality).observe(hits)
        if best is not None:
            self.top1_similarity.labels(modality).observe(best)
