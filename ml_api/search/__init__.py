"""Answers queries: prepares and embeds their terms, combines them into one vector, searches the store, and cuts out a page.

It knows neither HTTP nor which model or store does the work. `searcher` has the steps; `query` has the values that go in and out.
"""

from ml_api.search.arrangement import Arrangement, Sort
from ml_api.search.negation import read_negations, reading_of
from ml_api.search.online_recall import OnlineRecall
from ml_api.search.query import (
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
from ml_api.search.relevance import Calibrations
from ml_api.search.searcher import Searcher

__all__ = [
    "Arrangement",
    "Calibrations",
    "Fault",
    "ImageTerm",
    "Marks",
    "OnlineRecall",
    "Query",
    "SearchResult",
    "Searcher",
    "Sort",
    "StoredTerm",
    "Term",
    "TextTerm",
    "Thresholds",
    "VectorTerm",
    "Weighted",
    "read_negations",
    "reading_of",
]
