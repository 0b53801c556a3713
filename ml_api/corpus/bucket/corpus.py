"""Implements Corpus over the objects of a bucket. Their keys decide which of them are listed, by the rules of a folder."""

import errno
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from tempfile import TemporaryFile
from threading import BoundedSemaphore
from typing import BinaryIO, Final

from ml_api.corpus.base import CorpusFile, Coverage, PassedOver, is_image, no_file
from ml_api.corpus.bucket.objects import METADATA_TIMEOUT_S, READ_TIMEOUT_S, Objects
from ml_api.corpus.ignoring import IGNORE_FILE, IgnoreRules, Patterns, patterns_in
from ml_api.corpus.keys import MAX_OBJECT_KEY_BYTES, Selection, no_path, refuse
from ml_api.corpus.metadata import (
    ENDING,
    METADATA_FILES,
    Catalogue,
    Metadata,
    metadata_version,
    read_metadata,
    sidecar_of,
    stem_of,
    version_alone,
    version_beside,
)
from ml_api.deadline import Deadline
from ml_api.errors import CorpusUnavailable, NotFound, TooLarge

RULES_HOLD_S: Final = 60.0
"""How long a fetched `.mlapiignore` is used for single keys; every listing fetches it."""

TURN_S: Final = 1.0
"""How long a request waits while too many others read: a bucket that hangs must not hold every thread of the service."""

MAX_IGNORE_BYTES: Final = 2**20
MAX_METADATA_FILE_BYTES: Final = 2**30


class BucketCorpus:
    """A Corpus of the images among `objects`. `ignore` and `include` are patterns in .gitignore syntax.

    At most `at_once` reads with a deadline, which are those of requests, run concurrently.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        ignore: Sequence[str] = (),
        include: Sequence[str] = (),
        catalogue: Catalogue | None = None,
        at_once: int = 16,
    ) -> None:
        self._objects = objects
        self._catalogue = catalogue
        self._turns = BoundedSemaphore(at_once)
        self._patterns = Patterns(tuple(ignore), tuple(include))
        self._fetched: tuple[float, IgnoreRules] | None = None

    @property
    def location(self) -> str:
        return self._objects.location

    @property
    def writable(self) -> bool:
        return self._objects.writable

    def list(self, coverage: Coverage | None = None, prefix: str = "") -> Iterator[CorpusFile]:
        """As in Corpus. Keys that no file in a folder can have, such as `a//b.jpg`, are left out and counted."""
        coverage = Coverage() if coverage is None else coverage
        selection = Selection(self._fetch_rules())
        left_out = ""
        for file in with_sidecars(self._objects.list(prefix)):
            if left_out and file.key.startswith(left_out):
                continue
            if not file.key or file.key.endswith("/"):  # consoles create such an object for an empty folder
                continue
            if no_path(file.key):
                coverage.pass_over(PassedOver.NO_PATH)
            elif (passed_over := selection.passed_over(file.key)) is None:
                yield file
            else:
                left_out = _count(coverage, *passed_over)

    def version(self, key: str) -> str:
        if self._problem(key) or self._selection().passed_over(key):
            raise no_file(key)
        return version_beside(self._objects.version(key), self._version_of(sidecar_of(key)))

    def read(self, key: str, max_bytes: int, deadline: Deadline | None = None) -> bytes:
        if self._problem(key):
            raise no_file(key)
        if deadline is None:
            return self._bytes(key, max_bytes)
        if not self._turns.acquire(timeout=min(TURN_S, deadline.left_s())):
            raise CorpusUnavailable(f"{self.location} is slow, and as many requests as may wait for it do")
        try:
            return self._bytes(key, max_bytes, min(READ_TIMEOUT_S, deadline.left_s()))
        except CorpusUnavailable as exc:
            if deadline.passed:
                raise deadline.exceeded() from exc
            raise
        finally:
            self._turns.release()

    def write(self, key: str, data: bytes, expected: str | None = None) -> str:
        self._selection().require_new(key)
        refuse(key, self._problem(key))
        version = self._objects.write(key, data, version_alone(expected))
        return version_beside(version, self._version_of(sidecar_of(key)))

    def delete(self, key: str, expected: str | None = None) -> None:
        self._selection().require(key)
        if self._problem(key):
            raise no_file(key)
        self._objects.delete(key, version_alone(expected))

    def key_of(self, place: str) -> str | None:
        path = (place.partition("://")[2] if "://" in place else place).lstrip("/")
        root = f"{self._objects.root}/" if self._objects.root else ""
        key = path.removeprefix(root)
        return key if path.startswith(root) and not self._problem(key) else None

    def beside(self, sidecar: str) -> Sequence[str]:
        """As in Corpus, by one listing of the objects whose names differ from the sidecar's in the ending."""
        if self._problem(sidecar):
            return []
        files = self._objects.list(f"{stem_of(sidecar)}.")
        return [file.key for file in files if is_image(file.key) and sidecar_of(file.key) == sidecar]

    def metadata(self) -> Metadata:
        return read_metadata(self._open, self._catalogue)

    def metadata_version(self) -> str:
        return metadata_version(self._version_of, self._catalogue)

    def _version_of(self, name: str) -> str:
        try:
            return self._objects.version(name)
        except NotFound:
            return ""
        except CorpusUnavailable:
            return "?"  # unlike any version, so that it is read again later

    def _open(self, name: str) -> BinaryIO:
        """A copy of the object in an anonymous temporary file."""
        file = TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            self._objects.read(name, file, MAX_METADATA_FILE_BYTES, METADATA_TIMEOUT_S)
        except NotFound as exc:
            file.close()
            raise FileNotFoundError(name) from exc
        except (CorpusUnavailable, TooLarge) as exc:
            file.close()
            raise OSError(errno.EIO, exc.detail) from exc
        file.seek(0)
        return file

    def _selection(self) -> Selection:
        """The selection for single keys, by rules fetched within RULES_HOLD_S."""
        if self._fetched is None or time.monotonic() - self._fetched[0] > RULES_HOLD_S:
            return Selection(self._fetch_rules())
        return Selection(self._fetched[1])

    def _fetch_rules(self) -> IgnoreRules:
        """The configured patterns and those of `.mlapiignore`.

        Raises CorpusUnavailable if that file may exist and cannot be read, ConfigError for an invalid pattern.
        """
        try:
            own = patterns_in(self._bytes(IGNORE_FILE, MAX_IGNORE_BYTES))
        except NotFound:
            own = []
        except TooLarge as exc:
            raise CorpusUnavailable(f"{IGNORE_FILE} has more than {MAX_IGNORE_BYTES:,} bytes") from exc
        rules = IgnoreRules([*self._patterns.ignore, *own], self._patterns.include)
        self._fetched = time.monotonic(), rules
        return rules

    def _bytes(self, key: str, max_bytes: int, timeout_s: float = READ_TIMEOUT_S) -> bytes:
        data = io.BytesIO()
        self._objects.read(key, data, max_bytes, timeout_s)
        return data.getvalue()

    def _problem(self, key: str) -> str:
        """Why no object can have this key; "" if one can. Makes no request."""
        if problem := no_path(key):
            return problem
        try:
            size = len(f"{self._objects.root}/{key}".partition("/")[2].encode())
        except UnicodeEncodeError:
            return "it is not valid Unicode"
        too_long = f"with the prefix it has {size:,} bytes; buckets take {MAX_OBJECT_KEY_BYTES:,}"
        return too_long if size > MAX_OBJECT_KEY_BYTES else ""


def with_sidecars(files: Iterable[CorpusFile]) -> Iterator[CorpusFile]:
    """Yield `files`, which are in the order of keys, in that order; each image's version includes that of its sidecar, which is
    left out itself.

    An image may precede its sidecar or follow it. Only the files between the two are held back.
    """
    held: dict[str, CorpusFile] = {}
    taken = set[str]()
    for file in files:
        yield from _let_go(held, taken, file.key)
        held[file.key] = file
        images = [file.key] if is_image(file.key) else [key for key in held if is_image(key) and sidecar_of(key) == file.key]
        for key in images:
            if (sidecar := held.get(sidecar_of(key))) is not None:
                held[key] = replace(held[key], version=version_beside(held[key].version, sidecar.version))
                taken.add(sidecar.key)
    yield from _let_go(held, taken)


def _let_go(held: dict[str, CorpusFile], taken: set[str], now: str | None = None) -> Iterator[CorpusFile]:
    """Yield the first of the held files, as far as no file from the key `now` on belongs to them; all of them if `now` is None."""
    for key in list(takewhile(lambda key: now is None or _is_over(key, now), held)):
        file = held.pop(key)
        if key not in taken:
            yield file
        taken.discard(key)


def _is_over(key: str, now: str) -> bool:
    if is_image(key):
        return now > sidecar_of(key)
    return not (key.endswith(ENDING) and now.startswith(f"{stem_of(key)}."))


def _count(coverage: Coverage, why: PassedOver, place: str) -> str:
    """Count a file or folder that is passed over. Returns the key of a folder, below which nothing else is counted; else ""."""
    if why is PassedOver.OTHER_ENDING:
        if place not in METADATA_FILES:
            coverage.pass_over_ending(place)
    else:
        coverage.pass_over(why)
    return place if place.endswith("/") else ""
