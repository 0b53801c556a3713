"""Filters: which images a search or a listing may show, by their metadata, key, size and time of indexing.

tree        a filter as a value: frozen, hashable, two-valued
parsing     from JSON to a filter, or an error that names the field
predicate   what a filter means: of a value, and of a record
expression  as an expression of a Milvus server
columns     declared fields as columns of a Milvus server
"""

from ml_api.vectors.filters.parsing import field_of, parse, parse_text
from ml_api.vectors.filters.predicate import holds, leaves, scalar, value_of
from ml_api.vectors.filters.tree import All, Condition, Either, Field, Filter, Negation, Scalar, plain

__all__ = [
    "All",
    "Condition",
    "Either",
    "Field",
    "Filter",
    "Negation",
    "Scalar",
    "field_of",
    "holds",
    "leaves",
    "parse",
    "parse_text",
    "plain",
    "scalar",
    "value_of",
]
