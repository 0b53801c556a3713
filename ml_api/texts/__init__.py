"""A word index of images in the service's database, beside their vectors: hybrid searches look words up in it.

words      cuts keys, metadata and queries into words
index      TextIndex: the words of each image, and lookups
dialects   full-text search of SQLite and of PostgreSQL
keeping    keeps the index equal to the vector store
"""

from ml_api.texts.index import Found, Lookup, TextIndex
from ml_api.texts.upkeep import TextIndexingStore, TextUpkeep

__all__ = ["Found", "Lookup", "TextIndex", "TextIndexingStore", "TextUpkeep"]
