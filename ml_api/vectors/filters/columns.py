"""Declared fields as columns of a Milvus server, so that it need not read the JSON of every image's metadata.

A field may hold anything, and a column has one type and, on servers before 2.6, a value in every row. So each field has two:
numbers stand in one, texts and flags, marked, in the other, and what marks their absence fulfils no condition. Lists and objects
stay in the metadata. An expression means on columns what it means on metadata (`predicate`).
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
"""Newer servers refuse infinity."""
NO_TEXT: Final = ""
FIRST_TEXT: Final = "t"
"""Marks texts, and so is the first of them, ..."""
AFTER_TEXTS: Final = "u"
"""... and this follows them all."""
FLAG: Final = "b"


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
        """Field names are any text, and names of columns are not."""
        return hashlib.sha256(self.field.name.encode()).hexdigest()[:12]

    def cells(self, metadata: Mapping[str, Any]) -> dict[str, float | str]:
        value = scalar(at(metadata, self.field.path))
        if value is None:
            return {self.number: NO_NUMBER, self.text: NO_TEXT}
        if value.kind != "number":
            return {self.number: NO_NUMBER, self.text: marked(value)}
        # No condition that a server is asked tells the two apart: those have numbers below 2^53.
        return {self.number: max(float(value.value), nextafter(NO_NUMBER, 0)), self.text: NO_TEXT}


def columns_of(fields: Iterable[Field]) -> dict[Field, Columns]:
    return {field: Columns(field) for field in fields}


def marked(value: Scalar) -> str:
    """A text or a flag as its column has it."""
    return f"{FIRST_TEXT}{value.value}" if value.kind == "text" else f"{FLAG}{int(bool(value.value))}"
