"""Filters of searches and listings, by the images' metadata, key, size and time of indexing.

tree        a filter as a value: frozen and hashable
parsing     parses a filter from JSON; errors name the field
predicate   evaluates a filter on a record
expression  compiles a filter to an expression for a Milvus server
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
