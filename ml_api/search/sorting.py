"""Sorts the best hits of a ranking by a field, as shops list by price or by date. Used by `search.pages`.

Numbers come before texts, texts before true and false, and hits without a value last, in either direction; equal ones stay in the
order of the ranking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml_api.search.arrangement import Sort
from ml_api.search.query import ResultRow
from ml_api.vectors.filters import scalar, value_of

SORTED: Final = 500
"""How many of the best hits, or groups, are sorted; the ranking ends with them, as every image is somehow near and the cheapest of
all is no match. A cursor remembers as many: further hits could be told by their scores only, which do not order this ranking."""
KINDS: Final = ("number", "text", "flag")


def in_order(rows: Sequence[ResultRow], by: Sort) -> list[ResultRow]:
    """The rows in the order of their values; of a group the hit that leads it counts."""
    told: dict[str, list[_Told]] = {kind: [] for kind in KINDS}
    without: list[ResultRow] = []
    for row in rows:
        value = scalar(value_of(row.hit.record, by.field))
        if value is None:
            without.append(row)
        else:
            told[value.kind].append(_Told(value.value, row))
    return [*(one.row for kind in KINDS for one in sorted(told[kind], key=_value, reverse=by.descending)), *without]


@dataclass(frozen=True, slots=True)
class _Told:
    value: Any
    row: ResultRow


def _value(told: _Told) -> Any:
    return told.value
