"""Which indexed images have moved to where files are new: their own files are gone, whether that was told yet or not."""

from collections.abc import Collection

from ml_api.corpus.base import Corpus
from ml_api.errors import CorpusUnavailable, NotFound
from ml_api.records import Entry
from ml_api.vectors.base import VectorStore


class Moves:
    def __init__(self, corpus: Corpus, store: VectorStore) -> None:
        self._corpus = corpus
        self._store = store

    def sources(self, digests: Collection[str]) -> dict[str, Entry]:
        """By digest, an image with these bytes whose file is gone. Raises Unavailable."""
        entries = self._store.of_digests(list(digests)) if digests else []
        return {entry.digest: entry for entry in entries if self._is_gone(entry.key)}

    def _is_gone(self, key: str) -> bool:
        try:
            return not self._corpus.version(key)
        except NotFound:
            return True
        except CorpusUnavailable:
            return False
