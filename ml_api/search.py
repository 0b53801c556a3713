"""From a query to hits: prepare, embed, find. Knows neither HTTP nor which model or store does the work."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from PIL import Image

from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedder, Prepared
from ml_api.errors import NotFound
from ml_api.metrics import Metrics
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import VectorStore

Operation = Literal["text", "image", "similar"]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the ranking is wanted."""

    limit: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class SearchResult:
    """`stages_s` says how long each stage took, in seconds. `more` tells whether the ranking goes on after this page.

    `batch_size` is how many inputs went through the model together; 0 if it was not needed.
    """

    operation: Operation
    hits: list[Hit]
    more: bool
    truncated: bool
    batch_size: int
    stages_s: Mapping[str, float]


@dataclass(slots=True)
class _Watch:
    """What is found out about a search on its way."""

    operation: Operation
    stages_s: dict[str, float] = field(default_factory=dict)
    batch_size: int = 0
    truncated: bool = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.stages_s[name] = perf_counter() - started


class Searcher:
    def __init__(self, embedder: Embedder, store: VectorStore, metrics: Metrics) -> None:
        self._embedder = embedder
        self._store = store
        self._metrics = metrics

    def by_text(self, text: str, page: Page, deadline: Deadline) -> SearchResult:
        """Raises InvalidQuery, Overloaded, Unavailable, DeadlineExceeded."""
        watch = _Watch("text")
        with watch.stage("prepare"):
            prepared = self._embedder.prepare_text(text)
        return self._nearest(prepared, page, deadline, watch)

    def by_image(self, image: Image.Image, page: Page, deadline: Deadline) -> SearchResult:
        """`image` is RGB, from `images.decode`. Raises as `by_text` does."""
        watch = _Watch("image")
        with watch.stage("prepare"):
            prepared = self._embedder.prepare_image(image)
        return self._nearest(prepared, page, deadline, watch)

    def similar(self, image_id: str, page: Page, deadline: Deadline) -> SearchResult:
        """More like a stored image, itself left out. Raises NotFound, and as `by_text` does."""
        watch = _Watch("similar")
        with watch.stage("search"):
            vector = self._store.vectors([image_id], deadline).get(image_id)
            if vector is None:
                raise NotFound(f"no image has the id {image_id}")
            [ranked] = self._store.search(vector[None, :], page.offset + page.limit + 2, deadline=deadline)
        others = [hit for hit in ranked if hit.record.id != image_id][page.offset :]
        return self._finish(others, page, watch)

    def _nearest(self, prepared: Prepared, page: Page, deadline: Deadline, watch: _Watch) -> SearchResult:
        embedded = self._embedder.embed_one(prepared, deadline.left_s())
        watch.stages_s |= {"queue": embedded.queue_s, "embed": embedded.embed_s}
        watch.batch_size, watch.truncated = embedded.batch_size, prepared.truncated
        query: Vectors = embedded.vector[None, :]
        with watch.stage("search"):
            [ranked] = self._store.search(query, page.limit + 1, page.offset, deadline)
        return self._finish(ranked, page, watch)

    def _finish(self, ranked: list[Hit], page: Page, watch: _Watch) -> SearchResult:
        for stage, seconds in watch.stages_s.items():
            self._metrics.search.stage_duration.labels(watch.operation, stage).observe(seconds)
        hits = ranked[: page.limit]
        if page.offset == 0:  # a page after the last hit is empty however good the search was
            self._metrics.search.found("text" if watch.operation == "text" else "image", [hit.score for hit in hits])
        return SearchResult(watch.operation, hits, len(ranked) > page.limit, watch.truncated, watch.batch_size, watch.stages_s)
