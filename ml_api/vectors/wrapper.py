"""Base class of stores that wrap another store (`coalescing`, `texts.upkeep`) and override some of its methods."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from ml_api.deadline import Deadline
from ml_api.records import Entry, Hit, ImageRecord, Vectors
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vectors.filters import Filter


class StoreWrapper:
    """A VectorStore that forwards all calls to `inner`, which it owns."""

    def __init__(self, inner: VectorStore) -> None:
        self._inner = inner

    @property
    def backend(self) -> str:
        return self._inner.backend

    def ensure(self, model_id: str, dim: int) -> None:
        self._inner.ensure(model_id, dim)

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        self._inner.upsert(records, vectors)

    def exclusive(self, deadline: Deadline | None = None) -> AbstractContextManager[None]:
        return self._inner.exclusive(deadline)

    def delete(self, ids: Sequence[str]) -> None:
        self._inner.delete(ids)

    def search(self, vectors: Vectors, options: SearchOptions, deadline: Deadline | None = None) -> list[list[Hit]]:
        return self._inner.search(vectors, options, deadline)

    def compares_all(self, options: SearchOptions) -> bool:
        return self._inner.compares_all(options)

    def get(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, ImageRecord]:
        return self._inner.get(ids, deadline)

    def vectors(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, npt.NDArray[np.float32]]:
        return self._inner.vectors(ids, deadline)

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        return self._inner.entries(after, until)

    def page(self, after: str, limit: int, deadline: Deadline | None = None, *, filter: Filter | None = None) -> list[Entry]:  # noqa: A002 - VectorStore's signature
        return self._inner.page(after, limit, deadline, filter=filter)

    def of_digests(self, digests: Sequence[str], deadline: Deadline | None = None) -> list[Entry]:
        return self._inner.of_digests(digests, deadline)

    def scan(self, after: str = "") -> Iterator[tuple[list[ImageRecord], Vectors]]:
        return self._inner.scan(after)

    def count(self, deadline: Deadline | None = None, *, filter: Filter | None = None) -> int:  # noqa: A002 - VectorStore's signature
        return self._inner.count(deadline, filter=filter)

    def source(self) -> str:
        return self._inner.source()

    def set_source(self, location: str) -> None:
        self._inner.set_source(location)

    def flush(self) -> None:
        self._inner.flush()

    def ping(self) -> None:
        self._inner.ping()

    def close(self) -> None:
        self._inner.close()
