"""From a query to hits: prepare, embed, combine, find. Knows neither HTTP nor which model or store does the work."""

from ml_api.search.negation import read_negations
from ml_api.search.online_recall import OnlineRecall
from ml_api.search.query import (
    Arrangement,
    Fault,
    ImageTerm,
    Marks,
    Query,
    SearchResult,
    StoredTerm,
    Term,
    TextTerm,
    Thresholds,
    VectorTerm,
    Weighted,
)
from ml_api.search.relevance import Relevance
from ml_api.search.searcher import Searcher

__all__ = [
    "Arrangement",
    "Fault",
    "ImageTerm",
    "Marks",
    "OnlineRecall",
    "Query",
    "Relevance",
    "SearchResult",
    "Searcher",
    "StoredTerm",
    "Term",
    "TextTerm",
    "Thresholds",
    "VectorTerm",
    "Weighted",
    "read_negations",
]
