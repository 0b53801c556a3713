"""All that the metadata of a corpus say, as values to compare."""

from pathlib import Path

from ml_api.corpus.folder import FolderCorpus


class ReadMetadata:
    def __init__(self, place, **options):
        """Of a corpus, or of the one in a folder."""
        corpus = FolderCorpus(place, **options) if isinstance(place, Path) else place
        with corpus.metadata() as metadata:
            keys = metadata._rows.execute("SELECT DISTINCT key FROM rows").fetchall()
            self.by_key = {key: metadata.of(key) for key in (key.decode("utf-8", "surrogatepass") for (key,) in keys)}
            self.problems, self.complete, self.types = metadata.problems, metadata.complete, metadata.types
