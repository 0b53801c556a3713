"""The contract of a vector store, kept by every implementation and checked by one suite (`tests/contracts/`)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ml_api.deadline import Deadline
from ml_api.errors import NotFound
from ml_api.records import Entry, Hit, ImageRecord, Vectors
from ml_api.vectors.filters import Field, Filter

Metric = Literal["COSINE", "IP", "L2"]

MAX_WINDOW = 16_384
"""Largest `offset + limit` of a search; Milvus's own bound, held by every store so that they stay interchangeable."""

MAX_KEY_BYTES = 4096
"""Longest key, in bytes of UTF-8: the longest path of a file on Linux."""

MAX_METADATA_BYTES = 65_536
"""Largest metadata of an image, in bytes of JSON; Milvus's own bound."""


@dataclass(frozen=True, slots=True)
class Effort:
    """The search parameter of an index that trades time for recall."""

    setting: str
    """Its field in Settings."""
    parameter: str
    """Its name in Milvus."""
    tried: tuple[int, ...]
    """Values that tell how much of it an index needs."""


_CLUSTERS: Final = Effort("ivf_nprobe", "nprobe", (1, 2, 4, 8, 16, 32, 64, 128))
EFFORTS: Final[Mapping[str, Effort]] = {
    "HNSW": Effort("hnsw_ef", "ef", (10, 16, 32, 64, 128, 256, 512)),
    **dict.fromkeys(("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN"), _CLUSTERS),
    "DISKANN": Effort("diskann_search_list", "search_list", (16, 32, 64, 128, 256, 512)),
}
"""By index type. FLAT, which is exact, has none."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search asks for beside its vector: the `limit` nearest, skipping the `offset` best.

    Searches with equal options may share a call of the store. Raises ValueError if they ask for nothing, or past MAX_WINDOW.
    """

    limit: int
    offset: int = 0
    exact: bool = False
    """Compare the query with every vector, whatever the index: for judging the index, and where no neighbour may be missed.
    Takes time in proportion to the collection."""
    effort: int | None = None
    """In place of the configured one, the value of the index's `Effort`. Stores and indexes that are exact have none."""
    filter: Filter | None = None
    """Only images that fulfil it; None is no condition."""
    gives_way: bool = False
    """Background work: raise Overloaded rather than compare every vector beside a search that somebody waits for."""

    def __post_init__(self) -> None:
        if self.effort is not None and self.effort < 1:
            raise ValueError(f"effort {self.effort}: is at least 1")
        if self.limit < 1 or self.offset < 0 or self.window > MAX_WINDOW:
            raise ValueError(
                f"limit {self.limit} and offset {self.offset}: limit is at least 1, and offset + limit at most {MAX_WINDOW}"
            )

    @property
    def window(self) -> int:
        """How many of the nearest must be found."""
        return self.offset + self.limit


@dataclass(frozen=True, slots=True)
class Generation:
    """All vectors of the corpus by one model."""

    name: str
    model_id: str
    dim: int
    replaced: str = ""
    """The name of the one that was in use before it, if any was."""
    setting: str = ""
    """The value of ML_API_MODEL that finds its model, where that is known."""
    fields: tuple[Field, ...] = ()
    """Fields of the metadata that have columns of their own in it."""


def no_image(image_id: str) -> NotFound:
    """The error of an id that no stored image has."""
    return NotFound(f"no image has the id {image_id}")


class Generations(Protocol):
    """The vectors of one corpus by several models, of which one generation is in use: who opens the store gets that one.

    Stores that are open go on with theirs, so that a process never compares the vectors of two models. Every method raises
    StoreUnavailable as a VectorStore does.
    """

    def current(self) -> Generation: ...

    def others(self) -> list[Generation]:
        """In the order of their names."""
        ...

    def switch(self, to: Generation) -> None:
        """Use `to` from now on, in one step."""
        ...

    def note_setting(self, generation: Generation, setting: str) -> None:
        """Remember how its model is found."""
        ...

    def drop(self, generation: Generation) -> None:
        """Remove its vectors; no store may have it open. Raises ConfigError for the one in use."""
        ...


class VectorStore(Protocol):
    """Records with their vectors, under the ids of `records.image_id`.

    Every method may be called from any thread, is bounded by the store's timeout, and raises StoreUnavailable when the store does
    not answer. What takes a `deadline` waits no longer than that either, and raises DeadlineExceeded when it has passed. Reads see
    the caller's own earlier writes. Ids that are not 32 hex digits are a ValueError: no text of a client's
    ever reaches a query language.
    """

    @property
    def backend(self) -> str:
        """What keeps the vectors, for people and metrics: `memory`, `milvus-lite` or `milvus`."""
        ...

    def ensure(self, model_id: str, dim: int) -> None:
        """Open the collection for this model, creating it if there is none.

        Raises ConfigError if it holds vectors of another model or dimension: they cannot be compared. Call before anything else.
        """
        ...

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        """Insert or replace, by id. `vectors` has shape (len(records), dim), is L2-normalised and must be finite (ValueError).

        Raises InvalidInput, before anything is written, for a key over MAX_KEY_BYTES and for metadata that are not JSON or over
        MAX_METADATA_BYTES. Of several records with one id the last counts. Durable against the death of the process when it
        returns; after StoreUnavailable part of it may be written, and the same call again completes it.
        """
        ...

    def exclusive(self, deadline: Deadline | None = None) -> AbstractContextManager[None]:
        """Held by who writes records that depend on those it has read, such as an edit: one at a time in this process.

        Raises DeadlineExceeded. Writes that are made without are not kept out.
        """
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove; ids that are not stored are ignored."""
        ...

    def search(self, vectors: Vectors, options: SearchOptions, deadline: Deadline | None = None) -> list[list[Hit]]:
        """The records nearest to each row of `vectors` (n, dim), best first: the part of the ranking that `options` name.

        A score is the cosine similarity (COSINE), the inner product (IP) or the negative squared distance (L2).
        """
        ...

    def compares_all(self, options: SearchOptions) -> bool:
        """Whether a search with these options compares its vector with every one that it may find, and so misses none."""
        ...

    def get(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, ImageRecord]:
        """The stored records by id; ids that are not stored are absent."""
        ...

    def vectors(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, npt.NDArray[np.float32]]:
        """The stored vectors (dim,) by id; ids that are not stored are absent."""
        ...

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        """The stored images with ids above `after` and up to `until` ("" is no bound), in the order of ids, page by page.

        An image that is stored all the while appears exactly once; one that comes or goes meanwhile may appear or not.
        """
        ...

    def page(self, after: str, limit: int, deadline: Deadline | None = None, *, filter: Filter | None = None) -> list[Entry]:  # noqa: A002 - the word for it
        """The `limit` (1 to MAX_WINDOW) images with the smallest ids above `after`, of those that fulfil `filter`, in the order of
        ids; fewer only at the end."""
        ...

    def of_digests(self, digests: Sequence[str], deadline: Deadline | None = None) -> list[Entry]:
        """The stored images whose files have one of these digests (64 hex digits each, else ValueError), in the order of ids.

        MAX_WINDOW of them at most. Takes time in proportion to the collection, however few there are.
        """
        ...

    def scan(self, after: str = "") -> Iterator[tuple[list[ImageRecord], Vectors]]:
        """Every record with its vector, in the order of ids, in batches; only those whose id follows `after`.

        What is written meanwhile may or may not appear; nothing appears twice.
        """
        ...

    def count(self, deadline: Deadline | None = None, *, filter: Filter | None = None) -> int:  # noqa: A002 - the word for it
        """How many images there are; with `filter`, of those that fulfil it. Takes time in proportion to the collection where
        the store cannot say the whole of a filter."""
        ...

    def source(self) -> str:
        """The location of the corpus whose images these are, as the last sync left it; empty if none did."""
        ...

    def set_source(self, location: str) -> None:
        """Keep it with the vectors, for every process that opens them."""
        ...

    def flush(self) -> None:
        """Make what was written quick to search. Never needed for correctness; stores do so themselves, by size, and sooner while
        searches come."""
        ...

    def ping(self) -> None:
        """Raise StoreUnavailable if the store cannot answer a search now. It counts as none (`flush`): health checks come
        whether or not anybody searches."""
        ...

    def close(self) -> None:
        """Release everything. Safe to call twice."""
        ...
