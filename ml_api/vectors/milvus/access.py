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
    wanted: Filter | None = None
    """What the rows fulfil, where this process holds them; None for all rows."""
    also: str = ""
    """Likewise, as a server's expression; empty for all rows."""
    consistency: Literal["Strong", "Session"] = "Strong"

    @property
    def conditions(self) -> str:
        """Behind a condition on the lower bound."""
        return (f' and id <= "{self.until}"' if self.until else "") + (f" and ({self.also})" if self.also else "")


class Rows(Protocol):
    """The rows of collections in this process. Each call is made within `Access.reading`, `searching` or `writing`."""

    def ranked(self, collection: str, vectors: Vectors, options: SearchOptions, index: VectorIndex) -> list[list[Hit]]:
        """For each vector what `options` name of its ranking, best first: by the index, or by comparison with all rows that fulfil
        a filter, or that there are."""
        ...

    def count(self, collection: str, wanted: Filter | None) -> int:
        """How many rows fulfil `wanted`, or how many there are."""
        ...

    def page(self, collection: str, after: str, asked: Page) -> list[Row]:
        """The rows with the smallest ids above `after`, in the order of ids."""
        ...

    def of_digests(self, collection: str, digests: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """The rows whose files have one of these digests, in no order."""
        ...

    def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        """Raises MilvusException."""
        ...

    def flush(self, collection: str) -> None:
        """Move those in memory to a file. For who is alone. Raises MilvusException."""
        ...


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

    @property
    def rows(self) -> Rows | None:
        """Where this process holds them; None where a server does. Asked again within each call, as it raises StoreUnavailable once
        they are closed."""
        ...

    def writing(self, rows: int, size: int) -> AbstractContextManager[None]:
        """A write of so many rows and bytes."""
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

    def recover(self, load: Callable[[], None]) -> None:
        """The server does so by itself."""

    def close(self, disconnect: Callable[[], None]) -> None:
        if os.getpid() == self._process:
            disconnect()


def check_process(owner: int) -> None:
    if os.getpid() != owner:
        raise StoreUnavailable(f"the vector store was opened by process {owner}; open it again in a process forked from that one")
