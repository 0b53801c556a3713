"""The vectors of a query's terms: embedded, looked up, or as the client sent them. The searcher combines them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api import stages
from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedded, Embedder, Prepared, Preprocessor
from ml_api.errors import InvalidInput, InvalidQuery, MlApiError, NonFiniteVector, NotFound
from ml_api.search.query import ImageTerm, StoredTerm, Term, TextTerm, VectorTerm
from ml_api.stages import stage
from ml_api.vectors.base import VectorStore, no_image
from ml_api.vocabulary import Modality, Stage

OWN_FAULTS: Final = (InvalidInput, NotFound, NonFiniteVector)
"""Errors that concern one query and not those beside it."""


@dataclass(frozen=True, slots=True)
class TermVector:
    """The vector of a term, and how it was made."""

    vector: npt.NDArray[np.float32]
    """Shape (dim,), of length 1."""
    modality: Modality | None
    """None for a vector that was embedded elsewhere."""
    truncated: bool = False
    """Whether a text was longer than the model reads."""
    batch_size: int = 0
    """Number of inputs in its forward pass; 0 if it was cached, stored or given."""


class TermVectors:
    """Makes the vectors of terms. Thread-safe."""

    def __init__(self, preprocessor: Preprocessor, embedder: Embedder, store: VectorStore) -> None:
        self._preprocessor = preprocessor
        self._embedder = embedder
        self._store = store

    def of(self, terms: Iterable[Term], deadline: Deadline) -> Mapping[Term, TermVector | MlApiError]:
        """The vector of each term, or its error.

        Raises what concerns all terms: Overloaded, Unavailable, DeadlineExceeded.
        """
        term_vectors: dict[Term, TermVector | MlApiError] = {}
        to_embed: dict[Term, Prepared] = {}
        stored: list[StoredTerm] = []
        for term in terms:
            match term:
                case StoredTerm():
                    stored.append(term)
                case VectorTerm(numbers):
                    term_vectors[term] = self._given(numbers)
                case TextTerm() | ImageTerm():
                    try:
                        with stage(Stage.PREPARE):
                            to_embed[term] = self._prepared(term)
                    except MlApiError as exc:
                        term_vectors[term] = _own(exc)
        by_modality = dict(sorted(to_embed.items(), key=lambda item: item[1].modality))  # so that passes are full
        return term_vectors | self._looked_up(stored, deadline) | self._embedded(by_modality, deadline)

    def _prepared(self, term: TextTerm | ImageTerm) -> Prepared:
        if isinstance(term, TextTerm):
            return self._preprocessor.prepare_text(term.text)
        return self._preprocessor.prepare_image(term.pixels)

    def _given(self, numbers: Sequence[float]) -> TermVector | InvalidQuery:
        dim = self._embedder.model.dim
        if len(numbers) != dim:
            return InvalidQuery(f"has {len(numbers):,} numbers; the model's vectors have {dim:,}")
        vector = np.array(numbers, dtype=np.float64)
        if not vector.any():
            return InvalidQuery("has no direction: all its numbers are 0")
        vector /= np.abs(vector).max()  # the largest numbers cannot be squared
        return TermVector((vector / np.linalg.norm(vector)).astype(np.float32), None)

    def _looked_up(self, terms: Sequence[StoredTerm], deadline: Deadline) -> dict[Term, TermVector | MlApiError]:
        if not terms:
            return {}
        with stage(Stage.SEARCH):
            vectors = self._store.vectors([term.image_id for term in terms], deadline)
        return {
            term: TermVector(vectors[term.image_id], "image") if term.image_id in vectors else no_image(term.image_id)
            for term in terms
        }

    def _embedded(self, items: Mapping[Term, Prepared], deadline: Deadline) -> dict[Term, TermVector | MlApiError]:
        """Embed all items in one wait."""
        if not items:
            return {}
        started = perf_counter()
        try:
            answers = self._embedder.embed_all(items.values(), deadline.left_s())
        except MlApiError:
            stages.took(Stage.QUEUE, perf_counter() - started)  # no pass came to its end, so all of it was waiting
            raise
        done = [answer for answer in answers if isinstance(answer, Embedded)]
        # They waited side by side: the longest wait and the longest pass are the request's own.
        stages.took(Stage.QUEUE, max((one.queue_s for one in done), default=perf_counter() - started))
        if done:
            stages.took(Stage.EMBED, max(one.embed_s for one in done))
        return {term: _term_vector(items[term], answer) for term, answer in zip(items, answers, strict=True)}


def _own(error: MlApiError) -> MlApiError:
    """An error that concerns one query alone; any other is raised."""
    if not isinstance(error, OWN_FAULTS):
        raise error
    return error


def _term_vector(prepared: Prepared, embedded: Embedded | MlApiError) -> TermVector | MlApiError:
    if isinstance(embedded, MlApiError):
        return _own(embedded)
    return TermVector(embedded.vector, prepared.modality, prepared.truncated, embedded.batch_size)
