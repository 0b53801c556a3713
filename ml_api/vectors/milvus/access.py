"""When Milvus may be called: a server at any time, Milvus Lite by the rules of `embedded.EmbeddedAccess`."""

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
class Page:
    """What a page of rows has."""

    fields: list[str]
    limit: int
    until: str = ""
    """Ids are at most this, which was checked to be hex; "" is no bound."""
    also: str = ""
    """An expression that the rows fulfil, for a server; empty for all rows."""
    consistency: Literal["Strong", "Session"] = "Strong"

    @property
    def conditions(self) -> str:
        """Behind a condition on the lower bound."""
        return (f' and id <= "{self.until}"' if self.until else "") + (f" and ({self.also})" if self.also else "")


class Access(Protocol):
    """Each call of the store is made within `reading`, `searching` or `writing`, which raise StoreUnavailable if it must not be."""

    backend: str

    def open(self) -> str:
        """Lock what has to be locked, and return the URI to connect to."""
        ...

    def repair(self) -> bool:
        """Remove what a crash may have left half written, before the store is attached. False if there was nothing to remove."""
        ...

    def attach(self, flush: Callable[[], None]) -> None:
        """Called for each collection once it is open, with the function that flushes it."""
        ...

    def detach(self, flush: Callable[[], None]) -> None:
        """A collection that is used no more, or is to be dropped."""
        ...

    def reading(self, timeout_s: float) -> AbstractContextManager[None]:
        """`timeout_s` is how long to wait for other calls to end."""
        ...

    def searching(self, timeout_s: float) -> AbstractContextManager[None]:
        """As `reading`, where rows that are not flushed would slow the call down."""
        ...

    def ranked(self, collection: str, vectors: Vectors, options: SearchOptions, index: VectorIndex) -> list[list[Hit]] | None:
        """For each vector what `options` name of its ranking, best first, where this process holds the rows; else None.
        By the index, or by comparison with all rows that fulfil a filter, or that there are. Called within `reading` or
        `searching`."""
        ...

    def count(self, collection: str, wanted: Filter | None) -> int | None:
        """How many rows fulfil `wanted`, or how many there are, where this process holds them; else None. Called within
        `searching`; without a filter, within `reading`."""
        ...

    def page(self, collection: str, after: str, asked: Page, wanted: Filter | None = None) -> list[Row] | None:
        """The rows with the smallest ids above `after`, of those that fulfil `wanted`, in the order of ids, where this process has
        them; else None. Called within `searching`."""
        ...

    def writing(self, rows: int, size: int) -> AbstractContextManager[None]:
        """A write of so many rows and bytes."""
        ...

    def upsert(self, collection: str, rows: Sequence[Row]) -> bool:
        """Write the rows, where this process holds them; False where a server does. Called within `writing`. Raises
        MilvusException."""
        ...

    def to_file(self, collection: str) -> None:
        """Move the rows in memory to a file, where this process holds them. Called by the function that was attached. Raises
        MilvusException."""
        ...

    def flush(self) -> None: ...

    def check(self) -> None:
        """Raise StoreUnavailable if the store cannot be used."""
        ...

    def recover(self, load: Callable[[], None]) -> None:
        """After a write that failed: read everything from the disk again, as a restart would. `load` loads the collections.

        Raises StoreUnavailable while that fails, or nothing can be written.
        """
        ...

    def close(self, disconnect: Callable[[], None]) -> None:
        """Unlock. `disconnect` is called when no call is being made any more."""
        ...


class ServerAccess:
    """Calls may be made at any time, by the process that connected: gRPC does not survive a fork.

    It never flushes. A server's log is durable, it indexes by itself, and a segment sealed early stays small and slow.
    """

    backend = "milvus"

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

    def ranked(self, collection: str, vectors: Vectors, options: SearchOptions, index: VectorIndex) -> None:  # noqa: ARG002 - Access's signature
        """They are on the server."""
        return

    def count(self, collection: str, wanted: Filter | None) -> None:  # noqa: ARG002 - Access's signature
        """They are on the server."""
        return

    def page(self, collection: str, after: str, asked: Page, wanted: Filter | None = None) -> None:  # noqa: ARG002 - Access's signature
        """They are on the server."""
        return

    def writing(self, rows: int, size: int) -> AbstractContextManager[None]:  # noqa: ARG002 - Access's signature
        return self.reading(0)

    def upsert(self, collection: str, rows: Sequence[Row]) -> bool:  # noqa: ARG002 - Access's signature
        """They go to the server."""
        return False

    def to_file(self, collection: str) -> None:
        """The server does so by itself."""

    def flush(self) -> None:
        self.check()

    def check(self) -> None:
        check_process(self._process)

    def recover(self, load: Callable[[], None]) -> None:
        """The server does so by itself."""

    def close(self, disconnect: Callable[[], None]) -> None:
        if os.getpid() == self._process:
            disconnect()


def check_process(owner: int) -> None:
    if os.getpid() != owner:
        raise StoreUnavailable(f"the vector store was opened by process {owner}; open it again in a process forked from that one")
