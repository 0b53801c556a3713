"""The contract that decides when Milvus may be called, and how its rows are reached: a server's at any time through pymilvus,
Milvus Lite's within this process, by the rules of `embedded.EmbeddedAccess`."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from ml_api.errors import StoreUnavailable
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import Filter
from ml_api.vectors.milvus.index import VectorIndex
from ml_api.vectors.milvus.schema import Row


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which rows a page has, and which of their fields."""

    fields: list[str]
    limit: int
    until: str = ""
    """The largest id, which was checked to be hex; "" is no bound."""
    wanted: Filter | None = None
    """The filter of the rows, for rows in this process; None for all rows."""
    also: str = ""
    """The same filter as a server's expression; "" for all rows."""
    consistency: Literal["Strong", "Session"] = "Strong"

    @property
    def conditions(self) -> str:
        """The expression for a server that follows a condition on the lower bound."""
        return (f' and id <= "{self.until}"' if self.until else "") + (f" and ({self.also})" if self.also else "")


class Rows(Protocol):
    """The rows of collections in this process. Each call is made within `Access.reading`, `searching` or `writing`."""

    def ranked(self, collection: str, vectors: Vectors, options: SearchOptions, index: VectorIndex) -> list[list[Hit]]:
        """Return for each vector the part of its ranking that `options` select, best first: by the index, or by comparison with all
        rows, or with all that fulfil the filter."""
        ...

    def count(self, collection: str, wanted: Filter | None) -> int:
        """Count the rows, or those that fulfil `wanted`."""
        ...

    def page(self, collection: str, after: str, asked: PageQuery) -> list[Row]:
        """Return the rows of the page with the smallest ids above `after`, in the order of ids."""
        ...

    def of_ids(self, collection: str, ids: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """Return the rows with these ids, in no order."""
        ...

    def of_digests(self, collection: str, digests: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """Return the rows whose files have one of these digests, in no order."""
        ...

    def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        """Insert or replace rows. Raises MilvusException."""
        ...

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete rows. Raises MilvusException."""
        ...

    def flush(self, collection: str) -> None:
        """Move the rows in memory to a file; nobody may write meanwhile. Raises MilvusException."""
        ...


class Access(Protocol):
    """Each call of the store is made within `reading`, `searching` or `writing`, which raise StoreUnavailable if it is not
    allowed."""

    backend: str

    def open(self) -> str:
        """Take the locks that are needed, and return the URI to connect to."""
        ...

    def repair(self) -> bool:
        """Remove files that a crash may have left half written, before the store is attached. Returns False if there were none."""
        ...

    def attach(self, flush: Callable[[], None]) -> None:
        """Register an open collection by the function that flushes it."""
        ...

    def detach(self, flush: Callable[[], None]) -> None:
        """Unregister a collection that is no longer used, or is about to be dropped."""
        ...

    def reading(self, timeout_s: float) -> AbstractContextManager[None]:
        """A context for reads. It waits at most `timeout_s` to begin."""
        ...

    def searching(self, timeout_s: float) -> AbstractContextManager[None]:
        """As `reading`, for reads that unflushed rows slow down."""
        ...

    @property
    def rows(self) -> Rows | None:
        """The rows in this process; None if they are on a server. Get it within each call, as it raises StoreUnavailable after
        `close`."""
        ...

    def writing(self, rows: int, size: int) -> AbstractContextManager[None]:
        """A context for a write of this number of rows and bytes."""
        ...

    def flush(self) -> None:
        """Flush all attached collections."""
        ...

    def check(self) -> None:
        """Raise StoreUnavailable if the store cannot be used."""
        ...

    def tend(self, load: Callable[[], None]) -> None:
        """For a health check: flush rows that wait and slow searches down; or after a failed write read everything from disk again,
        as a restart would, for which `load` loads the collections.

        Raises StoreUnavailable while that fails, or nothing can be written.
        """
        ...

    def close(self, disconnect: Callable[[], None]) -> None:
        """Release the locks. Calls `disconnect` when no call is running any more."""
        ...


class ServerAccess:
    """Access to a server: calls may be made at any time, but only by the process that connected, as gRPC does not survive a fork.

    It never flushes: a server's log is durable, it builds indexes by itself, and a segment that is sealed early stays small and
    slow.
    """

    backend = "milvus"
    rows = None

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._process = os.getpid()

    def open(self) -> str:
        self._process = os.getpid()
        return self._uri

    def repair(self) -> bool:
        return False

    def attach(self, flush: Callable[[], None]) -> None:
        """Nothing to flush."""

    def detach(self, flush: Callable[[], None]) -> None:
        """Nothing to flush."""

    @contextmanager
    def reading(self, timeout_s: float) -> Iterator[None]:  # noqa: ARG002 - Access's signature
        self.check()
        yield

    def searching(self, timeout_s: float) -> AbstractContextManager[None]:
        return self.reading(timeout_s)

    def writing(self, rows: int, size: int) -> AbstractContextManager[None]:  # noqa: ARG002 - Access's signature
        return self.reading(0)

    def flush(self) -> None:
        self.check()

    def check(self) -> None:
        check_process(self._process)

    def tend(self, load: Callable[[], None]) -> None:
        """The server does so by itself."""

    def close(self, disconnect: Callable[[], None]) -> None:
        if os.getpid() == self._process:
            disconnect()


def check_process(owner: int) -> None:
    if os.getpid() != owner:
        raise StoreUnavailable(f"the vector store was opened by process {owner}; open it again in a process forked from that one")
