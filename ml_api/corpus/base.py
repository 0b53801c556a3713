"""The contract of a corpus: it lists, reads, writes and watches image files, and reads their metadata. Syncs, uploads, the watcher
and the API use it. Implementations raise errors of `ml_api.errors` only."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from ml_api.corpus.metadata import Metadata
from ml_api.deadline import Deadline
from ml_api.errors import NotFound, TooLarge
from ml_api.images import SUFFIXES

ENDINGS_SHOWN = 5
_SIZE_AND_TIME: Final = re.compile(r"(\d+)-\d{10}")
"""How a version begins that is no ETag: with the size, and the seconds or nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One image file. `key` is its path below the root, with forward slashes."""

    key: str
    version: str
    """Size and modification time of a file, or ETag of an object: it changes with the bytes, and is known without reading them."""


class PassedOver(StrEnum):
    """Why an existing file or folder is not listed. A folder counts once, and nothing below it is counted."""

    OTHER_ENDING = "with other endings"
    HIDDEN = "hidden"
    IGNORED = "ignored"
    LINK = "links"
    SPECIAL = "no regular files"
    OURS = "our own"
    NO_PATH = "with keys that are no paths"

    def of(self, number: int) -> str:
        """The reason as words that follow a number: "1 link", "2 links"."""
        return {PassedOver.LINK: "link", PassedOver.SPECIAL: "no regular file"}.get(self, self.value) if number == 1 else self.value


@dataclass(slots=True)
class Coverage:
    """What a listing left out; complete once the listing has been iterated.

    `unlisted` maps the key of each file or folder that could not be read to the reason; a folder's key ends in a slash.
    `endings` counts the files that were passed over because of their file name extension.
    """

    passed_over: Counter[PassedOver] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    unlisted: dict[str, str] = field(default_factory=dict)

    def pass_over(self, why: PassedOver, number: int = 1) -> None:
        if number:
            self.passed_over[why] += number

    def pass_over_ending(self, key: str) -> None:
        """Count a file whose name has no ending of an image."""
        self.pass_over(PassedOver.OTHER_ENDING)
        self.endings[PurePosixPath(key).suffix.lower()] += 1

    def summary(self) -> str:
        """Numbers of files and folders passed over, by reason; empty if there are none."""
        return ", ".join(f"{number:,} {why.of(number)}{self._endings(why)}" for why, number in self.passed_over.most_common())

    def unlisted_summary(self) -> str:
        """Numbers of files and folders that could not be read; empty if there are none."""
        folders = sum(key.endswith("/") for key in self.unlisted)
        counts = ((folders, "folder"), (len(self.unlisted) - folders, "file"))
        return ", ".join(f"{number:,} {what}{'' if number == 1 else 's'}" for number, what in counts if number)

    def problems(self) -> Iterator[str]:
        """Describe the unlisted entries, in one line for those of the same folder with the same reason."""
        together: dict[tuple[str, str], list[str]] = {}
        for key, reason in self.unlisted.items():
            together.setdefault((next(_folders_above(key.rstrip("/")), ""), reason), []).append(key)
        for (_, reason), keys in together.items():
            others = f" and {len(keys) - 1:,} others beside it" if len(keys) > 1 else ""
            yield f"{keys[0]}{others}: {reason}"

    def _endings(self, why: PassedOver) -> str:
        if why is not PassedOver.OTHER_ENDING:
            return ""
        shown = [f"{ending or 'none'} {number:,}" for ending, number in self.endings.most_common(ENDINGS_SHOWN)]
        return f" ({', '.join(shown)}{', …' if len(self.endings) > ENDINGS_SHOWN else ''})"

    def hides(self, key: str) -> bool:
        """Whether the file may exist although it was not listed: it, or a folder above it, could not be read."""
        return bool(self.unlisted) and self.reason(key) is not None

    def reason(self, key: str) -> str | None:
        """Why the file, or a folder above it, could not be read; None if it could."""
        places = (key, *(f"{folder}/" for folder in _folders_above(key)))
        return next((self.unlisted[place] for place in places if place in self.unlisted), None)


def location_at(corpus: Path | str) -> str:
    """The `location` of the corpus in a folder, or of the one at a URL, which need not be there."""
    return corpus.rstrip("/") if isinstance(corpus, str) else os.fsencode(corpus.resolve()).decode("utf-8", "backslashreplace")


class Corpus(Protocol):
    """A collection of image files by key. Every method may be called from any thread."""

    @property
    def location(self) -> str:
        """The path or URL of the corpus, for messages and to tell it from another corpus."""
        ...

    @property
    def writable(self) -> bool:
        """False if it is known that `write` and `delete` would raise CorpusReadOnly. Makes no request over the network."""
        ...

    def list(self, coverage: Coverage | None = None, prefix: str = "") -> Iterator[CorpusFile]:
        """Every image file whose key begins with `prefix`, in the order of keys; `coverage` records what is left out.

        A folder that cannot be listed does not affect the others. Raises CorpusUnavailable only if the root cannot be listed.
        """
        ...

    def version(self, key: str) -> str:
        """Return the version that a listing has for this key. Raises NotFound if a listing would leave it out; CorpusUnavailable.

        Callers that store what they read get the version before reading: a file that changes in between then counts as changed.
        """
        ...

    def read(self, key: str, max_bytes: int, deadline: Deadline | None = None) -> bytes:
        """Return the file's bytes.

        Raises NotFound, TooLarge, DeadlineExceeded, or CorpusUnavailable if it may exist but cannot be read.
        """
        ...

    def write(self, key: str, data: bytes, expected: str | None = None) -> str:
        """Write a file, or replace it, atomically and durably, and return its version.

        With `expected`, only if the file has this version now, or for MISSING if there is none. This is one step with the writing
        where the storage knows conditional writes, otherwise it is looked at just before.

        Raises PreconditionFailed, with nothing written; InvalidKey, with the rule, for keys under which a listing would not show
        the file; CorpusReadOnly; InsufficientStorage, with nothing written; CorpusUnavailable, after which it may have been written
        or not.
        """
        ...

    def delete(self, key: str, expected: str | None = None) -> None:
        """Delete a file, with `expected` as in `write`.

        Raises PreconditionFailed, InvalidKey, NotFound, CorpusReadOnly or CorpusUnavailable.
        """
        ...

    def key_of(self, place: str) -> str | None:
        """Return the key of the file that a notification names: `bucket/object` or a URL for a bucket, a path or `file://` for a
        folder.

        None for places outside the corpus. Whether the corpus lists the key, only `version` tells.
        """
        ...

    def beside(self, sidecar: str) -> Sequence[str]:
        """Return the keys of the images whose sidecar has the key `sidecar`. Raises CorpusUnavailable."""
        ...

    def metadata_version(self) -> str:
        """Return a text that changes whenever the metadata may have changed. Cheap, as no file is read. Raises nothing."""
        ...

    def metadata(self) -> Metadata:
        """Read the images' metadata; the caller closes it. Broken lines are reported in it and do not affect the others.

        Raises CorpusUnavailable.
        """
        ...


FOLDER: Final = "folder"
FOLDER_GONE: Final = "folder gone"


@dataclass(frozen=True, slots=True)
class Noticed:
    """Changes of a corpus since the last `Notices.next`."""

    keys: AbstractSet[str] = frozenset()
    """Keys of files and folders that were created, changed, moved or deleted; a folder's key has no slash at the end.
    Entries below a new folder may be missing."""
    lost: str = ""
    """Why there may be other changes, which only a listing of all files finds; "" if there are none."""
    away: bool = False
    """Whether the corpus is missing now, such as a disk that is not mounted. Its files then do not count as deleted."""


class Notices(Protocol):
    """A stream of changes to the files of a corpus, for one thread; another may call `close`."""

    def next(self) -> Noticed:
        """Return the changes since the last call, after less than a second. The first result has `lost` set, as changes before it
        are unknown."""
        ...

    def state(self, key: str) -> str:
        """Return the version of a file, also of one that a listing leaves out; else FOLDER, FOLDER_GONE or MISSING."""
        ...

    def close(self) -> None: ...


def no_file(key: str) -> NotFound:
    return NotFound(f"the corpus holds no file {key!r}")


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the file has more than {max_bytes:,} bytes, the largest allowed", code="image-too-large")


def size_told_by(version: str) -> int | None:
    """The size in bytes of the file of this version. None if the version is an ETag, which does not tell it."""
    told = _SIZE_AND_TIME.match(version)
    return int(told[1]) if told else None


def is_image(key: str) -> bool:
    """Whether a file may be an image, by its ending."""
    _, dot, ending = key.rpartition(".")  # a Path for each file would double what a listing costs
    return bool(dot) and f".{ending.lower()}" in SUFFIXES


def _folders_above(key: str) -> Iterator[str]:
    end = key.rfind("/")
    while end > 0:
        yield key[:end]
        end = key.rfind("/", 0, end)
