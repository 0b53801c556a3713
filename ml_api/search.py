"""From a query to hits: prepare, embed, find. Knows neither HTTP nor which model or store does the work."""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from ml_api import stages
from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedder, Prepared, Preprocessor
from ml_api.errors import MlApiError, NotFound
from ml_api.images import RgbPixels
from ml_api.metrics import Metrics
from ml_api.records import Hit
from ml_api.stages import stage
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vocabulary import Modality, Stage


@dataclass(frozen=True, slots=True)
class TextTerm:
    """Images that show what `text` describes."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class ImageTerm:
    """Images that look like this one: what the preprocessor's `fit` made of it, from a `Decoder`.

    Two are equal if they are the same: pixels are not compared.
    """

    pixels: RgbPixels


@dataclass(frozen=True, slots=True)
class StoredTerm:
    """Images that look like a stored one, which is left out."""

    image_id: str


Term = TextTerm | ImageTerm | StoredTerm


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted. Hashable, as everything in it is."""

    term: Term
    options: SearchOptions


@dataclass(frozen=True, slots=True)
class SearchResult:
    """`more` tells whether the ranking goes on after this page.

    `batch_size` is how many inputs went through the model together; 0 if it was not needed.
    """

    hits: list[Hit]
    more: bool
    truncated: bool = False
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class _Point:
    """Where a term lies among the vectors. `vector` has shape (dim,)."""

    vector: npt.NDArray[np.float32]
    modality: Modality
    truncated: bool = False
    batch_size: int = 0
    itself: str = ""
    """The id of the stored image that it is."""


class Searcher:
    def __init__(self, preprocessor: Preprocessor, embedder: Embedder, store: VectorStore, metrics: Metrics) -> None:
        self._preprocessor = preprocessor
        self._embedder = embedder
        self._store = store
        self._metrics = metrics.search

    def search(self, query: Query, deadline: Deadline) -> SearchResult:
        """Raises InvalidQuery, NotFound, Overloaded, Unavailable, DeadlineExceeded."""
        options, point = query.options, self._point(query.term, deadline)
        with stage(Stage.SEARCH):
            ranked = self._ranked(point, options, deadline)
        hits = ranked[: options.limit]
        if options.offset == 0:  # a page after the last hit is empty however good the search was
            self._metrics.found(point.modality, [hit.score for hit in hits])
        return SearchResult(hits, len(ranked) > options.limit, point.truncated, point.batch_size)

    def _point(self, term: Term, deadline: Deadline) -> _Point:
        match term:
            case TextTerm(text):
                with stage(Stage.PREPARE):
                    prepared = self._preprocessor.prepare_text(text)
                return self._embedded(prepared, deadline)
            case ImageTerm(pixels):
                with stage(Stage.PREPARE):
                    prepared = self._preprocessor.prepare_image(pixels)
                return self._embedded(prepared, deadline)
            case StoredTerm(image_id):
                with stage(Stage.SEARCH):
                    vector = self._store.vectors([image_id], deadline).get(image_id)
                if vector is None:
                    raise NotFound(f"no image has the id {image_id}")
                return _Point(vector, "image", itself=image_id)

    def _embedded(self, prepared: Prepared, deadline: Deadline) -> _Point:
        started = perf_counter()
        try:
            embedded = self._embedder.embed_one(prepared, deadline.left_s())
        except MlApiError:
            stages.took(Stage.QUEUE, perf_counter() - started)  # no pass with it came to its end, so all of it was waiting
            raise
        stages.took(Stage.QUEUE, embedded.queue_s)
        stages.took(Stage.EMBED, embedded.embed_s)
        return _Point(embedded.vector, prepared.modality, prepared.truncated, embedded.batch_size)

    def _ranked(self, point: _Point, options: SearchOptions, deadline: Deadline) -> list[Hit]:
        """The hits from `options.offset` on: one more than the limit, if there is one, to tell that the ranking goes on."""
        vectors = point.vector[None, :]
        if not point.itself:
            [ranked] = self._store.search(vectors, replace(options, limit=options.limit + 1), deadline)
            return ranked
        # Images of the same content may come before it, so its place is known only from the ranking as a whole.
        [ranked] = self._store.search(vectors, replace(options, limit=options.window + 2, offset=0), deadline)
        return [hit for hit in ranked if hit.record.id != point.itself][options.offset :]
