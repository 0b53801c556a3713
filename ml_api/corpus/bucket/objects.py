"""The contract of an object store, as BucketCorpus uses it. Every method may be called from any thread, and raises errors of
`ml_api.errors` only."""

from collections.abc import Iterator
from typing import BinaryIO, Final, Protocol

from ml_api.corpus.base import CorpusFile

READ_TIMEOUT_S: Final = 60.0
"""For reading one object; 32 MB then need 4 Mbit/s."""
WRITE_TIMEOUT_S: Final = 120.0
METADATA_TIMEOUT_S: Final = 600.0
"""For reading a metadata file, which may have a million lines."""
CALL_TIMEOUT_S: Final = 30.0
"""For a call without an image's bytes: a page of a listing, a version, a deletion. It includes retries."""


class Objects(Protocol):
    """Objects by key. A key is any text, relative to `root`: a bucket, with or without a prefix."""

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
        """See `Corpus.writable`."""
        ...

    def list(self, prefix: str) -> Iterator[CorpusFile]:
        """Yield the objects whose keys begin with `prefix`, in the order of keys. Raises CorpusUnavailable, possibly in between."""
        ...

    def version(self, key: str) -> str:
        """Return the object's version, as in a listing. Raises NotFound or CorpusUnavailable."""
        ...

    def read(self, key: str, to: BinaryIO, max_bytes: int, timeout_s: float) -> None:
        """Write the bytes of one version of the object `to` an empty file. Raises NotFound, TooLarge or CorpusUnavailable."""
        ...

    def write(self, key: str, data: bytes, expected: str | None = None) -> str:
        """Write an object under any key, as `Corpus.write`.

        Raises PreconditionFailed, CorpusReadOnly, InsufficientStorage or CorpusUnavailable.
        """
        ...

    def delete(self, key: str, expected: str | None = None) -> None:
        """Delete an object, as `Corpus.delete`. Raises PreconditionFailed, NotFound, CorpusReadOnly or CorpusUnavailable."""
        ...
