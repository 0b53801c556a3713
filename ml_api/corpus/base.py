"""The contract of a corpus: what it lists, what a listing leaves out, what it reads. It raises errors of `errors.py` only."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Protocol

from ml_api.images import SUFFIXES

ENDINGS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One image file. `key` is its path below the root, with forward slashes."""

    key: str
    version: str
    """Size and modification time: changes when the file does, and costs no read."""


class PassedOver(StrEnum):
    """Why something was not listed though it is there. A folder counts once, and nothing below it does."""

    OTHER_ENDING = "with other endings"
    HIDDEN = "hidden"
    IGNORED = "ignored"
    LINK = "links"
    SPECIAL = "no regular files"
    OURS = "our own"

    def of(self, number: int) -> str:
        """As it reads behind a number."""
        return {PassedOver.LINK: "link", PassedOver.SPECIAL: "no regular file"}.get(self, self.value) if number == 1 else self.value


@dataclass(slots=True)
class Coverage:
    """What a listing left out; complete once the listing has been iterated.

    `unlisted` maps the key of what could not be looked at to the reason; a folder's key ends in a slash. `endings` counts the
    files that were passed over for theirs.
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
        """What was passed over, counted by reason; empty if nothing was."""
        return ", ".join(f"{number:,} {why.of(number)}{self._endings(why)}" for why, number in self.passed_over.most_common())

    def unlisted_summary(self) -> str:
        """What could not be looked at, counted; empty if nothing was."""
        folders = sum(key.endswith("/") for key in self.unlisted)
        counts = ((folders, "folder"), (len(self.unlisted) - folders, "file"))
        return ", ".join(f"{number:,} {what}{'' if number == 1 else 's'}" for number, what in counts if number)

    def problems(self) -> Iterator[str]:
        """What could not be listed: one line for all that lie in one folder for one reason."""
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
        """Whether the file may be there all the same: it, or a folder above it, could not be looked at."""
        if not self.unlisted:
            return False
        return key in self.unlisted or any(f"{folder}/" in self.unlisted for folder in _folders_above(key))


@dataclass(frozen=True, slots=True)
class Metadata:
    """`by_key` maps an image's key, in Unicode's form NFC, to its fields. `problems` says what could not be read, and where.

    If `complete` is false, a whole file of them could not be read: that an image has none here then says nothing.
    """

    by_key: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    complete: bool = True


class Corpus(Protocol):
    """Images under their keys. Every method may be called from any thread."""

    @property
    def location(self) -> str:
        """Where it is, for people, and to tell it from another corpus."""
        ...

    def list(self, coverage: Coverage | None = None) -> Iterator[CorpusFile]:
        """Every image file, in the order of keys; `coverage` takes down what is left out.

        What cannot be listed leaves the rest as it is. Raises CorpusUnavailable only if the root itself cannot be listed.
        """
        ...

    def read(self, key: str, max_bytes: int) -> bytes:
        """The file's bytes. Raises NotFound, TooLarge, or CorpusUnavailable where it may be there but cannot be read."""
        ...

    def metadata(self) -> Metadata:
        """Facts about the images; what is broken is reported in them and hides nothing else."""
        ...


def is_image(key: str) -> bool:
    """Whether a file may be an image, by its ending."""
    _, dot, ending = key.rpartition(".")  # a Path for each file would double what a listing costs
    return bool(dot) and f".{ending.lower()}" in SUFFIXES


def _folders_above(key: str) -> Iterator[str]:
    end = key.rfind("/")
    while end > 0:
        yield key[:end]
        end = key.rfind("/", 0, end)
