"""A folder of images. Nothing outside it is ever listed or read, whatever keys and symbolic links say."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_api.errors import ConfigError, NotFound, TooLarge

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One image file. `key` is its path below the root, with forward slashes."""

    key: str
    version: str
    """Size and modification time: changes when the file does, and costs no read."""


class FolderCorpus:
    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigError(f"the corpus {root} is not a folder")
        self.root = root.resolve()

    def list(self) -> Iterator[CorpusFile]:
        """Every image file, hidden ones and those reached through links to the outside excepted, in the order of keys."""
        yield from self._list(self.root, "")

    def _list(self, folder: Path, prefix: str) -> Iterator[CorpusFile]:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=_sort_name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._list(Path(entry.path), f"{prefix}{entry.name}/")
            elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and self._may_follow(entry):
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # gone since it was listed: the next sync sees the same
                if stat.S_ISREG(status.st_mode):
                    yield CorpusFile(f"{prefix}{entry.name}", f"{status.st_size}-{status.st_mtime_ns}")

    def read(self, key: str, max_bytes: int) -> bytes:
        """The file's bytes. Raises NotFound, TooLarge, or OSError where the file system fails."""
        path = self.root / key
        if not self._is_inside(path) or not path.is_file():
            raise NotFound(f"the corpus holds no file {key!r}")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise TooLarge(f"the file has more than {max_bytes} bytes, the largest allowed", code="image-too-large")
        return data

    def _may_follow(self, entry: os.DirEntry[str]) -> bool:
        return not entry.is_symlink() or self._is_inside(Path(entry.path))

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root)
        except (OSError, ValueError, RuntimeError):  # a loop of links, a name with a NUL
            return False


def _sort_name(entry: os.DirEntry[str]) -> str:
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
