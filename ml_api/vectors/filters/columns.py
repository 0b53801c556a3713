"""Stores declared metadata fields (ML_API_FILTER_FIELDS) in columns of a Milvus server, so that a filter on them need not read the
JSON of every image's metadata.

A field may have values of any type, but a column has one type and, on servers before 2.6, a value in every row. So each field has
two columns: one for numbers, one for texts and flags, which are told apart by a prefix. The value for "absent" fulfils no
condition. Objects stay in the metadata, and so do lists, of which the text column tells only that there is one. An expression on
columns means the same as on metadata (`predicate`).
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import nextafter
from typing import Any, Final

from ml_api.vectors.filters.predicate import at, scalar
from ml_api.vectors.filters.tree import Field, Scalar

NO_NUMBER: Final = -sys.float_info.max
"""The value of the number column without a number. It is not minus infinity, which newer servers refuse."""
NO_TEXT: Final = ""
FIRST_TEXT: Final = "t"
"""The prefix of texts, which is also the first of them in order: that of the empty text."""
AFTER_TEXTS: Final = "u"
"""A text that follows all texts with that prefix."""
FLAG: Final = "b"
"""The prefix of flags."""
LIST: Final = "l"
"""The value of the text column for a list."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The two columns of one field."""

    field: Field

    @property
    def number(self) -> str:
        return f"number_{self._name}"

    @property
    def text(self) -> str:
        return f"text_{self._name}"

    @property
    def _name(self) -> str:
        """A hash of the field's name, which may be any text, while a column's name may not."""
        return hashlib.sha256(self.field.name.encode()).hexdigest()[:12]

    def cells(self, metadata: Mapping[str, Any]) -> dict[str, float | str]:
        """The values of the two columns for an image."""
        stored = at(metadata, self.field.path)
        value = scalar(stored)
        if value is None:
            return {self.number: NO_NUMBER, self.text: LIST if isinstance(stored, list) else NO_TEXT}
        if value.kind != "number":
            return {self.number: NO_NUMBER, self.text: marked(value)}
        # Clamping cannot be noticed: expressions for a server have numbers below 2^53 only.
        return {self.number: max(float(value.value), nextafter(NO_NUMBER, 0)), self.text: NO_TEXT}


def columns_of(fields: Iterable[Field]) -> dict[Field, Columns]:
    return {field: Columns(field) for field in fields}


def marked(value: Scalar) -> str:
    """A text or a flag with its prefix, as in the column."""
    return f"{FIRST_TEXT}{value.value}" if value.kind == "text" else f"{FLAG}{int(bool(value.value))}"
