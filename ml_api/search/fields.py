"""Summarises the fields of the images' metadata, for `GET /v1/metadata` and for error messages: types, ranges, frequent values.

They are counted in a sample: the images with the smallest ids. Ids are hashes of keys, so the sample is random.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from time import monotonic
from typing import Any, Final

from ml_api.deadline import Deadline, held
from ml_api.records import ImageRecord
from ml_api.vectors.base import VectorStore
from ml_api.vectors.filters import leaves

SAMPLE: Final = 4096
"""Number of images in the sample."""
MAX_FIELDS: Final = 200
MAX_DISTINCT: Final = 1000
"""Distinct values of a field that are counted: the first ones."""
MAX_VALUE_CHARS: Final = 100
"""Longer texts are descriptions, and not counted as values."""
FREQUENT: Final = 20
"""Values of a field that `FieldSummary.frequent` returns."""
FRESH_S: Final = 15.0
"""How long an overview is cached: it follows syncs soon, and costs little."""


@dataclass(slots=True)
class FieldSummary:
    """Counts of the values of one field. The elements of lists count as values."""

    images: int = 0
    """How many images have the field."""
    types: Counter[str] = field(default_factory=Counter)
    values: Counter[tuple[str, Any]] = field(default_factory=Counter)
    """Keyed by type and value, as 1 and true are equal in Python."""
    complete: bool = True
    """Whether all values are counted."""
    least: float | None = None
    most: float | None = None

    def add(self, value: Any) -> None:
        self.images += 1
        self.types[_type_of(value)] += 1
        for element in value if isinstance(value, list) else [value]:
            self._count(element)

    def _count(self, value: Any) -> None:
        kind = _type_of(value)
        if kind == "number":
            self.least = value if self.least is None else min(self.least, value)
            self.most = value if self.most is None else max(self.most, value)
        if kind in {"list", "object"} or (kind == "text" and len(value) > MAX_VALUE_CHARS):
            self.complete = False
        elif (kind, value) in self.values or len(self.values) < MAX_DISTINCT:
            self.values[kind, value] += 1
        else:
            self.complete = False

    def frequent(self) -> list[tuple[Any, int]]:
        """The FREQUENT most frequent values with their counts; equally frequent ones in the order of their texts."""
        best = nsmallest(FREQUENT, self.values.items(), key=lambda counted: (-counted[1], str(counted[0][1])))
        return [(value, images) for (_, value), images in best]


@dataclass(frozen=True, slots=True)
class Overview:
    """The fields of the metadata in a sample of images."""

    over: int
    """Number of images in the sample."""
    whole: bool
    """Whether the sample has all images."""
    has_all_fields: bool
    """Whether no field of these images was left out."""
    fields: Mapping[str, FieldSummary]
    """Summaries by the fields' names in filters, the most frequent field first."""


class OverviewCache:
    """Caches the overview of one store. Thread-safe; only one thread at a time reads the store."""

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: tuple[float, Overview] | None = None

    def overview(self, deadline: Deadline) -> Overview:
        """Return an overview at most FRESH_S old, or an older one while another thread makes a new one.

        Raises StoreUnavailable, DeadlineExceeded.
        """
        known = self._known
        if known is not None and (monotonic() - known[0] < FRESH_S or self._lock.locked()):
            return known[1]
        with held(self._lock, deadline):
            if self._known is None or monotonic() - self._known[0] >= FRESH_S:
                self._known = monotonic(), self._summarised(deadline)
            return self._known[1]

    def _summarised(self, deadline: Deadline) -> Overview:
        entries = self._store.page("", SAMPLE + 1, deadline)
        ids = [entry.id for entry in entries[:SAMPLE]]
        return summarise(self._store.get(ids, deadline).values(), whole=len(entries) <= SAMPLE)


def summarise(records: Iterable[ImageRecord], *, whole: bool) -> Overview:
    fields: dict[str, FieldSummary] = {}
    over, has_all_fields = 0, True
    for record in records:
        over += 1
        for name, value in leaves(record.metadata):
            if name in fields or len(fields) < MAX_FIELDS:
                fields.setdefault(name, FieldSummary()).add(value)
            else:
                has_all_fields = False
    ordered = sorted(fields.items(), key=lambda named: (-named[1].images, named[0]))
    return Overview(over, whole, has_all_fields, dict(ordered))


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"
