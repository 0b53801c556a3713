"""All that the metadata of a corpus say, as values to compare."""

from pathlib import Path

from ml_api.corpus.folder import FolderCorpus


class ReadMetadata:
    def __init__(self, place, **options):
        """Of a corpus, or of the one in a folder."""
        corpus = FolderCorpus(place, **options) if isinstance(place, Path) else place
        with corpus.metadata() as metadata:
            self.by_key = {key: metadata.of(key) for key in metadata}
            self.problems, self.complete, self.types = metadata.problems, metadata.complete, metadata.types
