"""What a Milvus server is asked in a filter's place, and the test of the rows that it sends.

Nothing of a store whose rows are in this process, which finds those that fulfil a filter itself.
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
"""How many times as far the index looks where a filter lets only some of what it meets through (docs/decisions/0066-filters.md)."""


@dataclass(frozen=True, slots=True)
class Asked:
    text: str = ""
    """The expression; empty for all rows."""
    left: Filter | None = None
    """What is still to be tested, if the expression is not the whole of the filter."""

    @classmethod
    def of(cls, wanted: Filter | None, opened: OpenCollection) -> Self:
        if wanted is None or opened.access.rows is not None:
            return cls()
        compiled = expression(wanted, columns_of(opened.fields))
        return cls(compiled.text, None if compiled.whole else wanted)

    @property
    def fields(self) -> list[str]:
        """The columns that the test needs."""
        return [] if self.left is None else [field for field in schema.RECORD_FIELDS if field != "id"]

    def passes(self, row: schema.Row) -> bool:
        return self.left is None or self.lets(schema.record_of(row))

    def lets(self, record: ImageRecord) -> bool:
        return self.left is None or holds(self.left, record)

    def accepts(self, found: Sequence[Sequence[Hit]], limit: int) -> bool:
        """Whether a search of the index can stand as it is: full, and of rows that fulfil the filter.

        A short answer may be short as few rows fulfil the filter, which are quickly compared; or as the index led past them.
        """
        return all(len(hits) == limit and all(self.lets(hit.record) for hit in hits) for hits in found)
