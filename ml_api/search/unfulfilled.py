"""Explains why nothing fulfils a filter: fields that no image has, and values that are compared with those of another kind.

A field that no image has is no error, as fields come and go with syncs (docs/decisions/0066-filters.md); an answer without hits
says of it what is likely to be wrong.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded, Unavailable
from ml_api.search.fields import FieldSummary, Overview
from ml_api.vectors.filters import All, Condition, Either, Filter, Negation
from ml_api.vectors.filters.tree import Kind
from ml_api.wording import legible

NEAREST: Final = 3
"""Names of fields that are suggested in place of one."""
_TYPES: Final[Mapping[Kind, str]] = {"text": "text", "number": "number", "flag": "boolean"}
"""Types of `FieldSummary` by the kinds of values in filters."""


def warnings_on(wanted: Filter, overview: Callable[[Deadline], Overview], deadline: Deadline) -> tuple[str, ...]:
    """As `warnings_of`; none where the fields cannot be looked at: an answer that stands does not fail for its hints."""
    try:
        return warnings_of(wanted, overview(deadline))
    except (Unavailable, DeadlineExceeded):
        return ()


def warnings_of(wanted: Filter, overview: Overview) -> tuple[str, ...]:
    """Return a warning for each field that is likely to be wrong in a filter that no image fulfils.

    What is said of a field that is to be absent, or of another value, is fulfilled by every image that lacks it, and is not wrong.
    """
    if not overview.over:
        return ()
    found: dict[str, str] = {}
    for condition in _conditions(wanted):
        name = condition.field.name
        if condition.field.built_in is None and name not in found:
            summary = overview.fields.get(name)
            warning = _other_kind(condition, summary) if summary else _unknown(name, overview)
            if warning:
                found[name] = f"filter: {legible(name)} {warning}"
    return tuple(found.values())


def _conditions(wanted: Filter, *, negated: bool = False) -> Iterator[Condition]:
    """The conditions that are to be true."""
    match wanted:
        case Condition():
            if not negated:
                yield wanted
        case All(parts) | Either(parts):
            for part in parts:
                yield from _conditions(part, negated=negated)
        case Negation(part):
            yield from _conditions(part, negated=not negated)


def _unknown(name: str, overview: Overview) -> str:
    """Empty where the overview does not have all fields."""
    if not overview.has_all_fields:
        return ""
    images = "no image" if overview.whole else f"none of {overview.over:,} images that were looked at"
    nearest = get_close_matches(name, overview.fields, NEAREST)
    hint = f"the nearest are {', '.join(map(legible, nearest))}" if nearest else "GET /v1/metadata lists the fields"
    return f"is a field that {images} has; {hint}"


def _other_kind(condition: Condition, summary: FieldSummary) -> str:
    """Empty where the field has values that the condition can be true of."""
    held = ", ".join(sorted(summary.types))
    if condition.operator in {"any", "all"}:
        return "" if "list" in summary.types else f"holds no lists, which {condition.operator} looks into (it holds: {held})"
    if "list" in summary.types and condition.operator in {"eq", "in"}:
        return ""
    if condition.operator == "exists" or any(_TYPES[value.kind] in summary.types for value in condition.values):
        return ""
    kinds = ", ".join(sorted({_TYPES[value.kind] for value in condition.values}))
    hint = "; eq, in, any and all look into lists" if "list" in summary.types else ""
    return f"holds values of another kind (it holds: {held}; compared with: {kinds}){hint}"
