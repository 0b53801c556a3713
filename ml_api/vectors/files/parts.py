"""Writes a vector file in parts, in a folder beside it, which are joined at the end; a writer that was stopped or killed continues
after the last part."""

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
    """The progress of a writer. `source` names the corpus or the collection that the rows are of."""

    model_id: str
    source: str
    parts: int = 0
    rows: int = 0
    last: str = ""
    """The id of the last row; an export continues after it."""


class PartsWriter:
    """Writes the vector file `target`. Only `finish` replaces it; until then an existing file stays unchanged."""

    def __init__(self, target: Path, form: VectorFormat, written: Written) -> None:
        self.written = written
        self._target = target
        self._form = form
        self._folder = _folder(target)

    @classmethod
    @contextmanager
    def open(cls, target: Path, model_id: str, source: str) -> Iterator[Self]:
        """Open a writer, which continues after the parts of an earlier writer of the same rows. Raises ConfigError and OSError."""
        form = format_to_write(target)
        _require_place(target, form)
        with _alone(target):
            written = _state(target, Written(model_id, source))
            _put_back(_folder(target))
            yield cls(target, form, written)

    def add(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        """Write a part. When it returns, the part survives the death of the process."""
        number = self.written.parts + 1
        self._put(number, records, vectors)
        self._note(replace(self.written, parts=number, rows=self.written.rows + len(records), last=records[-1].id))

    def records(self) -> Iterator[ImageRecord]:
        """Yield the records written, the last part first; of several with one id only the last."""
        seen = SeenIds()
        for number in range(self.written.parts, 0, -1):
            yield from self._distinct(number, seen)[0]

    def clean(self, gone: Collection[str] = ()) -> None:
        """Remove the rows with ids in `gone`, and of several rows with one id all but the last."""
        seen, rows = SeenIds(), 0
        for number in range(self.written.parts, 0, -1):
            records, vectors, left_out = self._distinct(number, seen, gone)
            rows += len(records)
            if left_out:
                self._put(number, records, vectors)
        self._note(replace(self.written, rows=rows))

    def finish(self) -> None:
        """Join the parts to the file `target`. Raises ConfigError if there are no rows."""
        if self.written.rows:
            unfinished = self._unfinished()
            self._form.join([self._part(number) for number in range(1, self.written.parts + 1)], unfinished)
            unfinished.rename(self._target)
        _forget(self._target)
        if not self.written.rows:
            raise ConfigError(f"there is nothing to write to {self._target}: no image of {self.written.source}")

    def _distinct(self, number: int, seen: SeenIds, gone: Collection[str] = ()) -> tuple[list[ImageRecord], Vectors, int]:
        """The rows of a part without those that are `seen` or `gone`, and the number of these."""
        rows = [row for row in self._form.read(self._part(number)) if isinstance(row, Row)]  # no row written here is broken
        records = [record_of(row.fields) for row in rows]
        again = seen.add([record.id for record in records])
        kept = [place for place, record in enumerate(records) if not again[place] and record.id not in gone]
        vectors = np.stack([row.vector for row in rows]) if rows else np.empty((0, 0), np.float32)
        return [records[place] for place in kept], vectors[kept], len(rows) - len(kept)

    def _put(self, number: int, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        unfinished, part = self._unfinished(), self._part(number)
        self._form.write(unfinished, self.written.model_id, records, vectors)
        if part.is_dir():  # a folder cannot be replaced in one step
            part.rename(_aside(part))
        unfinished.rename(part)
        if _aside(part).is_dir():
            shutil.rmtree(_aside(part))

    def _note(self, written: Written) -> None:
        self.written = written
        write_whole(self._folder / _STATE, json.dumps(asdict(written)).encode())

    def _unfinished(self) -> Path:
        """An unused name for a file or folder being written."""
        path = self._folder / "unfinished"
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        return path

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:06}{self._form.suffix}"


def _forget(target: Path) -> None:
    """Remove the parts of a file that is finished."""
    folder = _folder(target)
    (folder / _STATE).unlink(missing_ok=True)  # first, as parts without it are ignored
    shutil.rmtree(folder)


def _aside(part: Path) -> Path:
    """The name of a part that is a folder while its new version takes its place."""
    return part.with_name(f"before-{part.name}")


def _put_back(folder: Path) -> None:
    """Restore parts whose writer was killed before their new version was in place."""
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
        if (_folder(target) / _STATE).exists():  # its writer was killed after the file was in place, before the parts were removed
            with _alone(target):
                _forget(target)
            raise ConfigError(f"{target} is whole; an earlier writer was killed when it had put it there")
        raise ConfigError(f"{target} exists already; remove it, or name another folder for the NumPy arrays")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold the lock of a file's only writer; the system releases it when the process dies."""
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


def _state(target: Path, new: Written) -> Written:
    """The progress of an earlier writer; `new` if there was none. Raises ConfigError if it wrote other rows."""
    folder = _folder(target)
    try:
        earlier = Written(**json.loads((folder / _STATE).read_bytes()))
    except FileNotFoundError:
        return new
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{folder} holds parts of a file that cannot be gone on with; remove it") from exc
    if (earlier.model_id, earlier.source) != (new.model_id, new.source):
        raise ConfigError(
            f"{folder} holds parts of a file with the vectors of {earlier.source} by {earlier.model_id}, not of {new.source} by "
            f"{new.model_id}. Go on with those, or remove the folder"
        )
    return earlier
