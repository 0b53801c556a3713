"""Writing a vector file so that a stopped or killed writer goes on: finished parts in a folder beside it, joined at the end."""

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np

from ml_api.errors import ConfigError
from ml_api.files import write_whole
from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.files.base import Row, VectorFormat
from ml_api.vectors.files.columns import record_of
from ml_api.vectors.files.opening import format_to_write
from ml_api.vectors.files.seen import SeenIds

_STATE: Final = "state.json"


@dataclass(frozen=True, slots=True)
class Written:
    """How far a writer came. `source` is what the rows are of: a corpus or a collection."""

    model_id: str
    source: str
    parts: int = 0
    rows: int = 0
    last: str = ""
    """The id that an export goes on behind."""


class PartsWriter:
    """Writes the vector file `target`. Only `finish` touches it; whatever happens before, the file that was there stays."""

    def __init__(self, target: Path, form: VectorFormat, written: Written) -> None:
        self.written = written
        self._target = target
        self._form = form
        self._folder = _folder(target)

    @classmethod
    @contextmanager
    def open(cls, target: Path, model_id: str, source: str) -> Iterator[Self]:
        """Goes on with what an earlier writer of the same left. Raises ConfigError and OSError."""
        form = format_to_write(target)
        _require_place(target, form)
        with _alone(target):
            written = _state(target, Written(model_id, source))
            _put_back(_folder(target))
            yield cls(target, form, written)

    def add(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        """Durable against the death of the process when it returns."""
        number = self.written.parts + 1
        self._put(number, records, vectors)
        self._note(replace(self.written, parts=number, rows=self.written.rows + len(records), last=records[-1].id))

    def records(self) -> Iterator[ImageRecord]:
        """What is written, the last part first; of records with one id the last."""
        seen = SeenIds()
        for number in range(self.written.parts, 0, -1):
            yield from self._distinct(number, seen)[0]

    def clean(self, gone: Collection[str] = ()) -> None:
        """Leave out the ids in `gone`, and of records with one id all but the last."""
        seen, rows = SeenIds(), 0
        for number in range(self.written.parts, 0, -1):
            records, vectors, left_out = self._distinct(number, seen, gone)
            rows += len(records)
            if left_out:
                self._put(number, records, vectors)
        self._note(replace(self.written, rows=rows))

    def finish(self) -> None:
        """Put the whole file in its place. Raises ConfigError if there is nothing to write."""
        if self.written.rows:
            unfinished = self._unfinished()
            self._form.join([self._part(number) for number in range(1, self.written.parts + 1)], unfinished)
            unfinished.rename(self._target)
        _forget(self._target)
        if not self.written.rows:
            raise ConfigError(f"there is nothing to write to {self._target}: no image of {self.written.source}")

    def _distinct(self, number: int, seen: SeenIds, gone: Collection[str] = ()) -> tuple[list[ImageRecord], Vectors, int]:
        """A part without what is `seen` or `gone`, and how many rows that leaves out."""
        rows = [row for row in self._form.read(self._part(number)) if isinstance(row, Row)]  # none of ours is broken
        records = [record_of(row.fields) for row in rows]
        again = seen.add([record.id for record in records])
        kept = [place for place, record in enumerate(records) if not again[place] and record.id not in gone]
        vectors = np.stack([row.vector for row in rows]) if rows else np.empty((0, 0), np.float32)
        return [records[place] for place in kept], vectors[kept], len(rows) - len(kept)

    def _put(self, number: int, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        unfinished, part = self._unfinished(), self._part(number)
        self._form.write(unfinished, self.written.model_id, records, vectors)
        if part.is_dir():  # which no folder can replace in one step
            part.rename(_aside(part))
        unfinished.rename(part)
        if _aside(part).is_dir():
            shutil.rmtree(_aside(part))

    def _note(self, written: Written) -> None:
        self.written = written
        write_whole(self._folder / _STATE, json.dumps(asdict(written)).encode())

    def _unfinished(self) -> Path:
        """A free name."""
        path = self._folder / "unfinished"
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        return path

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:06}{self._form.suffix}"


def _forget(target: Path) -> None:
    """The parts of a file that is in its place."""
    folder = _folder(target)
    (folder / _STATE).unlink(missing_ok=True)  # first: parts without it are nobody's
    shutil.rmtree(folder)


def _aside(part: Path) -> Path:
    """Where a part that is a folder lies while another takes its place."""
    return part.with_name(f"before-{part.name}")


def _put_back(folder: Path) -> None:
    """Parts of a writer that was killed before the new one was in their place."""
    for aside in folder.glob("before-part-*"):
        part = folder / aside.name.removeprefix("before-")
        if part.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(part)


def _folder(target: Path) -> Path:
    return target.with_name(f"{target.name}.parts")


def _require_place(target: Path, form: VectorFormat) -> None:
    if form.suffix and target.is_dir():
        raise ConfigError(f"{target} is a folder; name a file, or remove it")
    if not form.suffix and target.exists() and (not target.is_dir() or any(target.iterdir())):
        if (_folder(target) / _STATE).exists():  # its writer was killed behind the last step but one
            with _alone(target):
                _forget(target)
            raise ConfigError(f"{target} is whole; an earlier writer was killed when it had put it there")
        raise ConfigError(f"{target} exists already; remove it, or name another folder for the NumPy arrays")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One writer of a file at a time; the system releases the lock when the process dies."""
    folder = _folder(target)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{target} is being written by another process") from None
        yield
    finally:
        os.close(descriptor)


def _state(target: Path, wanted: Written) -> Written:
    folder = _folder(target)
    try:
        found = Written(**json.loads((folder / _STATE).read_bytes()))
    except FileNotFoundError:
        return wanted
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{folder} holds parts of a file that cannot be gone on with; remove it") from exc
    if (found.model_id, found.source) != (wanted.model_id, wanted.source):
        raise ConfigError(
            f"{folder} holds parts of a file with the vectors of {found.source} by {found.model_id}, not of {wanted.source} by "
            f"{wanted.model_id}. Go on with those, or remove the folder"
        )
    return found
