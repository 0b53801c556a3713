"""The contract of a corpus: listing, reading, writing and metadata of images. It raises errors of `errors.py` only."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
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
    """Size and modification time of a file, ETag of an object: tells a change without reading the bytes."""


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
        """The words after a number: "1 link", "2 links"."""
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
        """A file that is no image by its name."""
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
        """One line for all unlisted entries of a folder with the same reason."""
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


class Corpus(Protocol):
    """Images under their keys. Every method may be called from any thread."""

    @property
    def location(self) -> str:
        """The place of the corpus, for messages and to tell it from another corpus."""
        ...

    @property
    def writable(self) -> bool:
        """False if it is known that `write` and `delete` would raise CorpusReadOnly; asks nobody outside this machine."""
        ...

    def list(self, coverage: Coverage | None = None, prefix: str = "") -> Iterator[CorpusFile]:
        """Every image file whose key begins with `prefix`, in the order of keys; `coverage` records what is left out.

        A folder that cannot be listed does not affect the others. Raises CorpusUnavailable only if the root cannot be listed.
        """
        ...

    def version(self, key: str) -> str:
        """The version that a listing would give for this key. Raises NotFound if it would not list it, or CorpusUnavailable.

        Who stores what was read asks for the version before reading: a file that changes in between then counts as changed.
        """
        ...

    def read(self, key: str, max_bytes: int, deadline: Deadline | None = None) -> bytes:
        """The file's bytes.

        Raises NotFound, TooLarge, DeadlineExceeded, or CorpusUnavailable if it may exist but cannot be read.
        """
        ...

    def write(self, key: str, data: bytes) -> str:
        """Write a file, or replace it, and return its version. Readers see the old bytes or all the new ones, whatever dies when.

        Once it has returned, the file is durable. Raises InvalidKey, with the rule, for keys under which a listing would not show
        the file; CorpusReadOnly; InsufficientStorage, with nothing written; CorpusUnavailable, after which it may be written.
        """
        ...

    def delete(self, key: str) -> None:
        """Delete a file. Raises InvalidKey, NotFound, CorpusReadOnly or CorpusUnavailable."""
        ...

    def key_of(self, place: str) -> str | None:
        """The key of what a notification names: `bucket/object` or a URL for a bucket, a path or `file://` for a folder.

        None for places outside the corpus. Whether the corpus lists the key is for `version` to say.
        """
        ...

    def beside(self, sidecar: str) -> Sequence[str]:
        """Keys of the images of which a file with this key says something, as their sidecar. Raises CorpusUnavailable."""
        ...

    def metadata_version(self) -> str:
        """Differs once the metadata may have changed; cheap, as no file is read. Raises nothing."""
        ...

    def metadata(self) -> Metadata:
        """The images' metadata, to be closed; broken lines are reported in it and do not affect the others.

        Raises CorpusUnavailable.
        """
        ...


MISSING: Final = ""
FOLDER: Final = "folder"
FOLDER_GONE: Final = "folder gone"


@dataclass(frozen=True, slots=True)
class Noticed:
    """What has happened to a corpus since the last time."""

    keys: AbstractSet[str] = frozenset()
    """Keys of files and folders that were made, changed, moved here or away, or deleted; a folder's has no slash at the end.
    What is below a new folder may not be named."""
    lost: str = ""
    """Why there may be more than that, which only a look at all files finds; empty if there is no reason."""
    away: bool = False
    """Whether the corpus is not there now, such as a disk that is not mounted. Its files are not deleted."""


class Notices(Protocol):
    """What happens to the files of a corpus while it happens. For one thread; `close` may come from another."""

    def next(self) -> Noticed:
        """Waits for less than a second. The first one says that what happened before is unknown."""
        ...

    def state(self, key: str) -> str:
        """The version of a file, whether a listing shows it or not; else FOLDER, FOLDER_GONE or MISSING."""
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
