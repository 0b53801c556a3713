"""What is said of images in words, beside their vectors: by which words they are found, and how those follow the vector store."""

from ml_api.texts.index import Found, Lookup, TextIndex
from ml_api.texts.keeping import TextKeepingStore, TextUpkeep

__all__ = ["Found", "Lookup", "TextIndex", "TextKeepingStore", "TextUpkeep"]
