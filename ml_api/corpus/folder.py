"""A folder of images. Unless links are followed, nothing outside it is listed or read, whatever keys and links say."""

import errno
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from ml_api.corpus.base import CorpusFile, Coverage, location_at, no_file, too_large
from ml_api.corpus.ignoring import LEADS_OUT, Patterns, read_rules
from ml_api.corpus.keys import Selection, no_path
from ml_api.corpus.metadata import (
    Catalogue,
    Metadata,
    metadata_version,
    read_metadata,
    sidecar_of,
    stem_of,
    version_alone,
    version_beside,
)
from ml_api.corpus.versions import version_of
from ml_api.corpus.walking import LEADS_NOWHERE, Walk, identity_of, is_empty
from ml_api.corpus.writing import FolderWriter
from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, CorpusUnavailable, MlApiError, NotFound
from ml_api.images import SUFFIXES


class FolderCorpus:
    """A Corpus in the folder `root`.

    `ours` are folders that this application writes; they are never listed. `ignore` and `include` are patterns in .gitignore
    syntax. With `follow_links`, linked folders and files outside the root belong to the corpus: whoever can create links in it
    decides what is shown.
    """

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        root: Path,
        *,
        ours: Collection[Path] = (),
        ignore: Sequence[str] = (),
        include: Sequence[str] = (),
        follow_links: bool = False,
        catalogue: Catalogue | None = None,
    ) -> None:
        if not root.is_dir():
            raise ConfigError(f"the corpus {root} is not a folder")
        self._given = root.absolute()
        self._root = root.resolve()
        self._location = location_at(root)
        self._identity = identity_of(self._root)
        self._ours = [path for path in (path.resolve() for path in ours) if not self._root.is_relative_to(path)]
        self._patterns = Patterns(tuple(ignore), tuple(include))
        self._follow_links = follow_links
        self._writer = FolderWriter(self._root, self._is_ours, follow_links=follow_links)
        self._catalogue = catalogue

    @property
    def location(self) -> str:
        return self._location

    @property
    def writable(self) -> bool:
        return os.access(self._root, os.W_OK | os.X_OK)

    def list(self, coverage: Coverage | None = None, prefix: str = "") -> Iterator[CorpusFile]:
        """As in Corpus; hidden names are never listed. Raises ConfigError if the ignore patterns cannot be read."""
        self._know_root()
        coverage = Coverage() if coverage is None else coverage
        return Walk(self._root, self._patterns, self._ours, coverage, follow_links=self._follow_links).files(prefix)

    def version(self, key: str) -> str:
        try:
            return self._version(key)
        except NotFound:
            self._require_root()
            raise

    def _version(self, key: str) -> str:
        try:
            if no_path(key) or self._selection().passed_over(key) or not self._may_read(key) or not self._enters_folder_of(key):
                raise no_file(key)
            status = (self._root / key).stat()
        except OSError as exc:
            raise _unreadable(key, exc) from exc
        if not stat.S_ISREG(status.st_mode):
            raise no_file(key)
        self._know_root()
        return version_beside(version_of(status), self._version_of(sidecar_of(key)))

    def read(self, key: str, max_bytes: int, deadline: Deadline | None = None) -> bytes:  # noqa: ARG002 - disks know none
        path = self._root / key
        try:
            if not self._may_read(key) or not path.is_file():
                self._require_root()
                raise no_file(key)
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as exc:
            raise _unreadable(key, exc) from exc
        if len(data) > max_bytes:
            raise too_large(max_bytes)
        return data

    def write(self, key: str, data: bytes, expected: str | None = None) -> str:
        self._require_root()
        self._selection().require_new(key)
        return version_beside(self._writer.write(key, data, version_alone(expected)), self._version_of(sidecar_of(key)))

    def delete(self, key: str, expected: str | None = None) -> None:
        self._require_root()
        self._selection().require(key)
        try:
            self._writer.delete(key, version_alone(expected))
        except FileNotFoundError as exc:
            raise no_file(key) from exc

    def key_of(self, place: str) -> str | None:
        path = Path(unquote(urlsplit(place).path) if place.startswith("file://") else place)
        for root in (self._root, self._given):  # a notification names the folder as it was given, or with links resolved
            if path.is_relative_to(root) and not no_path(key := path.relative_to(root).as_posix()):
                return key
        return None

    def beside(self, sidecar: str) -> Sequence[str]:
        """By a look for each ending, in capitals and small letters: half a millisecond, however many files lie in the folder."""
        if no_path(sidecar):
            return []
        stem = stem_of(sidecar)
        keys = (f"{stem}{ending}" for ending in _endings())
        return [key for key in keys if os.path.lexists(f"{self._root}/{key}") and self._version_of(key)]

    def metadata_version(self) -> str:
        return metadata_version(self._version_of, self._catalogue)

    def metadata(self) -> Metadata:
        return read_metadata(self._open, self._catalogue)

    def _version_of(self, name: str) -> str:
        """The version of a file; empty if there is no such file."""
        try:
            status = (self._root / name).stat()
        except OSError:
            return ""
        return version_of(status) if stat.S_ISREG(status.st_mode) else ""

    def _open(self, name: str) -> BinaryIO:
        """A regular file of the root. Others, such as a FIFO, would be waited for. Raises OSError."""
        path = self._root / name
        if not path.is_file():
            raise FileNotFoundError(name)
        if not self._may_read(name):
            raise PermissionError(errno.EPERM, LEADS_OUT)
        return path.open("rb")

    def _require_root(self) -> None:
        """Without its disk a folder is not there, or empty and another one: no file is deleted by that, nor kept in its place.

        Raises CorpusUnavailable.
        """
        if not self._know_root():
            raise CorpusUnavailable(f"the corpus {self.location} is not there: is its disk mounted?")

    def _know_root(self) -> bool:
        """Whether the folder is there. Another one that has files is the corpus from now on: its disk was mounted again."""
        now = identity_of(self._root)
        if now == self._identity:
            return now is not None
        if now is None or is_empty(self._root):
            return False
        if identity_of(self._root) == now:  # those are its files: nothing was unmounted between the two looks
            self._identity = now
        return True

    def _selection(self) -> Selection:
        return Selection(read_rules(self._root, self._patterns, follow_links=self._follow_links))

    def _enters_folder_of(self, key: str) -> bool:
        """Whether a walk enters every folder above the file, and the file itself is no link into our own folders."""
        folder = self._root
        for name in key.split("/")[:-1]:
            folder /= name
            if folder.is_symlink() and (not self._follow_links or Path(os.path.realpath(folder)).is_relative_to(self._root)):
                return False
            if self._is_ours(folder.stat()):
                return False
        target = Path(os.path.realpath(self._root / key, strict=True))
        return not any(target.is_relative_to(ours) for ours in self._ours)

    def _is_ours(self, folder: os.stat_result) -> bool:
        return (folder.st_dev, folder.st_ino) in map(identity_of, self._ours)

    def _may_read(self, key: str) -> bool:
        """Whether the key stays inside the root: by its parts if links are followed, else with links resolved."""
        if self._follow_links:
            return not key.startswith("/") and ".." not in PurePosixPath(key).parts
        try:
            return (self._root / key).resolve().is_relative_to(self._root)
        except (ValueError, RuntimeError):  # a name with a NUL, a loop of links
            return False


@cache
def _endings() -> tuple[str, ...]:
    """Of images, in every mixture of capitals and small letters: cameras and people write .JPG, .jpg and .Jpg."""
    return tuple("".join(letters) for suffix in sorted(SUFFIXES) for letters in product(*(sorted({c, c.upper()}) for c in suffix)))


def _unreadable(key: str, exc: OSError) -> MlApiError:
    if exc.errno in LEADS_NOWHERE or exc.errno == errno.ENAMETOOLONG:
        return no_file(key)
    return CorpusUnavailable(f"cannot be read: {exc.strerror}")
