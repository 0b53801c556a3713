"""Calls an open collection, for all modules of this package: measured, within `Access`, limited in time, with translated
exceptions."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from pymilvus import MilvusClient

from ml_api.deadline import Deadline
from ml_api.metrics.store import StoreMetrics
from ml_api.vectors.base import MAX_WINDOW
from ml_api.vectors.filters import Field, Filter
from ml_api.vectors.milvus import messages
from ml_api.vectors.milvus.access import Access, PageQuery
from ml_api.vectors.milvus.embedded.flushing import DELETED_BYTES
from ml_api.vectors.milvus.failures import cut_off_at, translated
from ml_api.vectors.milvus.schema import ENTRY_FIELDS, ID_CHARS, Row

NO_IMAGE = "0" * ID_CHARS


def among(ids: Sequence[str]) -> str:
    """The expression for ids, which were checked to be hex: pymilvus's own `ids=` does not escape them."""
    return f"id in {json.dumps(list(ids))}"


@dataclass(frozen=True, slots=True)
class OpenCollection:
    """An open collection. Every call of pymilvus after opening is made within `reading`, `searching` or `writing`, which yield its
    timeout in seconds.

    They raise StoreUnavailable, and DeadlineExceeded if the caller's deadline has passed.
    """

    client: MilvusClient
    collection: str
    model_id: str
    dim: int
    fields: tuple[Field, ...]
    """Metadata fields that have columns."""
    access: Access
    metrics: StoreMetrics
    timeout_s: float
    write_timeout_s: float

    @contextmanager
    def reading(self, operation: str, deadline: Deadline | None = None) -> Iterator[float]:
        patience_s = self._patience_s(deadline)
        with self._call(operation, self.access.reading(patience_s), patience_s, deadline):
            yield self._patience_s(deadline)

    @contextmanager
    def searching(self, operation: str, deadline: Deadline | None = None) -> Iterator[float]:
        patience_s = self._patience_s(deadline)
        with self._call(operation, self.access.searching(patience_s), patience_s, deadline):
            yield self._patience_s(deadline)

    @contextmanager
    def writing(self, operation: str, rows: int = 0, size: int = 0) -> Iterator[float]:
        with self._call(operation, self.access.writing(rows, size), self.write_timeout_s):
            yield self.write_timeout_s

    def upsert(self, rows: Sequence[Row], size: int) -> None:
        """Upsert rows with distinct ids; `size` is how many bytes they take."""
        with self.writing("upsert", len(rows), size) as timeout_s:
            if (here := self.access.rows) is not None:
                here.upsert(self.collection, rows)
            else:
                message = messages.upsert_message(self.collection, rows, self.dim, self.fields)
                messages.upsert(self.client, message, timeout_s)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete the rows with these ids, distinct and checked to be hex."""
        with self.writing("delete", len(ids), DELETED_BYTES * len(ids)) as timeout_s:
            if (here := self.access.rows) is not None:
                here.delete(self.collection, ids)
            else:
                self.client.delete(self.collection, filter=among(ids), timeout=timeout_s)

    def reach(self, operation: str) -> None:
        """Call Milvus through the connection, also where the rows are in this process: Milvus Lite then looks at none of them, for
        which it would wait for files that are being merged."""
        if self.access.rows is None:
            self.query_none(operation, "Session")
        else:
            with self.reading(operation) as timeout_s:
                self.client.has_collection(self.collection, timeout=timeout_s)

    def query_none(self, operation: str, consistency: str) -> None:
        """Query an image that cannot exist, on a server."""
        with self.reading(operation) as timeout_s:
            what = {"filter": among([NO_IMAGE]), "output_fields": ["id"], "consistency_level": consistency}
            self.client.query(self.collection, timeout=timeout_s, **what)

    def of_ids(self, operation: str, ids: Sequence[str], fields: list[str], deadline: Deadline | None) -> list[Row]:
        """The rows with these ids, which were checked to be hex; in no order."""
        with self.reading(operation, deadline) as timeout_s:
            if (here := self.access.rows) is not None:
                return here.of_ids(self.collection, ids, fields)
            what = {"filter": among(ids), "output_fields": fields, "consistency_level": "Session"}
            return list(self.client.query(self.collection, timeout=timeout_s, **what))

    def of_digests(self, digests: Sequence[str], deadline: Deadline | None) -> list[Row]:
        """Return rows, at most MAX_WINDOW, whose files have one of these digests, which were checked to be hex; in no order."""
        with self.searching("of_digests", deadline) as timeout_s:
            if (here := self.access.rows) is not None:
                return here.of_digests(self.collection, digests, ENTRY_FIELDS)
            return list(
                self.client.query(
                    self.collection,
                    filter=f"digest in {json.dumps(list(digests))}",
                    limit=MAX_WINDOW,
                    output_fields=ENTRY_FIELDS,
                    consistency_level="Session",
                    timeout=timeout_s,
                )
            )

    def count(self, deadline: Deadline | None, consistency: str, wanted: Filter | None = None, conditions: str = "") -> int:
        """Count the rows, or those that fulfil `wanted`; `conditions` is the same filter as a server's expression."""
        with (self.reading if wanted is None else self.searching)("count", deadline) as timeout_s:
            if (here := self.access.rows) is not None:
                return here.count(self.collection, wanted)
            counted = {"output_fields": ["count(*)"], "consistency_level": consistency}
            [row] = self.client.query(self.collection, filter=conditions, timeout=timeout_s, **counted)
        return int(row["count(*)"])

    def page(self, operation: str, after: str, asked: PageQuery, deadline: Deadline | None = None) -> list[Row]:
        """Return the rows of the page with the smallest ids above `after`, which was checked to be hex or is "", in the order of
        ids.

        pymilvus's iterator is not used, as it makes a call without a timeout.
        """
        with self.searching(operation, deadline) as timeout_s:
            if (here := self.access.rows) is not None:
                return here.page(self.collection, after, asked)
            rows = self.client.query(
                self.collection,
                filter=f'id > "{after}"{asked.conditions}',
                limit=asked.limit,
                output_fields=asked.fields,
                consistency_level=asked.consistency,
                # The parameters for "smallest ids first" of newer servers and of 2.3.
                iterator="True",
                reduce_stop_for_best="True",
                timeout=timeout_s,
            )
        return sorted(rows, key=lambda row: str(row["id"]))

    def see_deletes(self) -> None:
        """Wait until deletions are visible on the server.

        On a busy server 2.3.5 a Session read after a delete still returned the rows, 13 times of 60; after one Strong read it never
        did. Upserts are visible at once.
        """
        self.query_none("settle", "Strong")

    def flush(self) -> None:
        """Flush the rows in this process, if they are here. Only Access calls it, which ensures that nobody writes meanwhile."""
        timeout_s = self.write_timeout_s
        with self.metrics.call(self.access.backend, "flush"), translated("flush", timeout_s):
            if (here := self.access.rows) is not None:
                here.flush(self.collection)

    @contextmanager
    def _call(
        self, operation: str, turn: AbstractContextManager[None], timeout_s: float, deadline: Deadline | None = None
    ) -> Iterator[None]:
        measured = self.metrics.call(self.access.backend, operation)
        with measured, cut_off_at(deadline), turn, translated(operation, timeout_s):
            yield

    def _patience_s(self, deadline: Deadline | None) -> float:
        return self.timeout_s if deadline is None else min(self.timeout_s, deadline.left_s())
