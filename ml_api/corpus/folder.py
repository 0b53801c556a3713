"""A folder of images. Unless links are followed, nothing outside it is listed or read, whatever keys and links say."""

import errno
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ml_api.corpus.base import CorpusFile, Coverage, Metadata
from ml_api.corpus.ignoring import LEADS_OUT
from ml_api.corpus.metadata import read_metadata
from ml_api.corpus.walking import LEADS_NOWHERE, Walk
from ml_api.errors import ConfigError, CorpusUnavailable, NotFound, TooLarge


class FolderCorpus:
    """A Corpus in the folder `root`.

    `ours` are folders that this application writes; they are never listed. `ignore` are patterns in .gitignore syntax. With
    `follow_links`, linked folders and files outside the root belong to the corpus: whoever can create links in it decides what
    is shown.
    """

    def __init__(self, root: Path, *, ours: Collection[Path] = (), ignore: Sequence[str] = (), follow_links: bool = False) -> None:
        if not root.is_dir():
            raise ConfigError(f"the corpus {root} is not a folder")
        self._root = root.resolve()
        self._ours = [path.resolve() for path in ours]
        self._ignore = tuple(ignore)
        self._follow_links = follow_links

    @property
    def location(self) -> str:
        return os.fsencode(self._root).decode("utf-8", "backslashreplace")

    def list(self, coverage: Coverage | None = None) -> Iterator[CorpusFile]:
        """As in Corpus; hidden names are never listed. Raises ConfigError if the ignore patterns cannot be read."""
        coverage = Coverage() if coverage is None else coverage
        return Walk(self._root, self._ignore, self._ours, coverage, follow_links=self._follow_links).files()

    def read(self, key: str, max_bytes: int) -> bytes:
        path = self._root / key
        try:
            if not self._may_read(key) or not path.is_file():
                raise NotFound(f"the corpus holds no file {key!r}")
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as exc:
            if exc.errno in LEADS_NOWHERE:
                raise NotFound(f"the corpus holds no file {key!r}") from exc
            raise CorpusUnavailable(f"cannot be read: {exc.strerror}") from exc
        if len(data) > max_bytes:
            raise TooLarge(f"the file has more than {max_bytes:,} bytes, the largest allowed", code="image-too-large")
        return data

    def metadata(self) -> Metadata:
        return read_metadata(self._open)

    def _open(self, name: str) -> BinaryIO:
        """A regular file of the root. Others, such as a FIFO, would be waited for. Raises OSError."""
        path = self._root / name
        if not path.is_file():
            raise FileNotFoundError(name)
        if not self._may_read(name):
            raise PermissionError(errno.EPERM, LEADS_OUT)
        return path.open("rb")

    def _may_read(self, key: str) -> bool:
        """Whether the key stays inside the root: by its parts if links are followed, else with links resolved."""
        if self._follow_links:
            return not key.startswith("/") and ".." not in PurePosixPath(key).parts
        try:
            return (self._root / key).resolve().is_relative_to(self._root)
        except (ValueError, RuntimeError):  # a name with a NUL, a loop of links
            return False
