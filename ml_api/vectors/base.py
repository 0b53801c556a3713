"""The contract of a vector store, which one test suite checks on every implementation (`tests/contracts/`)."""

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

MetricType = Literal["COSINE", "IP", "L2"]

MAX_WINDOW = 16_384
"""Largest `offset + limit` of a search; Milvus's limit, which every store enforces so that they are interchangeable."""

MAX_KEY_BYTES = 4096
"""Longest key, in bytes of UTF-8: the longest path of a file on Linux."""

MAX_METADATA_BYTES = 65_536
"""Largest metadata of an image, in bytes of JSON; Milvus's limit."""


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """The search parameter of an index that trades time for recall."""

    setting: str
    """Its field in Settings."""
    parameter: str
    """Its name in Milvus."""
    tried: tuple[int, ...]
    """The values that `evaluate` measures."""


_CLUSTERS: Final = SearchParameter("ivf_nprobe", "nprobe", (1, 2, 4, 8, 16, 32, 64, 128))
SEARCH_PARAMETERS: Final[Mapping[str, SearchParameter]] = {
    "HNSW": SearchParameter("hnsw_ef", "ef", (10, 16, 32, 64, 128, 256, 512)),
    **dict.fromkeys(("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN"), _CLUSTERS),
    "DISKANN": SearchParameter("diskann_search_list", "search_list", (16, 32, 64, 128, 256, 512)),
}
"""The search parameter of each index type. FLAT, which is exact, has none."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Which hits a search returns: the `limit` nearest after the `offset` best.

    Searches with equal options may share a call of the store. Raises ValueError if `limit` or `effort` is below 1, or the window
    beyond MAX_WINDOW.
    """

    limit: int
    offset: int = 0
    exact: bool = False
    """Compare the query with every vector instead of using the index: to measure the index, and where no neighbour may be missed.
    Takes time in proportion to the collection."""
    effort: int | None = None
    """The value of the index's SearchParameter, instead of the configured one. Exact stores and indexes ignore it."""
    filter: Filter | None = None
    """Only images that fulfil it are hits; None for all images."""
    gives_way: bool = False
    """Background work: it raises Overloaded in place of comparing the vectors of a server beside a search of a client. In an
    embedded store it does not count as a search, and flushes nothing."""

    def __post_init__(self) -> None:
        if self.effort is not None and self.effort < 1:
            raise ValueError(f"effort {self.effort}: is at least 1")
        if self.limit < 1 or self.offset < 0 or self.window > MAX_WINDOW:
            raise ValueError(
                f"limit {self.limit} and offset {self.offset}: limit is at least 1, and offset + limit at most {MAX_WINDOW}"
            )

    @property
    def window(self) -> int:
        """How many of the nearest have to be ranked: `offset` + `limit`."""
        return self.offset + self.limit


@dataclass(frozen=True, slots=True)
class Generation:
    """All vectors of the corpus by one model."""

    name: str
    model_id: str
    dim: int
    replaced: str = ""
    """The name of the generation that was in use before it; "" if there was none."""
    setting: str = ""
    """The value of ML_API_MODEL that names its model; "" if unknown."""
    fields: tuple[Field, ...] = ()
    """Metadata fields that have columns of their own in it."""


def no_image(image_id: str) -> NotFound:
    """The error for an id that no stored image has."""
    return NotFound(f"no image has the id {image_id}")


class Generations(Protocol):
    """The generations of vectors of one corpus, one for each model. One of them is in use: a store opens that one.

    Stores that are open already keep theirs, so that a process never compares the vectors of two models. Every method raises
    StoreUnavailable as a VectorStore does.
    """

    def current(self) -> Generation: ...

    def others(self) -> list[Generation]:
        """The generations that are not in use, by name."""
        ...

    def switch(self, to: Generation) -> None:
        """Put `to` into use, atomically."""
        ...

    def note_setting(self, generation: Generation, setting: str) -> None:
        """Store the value of ML_API_MODEL that names a generation's model."""
        ...

    def drop(self, generation: Generation) -> None:
        """Delete a generation that no store has open. Raises ConfigError for the one in use."""
        ...


class VectorStore(Protocol):
    """Records with their vectors, by the ids of `records.image_id`.

    Every method may be called from any thread, is bounded by the store's timeout, and raises StoreUnavailable when the store does
    not answer. A method with a `deadline` waits no longer than that either, and raises DeadlineExceeded when it has passed. Reads
    see the caller's own earlier writes. Ids that are not 32 hex digits raise ValueError, so that no text of a client reaches a
    query language.
    """

    @property
    def backend(self) -> str:
        """The name of the implementation, for people and metrics: `memory`, `milvus-lite` or `milvus`."""
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
        """A lock within this process for callers that read records and then write them changed, such as edits.

        Raises DeadlineExceeded. Writes by callers without this lock are not held up.
        """
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Delete images; ids that are not stored are ignored."""
        ...

    def search(self, vectors: Vectors, options: SearchOptions, deadline: Deadline | None = None) -> list[list[Hit]]:
        """Return the records nearest to each row of `vectors` (n, dim), best first: the part of the ranking that `options` select.

        A score is the cosine similarity (COSINE), the inner product (IP) or the negative squared distance (L2).
        """
        ...

    def compares_all(self, options: SearchOptions) -> bool:
        """Whether a search with these options is exact: it compares its vector with every one that may be a hit."""
        ...

    def get(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, ImageRecord]:
        """Return the stored records by id; ids that are not stored are absent."""
        ...

    def vectors(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, npt.NDArray[np.float32]]:
        """Return the stored vectors (dim,) by id; ids that are not stored are absent."""
        ...

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        """Yield the stored images with ids above `after` and up to `until` ("" is no bound), in the order of ids, page by page.

        An image that is stored throughout appears exactly once; one that is added or deleted meanwhile may appear or not.
        """
        ...

    def page(self, after: str, limit: int, deadline: Deadline | None = None, *, filter: Filter | None = None) -> list[Entry]:  # noqa: A002 - the word for it
        """Return the `limit` (1 to MAX_WINDOW) images with the smallest ids above `after` that fulfil `filter`, in the order of
        ids; fewer only at the end."""
        ...

    def of_digests(self, digests: Sequence[str], deadline: Deadline | None = None) -> list[Entry]:
        """Return the stored images whose files have one of these digests (64 hex digits, else ValueError), in the order of ids.

        MAX_WINDOW of them at most. Takes time in proportion to the collection, however few there are.
        """
        ...

    def scan(self, after: str = "") -> Iterator[tuple[list[ImageRecord], Vectors]]:
        """Yield every record whose id follows `after` with its vector, in the order of ids, in batches.

        Records written meanwhile may or may not appear; none appears twice.
        """
        ...

    def count(self, deadline: Deadline | None = None, *, filter: Filter | None = None) -> int:  # noqa: A002 - the word for it
        """Count the images, or those that fulfil `filter`. Takes time in proportion to the collection if the store cannot express
        the whole filter."""
        ...

    def source(self) -> str:
        """Return the location of the corpus of these images, as the last sync set it; "" if none did."""
        ...

    def set_source(self, location: str) -> None:
        """Store the location of the corpus with the vectors, for every process that opens them."""
        ...

    def flush(self) -> None:
        """Make written rows quick to search. Never needed for correctness: stores do it themselves, by size, and earlier while
        there are searches."""
        ...

    def ping(self) -> None:
        """Raise StoreUnavailable if the store cannot answer a search now. It does not count as a search for `flush`, as health
        checks come even if nobody searches."""
        ...

    def close(self) -> None:
        """Release everything. Safe to call twice."""
        ...
