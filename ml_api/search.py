"""From a query to hits: prepare, embed, find. Knows neither HTTP nor which model or store does the work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from PIL import Image

from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedded, Embedder, Prepared
from ml_api.errors import MlApiError, NotFound
from ml_api.metrics import Metrics
from ml_api.metrics.search import SearchMetrics
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import VectorStore

Operation = Literal["text", "image", "similar"]
Modality = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the ranking is wanted."""

    limit: int
    offset: int = 0


@dataclass(slots=True)
class Stages:
    """How long each stage of one search took, in seconds, also of one that fails; told to the metrics as they end."""

    operation: Operation
    metrics: SearchMetrics
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.took(name, perf_counter() - started)

    def took(self, name: str, seconds: float) -> None:
        self.seconds[name] = seconds
        self.metrics.stage_duration.labels(self.operation, name).observe(seconds)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """`more` tells whether the ranking goes on after this page.

    `batch_size` is how many inputs went through the model together; 0 if it was not needed.
    """

    hits: list[Hit]
    more: bool
    truncated: bool = False
    batch_size: int = 0


class Searcher:
    def __init__(self, embedder: Embedder, store: VectorStore, metrics: Metrics) -> None:
        self._embedder = embedder
        self._store = store
        self._metrics = metrics.search

    def stages(self, operation: Operation) -> Stages:
        """To be handed to one search, which fills it."""
        return Stages(operation, self._metrics)

    def by_text(self, text: str, page: Page, deadline: Deadline, stages: Stages) -> SearchResult:
        """Raises InvalidQuery, Overloaded, Unavailable, DeadlineExceeded."""
        with stages.stage("prepare"):
            prepared = self._embedder.prepare_text(text)
        return self._nearest("text", prepared, page, deadline, stages)

    def by_image(self, image: Image.Image, page: Page, deadline: Deadline, stages: Stages) -> SearchResult:
        """`image` is RGB, from `images.decode`. Raises as `by_text` does."""
        with stages.stage("prepare"):
            prepared = self._embedder.prepare_image(image)
        return self._nearest("image", prepared, page, deadline, stages)

    def similar(self, image_id: str, page: Page, deadline: Deadline, stages: Stages) -> SearchResult:
        """More like a stored image, itself left out. Raises NotFound, and as `by_text` does."""
        with stages.stage("search"):
            vector = self._store.vectors([image_id], deadline).get(image_id)
            if vector is None:
                raise NotFound(f"no image has the id {image_id}")
            [ranked] = self._store.search(vector[None, :], page.offset + page.limit + 2, deadline=deadline)
        others = [hit for hit in ranked if hit.record.id != image_id][page.offset :]
        return SearchResult(self._shown("image", others, page), len(others) > page.limit)

    def _nearest(self, modality: Modality, prepared: Prepared, page: Page, deadline: Deadline, stages: Stages) -> SearchResult:
        embedded = self._embedded(prepared, deadline, stages)
        query: Vectors = embedded.vector[None, :]
        with stages.stage("search"):
            [ranked] = self._store.search(query, page.limit + 1, page.offset, deadline)
        hits = self._shown(modality, ranked, page)
        return SearchResult(hits, len(ranked) > page.limit, prepared.truncated, embedded.batch_size)

    def _embedded(self, prepared: Prepared, deadline: Deadline, stages: Stages) -> Embedded:
        started = perf_counter()
        try:
            embedded = self._embedder.embed_one(prepared, deadline.left_s())
        except MlApiError:
            stages.took("queue", perf_counter() - started)  # no pass with it came to its end, so all of it was waiting
            raise
        stages.took("queue", embedded.queue_s)
        stages.took("embed", embedded.embed_s)
        return embedded

    def _shown(self, modality: Modality, ranked: list[Hit], page: Page) -> list[Hit]:
        hits = ranked[: page.limit]
        if page.offset == 0:  # a page after the last hit is empty however good the search was
            self._metrics.found(modality, [hit.score for hit in hits])
        return hits
