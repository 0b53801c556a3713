"""What a BucketCorpus asks of a place that keeps objects. Every call may come from any thread, and raises our errors only."""

from collections.abc import Iterator
from typing import BinaryIO, Final, Protocol

from ml_api.corpus.base import CorpusFile

READ_TIMEOUT_S: Final = 60.0
"""For one object; 32 MB then need 4 Mbit/s."""
WRITE_TIMEOUT_S: Final = 120.0
METADATA_TIMEOUT_S: Final = 600.0
"""For a metadata file, which may have a million lines."""
CALL_TIMEOUT_S: Final = 30.0
"""For what moves no image: a page of a listing, a version, a deletion. Retries are within it."""


class Objects(Protocol):
    """Objects under keys relative to `root`, a bucket with or without a prefix: any text, as object stores take it."""

    @property
    def root(self) -> str:
        """Bucket and prefix, without a slash at either end."""
        ...

    @property
    def location(self) -> str:
        """The URL, without credentials."""
        ...

    @property
    def writable(self) -> bool:
        """As in Corpus."""
        ...

    def list(self, prefix: str) -> Iterator[CorpusFile]:
        """Objects whose keys begin with `prefix`, in the order of keys. Raises CorpusUnavailable, also between two of them."""
        ...

    def version(self, key: str) -> str:
        """As the listing has it. Raises NotFound or CorpusUnavailable."""
        ...

    def read(self, key: str, to: BinaryIO, max_bytes: int, timeout_s: float) -> None:
        """Write the bytes of one version of the object `to` an empty file. Raises NotFound, TooLarge or CorpusUnavailable."""
        ...

    def write(self, key: str, data: bytes) -> str:
        """As in Corpus, for any key. Raises CorpusReadOnly, InsufficientStorage or CorpusUnavailable."""
        ...

    def delete(self, key: str) -> None:
        """Raises NotFound, CorpusReadOnly or CorpusUnavailable."""
        ...
