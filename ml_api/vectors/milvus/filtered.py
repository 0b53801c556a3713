"""Compiles a filter for a Milvus server, and tests the rows that it returns where the expression is weaker than the filter.

A store with its rows in this process evaluates filters itself, and needs neither. Used by `indexed`, `exact` and `listing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from ml_api.records import Hit, ImageRecord
from ml_api.vectors.filters import Filter, holds
from ml_api.vectors.filters.columns import columns_of
from ml_api.vectors.filters.expression import expression
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.calls import OpenCollection

WIDER: Final = 4
"""Factor of the index's search parameter in searches with a filter, which only some of the candidates fulfil
(docs/decisions/0066-filters.md)."""


@dataclass(frozen=True, slots=True)
class ServerFilter:
    """The expression of a filter for a server, and the test that remains."""

    text: str = ""
    """The expression; "" for all rows."""
    left: Filter | None = None
    """The filter that rows have to be tested with; None if the expression is equivalent to it."""

    @classmethod
    def of(cls, wanted: Filter | None, opened: OpenCollection) -> Self:
        if wanted is None or opened.access.rows is not None:
            return cls()
        compiled = expression(wanted, columns_of(opened.fields))
        return cls(compiled.text, None if compiled.whole else wanted)

    @property
    def fields(self) -> list[str]:
        """The fields of rows that the test needs."""
        return [] if self.left is None else [field for field in schema.RECORD_FIELDS if field != "id"]

    def passes(self, row: schema.Row) -> bool:
        return self.left is None or self.lets(schema.record_of(row))

    def lets(self, record: ImageRecord) -> bool:
        return self.left is None or holds(self.left, record)

    def accepts(self, results: Sequence[Sequence[Hit]], limit: int) -> bool:
        """Whether the results of a search by the index are complete: each has `limit` hits, which all fulfil the filter.

        With fewer hits, either few rows fulfil the filter, which are quickly compared, or the index missed some.
        """
        return all(len(hits) == limit and all(self.lets(hit.record) for hit in hits) for hits in results)
