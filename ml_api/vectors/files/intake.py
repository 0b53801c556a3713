"""Checks the rows of a vector file, for `transfer`, and batches those that a store accepts. Other rows are left out, with their
place and the reason."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.errors import ConfigError, InvalidInput
from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.files.base import BrokenRow, Row
from ml_api.vectors.files.columns import model_of, record_of
from ml_api.vectors.files.opening import VectorFile
from ml_api.vectors.files.seen import SeenIds
from ml_api.vectors.validation import check_records

NORM_TOLERANCE: Final = 1e-4
"""How far the length of a normalised vector may be from 1: more than the error of float16, and less than scores show."""


@dataclass(slots=True)
class ImportReport:
    """Counts of the rows of an import so far."""

    rows: int = 0
    """Rows that were read."""
    taken: int = 0
    normalised: int = 0
    left_out: int = 0

    def summary(self) -> str:
        if not self.rows:
            return "no rows, nothing imported"
        parts = [f"{self.taken:,} imported", f"{self.left_out:,} left out" if self.left_out else ""]
        if self.normalised:
            parts.append(f"{self.normalised:,} vectors were not normalised, and now are")
        return ", ".join(filter(None, parts))


def require_model(file: VectorFile, model_id: str, dim: int, declared: str = "") -> None:
    """Raise ConfigError unless the file's vectors are of this model, as the file states or, if it does not, the caller:
    `declared`."""
    if file.dim and file.dim != dim:
        whose = f" of the model {file.model_id}" if file.model_id else ""
        raise ConfigError(f"{file.path} holds vectors{whose} with {file.dim} dimensions, but the model {model_id} makes {dim}")
    of = file.model_id or declared
    if declared and file.model_id and declared != file.model_id:
        raise ConfigError(f"{file.path} says that its vectors are of the model {file.model_id}, not of {declared}")
    if not of and file.dim:
        raise ConfigError(
            f"{file.path} does not say which model made its vectors. They have {dim} dimensions, as those of {model_id}; "
            f"if they are of that model, add --model-id '{model_id}'"
        )
    if of not in {model_id, ""}:
        raise ConfigError(
            f"{file.path} holds vectors of the model {of}, but the configured model is {model_id}, and vectors of different "
            "models cannot be compared. Set ML_API_MODEL to that model, or extract the vectors again"
        )


@dataclass(slots=True)
class _Waiting:
    places: list[str] = field(default_factory=list)
    records: list[ImageRecord] = field(default_factory=list)
    vectors: list[npt.NDArray[np.float32]] = field(default_factory=list)


class Intake:
    """Checks rows for a model's store. `leave_out` is called with the place and the reason for every row that is not taken."""

    def __init__(self, model_id: str, dim: int, leave_out: Callable[[str, str], None]) -> None:
        self.report = ImportReport()
        self._model_id = model_id
        self._dim = dim
        self._on_left_out = leave_out
        self._seen = SeenIds()

    def batches(self, rows: Iterable[Row | BrokenRow], size: int) -> Iterator[tuple[list[ImageRecord], Vectors]]:
        """Yield batches of at most `size` rows that a store accepts, in the order of the file; of rows with one key the first
        counts.

        If the file ends too early, raises InvalidInput after the rows before.
        """
        waiting, early_end = _Waiting(), None
        try:
            for row in rows:
                self.report.rows += 1
                self._take(row, waiting)
                if len(waiting.records) == size:
                    yield from self._valid(waiting)
                    waiting = _Waiting()
        except InvalidInput as exc:
            early_end = exc
        if waiting.records:
            yield from self._valid(waiting)
        if early_end is not None:
            raise early_end

    def _take(self, row: Row | BrokenRow, waiting: _Waiting) -> None:
        if isinstance(row, BrokenRow):
            self._leave_out(row.place, row.reason)
        elif (of := model_of(row.fields) or self._model_id) != self._model_id:
            self._leave_out(row.place, f"its vector is of the model {of}, not of {self._model_id}")
        elif len(row.vector) != self._dim:
            self._leave_out(row.place, f"its vector has {len(row.vector)} numbers, not {self._dim}")
        else:
            try:
                record = record_of(row.fields)
            except ValueError as exc:
                self._leave_out(row.place, str(exc))
            else:
                waiting.places.append(row.place)
                waiting.records.append(record)
                waiting.vectors.append(row.vector)

    def _valid(self, waiting: _Waiting) -> Iterator[tuple[list[ImageRecord], Vectors]]:
        """Yield the valid rows of a batch, if there are any, and leave out the others."""
        vectors = np.stack(waiting.vectors)
        wrong = self._wrong_vectors(vectors)
        wrong |= self._wrong_records(waiting.records, vectors, wrong)
        good = [number for number in range(len(vectors)) if number not in wrong]
        for number, again in zip(good, self._seen.add([waiting.records[number].id for number in good]), strict=True):
            if again:
                wrong[number] = f"the key {waiting.records[number].key!r} is in the file before; the first row with it is taken"
        for number, reason in sorted(wrong.items()):
            self._leave_out(waiting.places[number], reason)
        good = [number for number in good if number not in wrong]
        if good:
            self.report.taken += len(good)
            yield [waiting.records[number] for number in good], self._normalised(vectors[good])

    def _wrong_vectors(self, vectors: Vectors) -> dict[int, str]:
        finite = np.isfinite(vectors).all(axis=1)
        wrong = {int(number): "its vector is not finite (NaN or infinite)" for number in np.flatnonzero(~finite)}
        nothing = ~vectors.any(axis=1)
        return wrong | {int(number): "its vector is zero and has no direction" for number in np.flatnonzero(nothing)}

    def _wrong_records(self, records: Sequence[ImageRecord], vectors: Vectors, known: Collection[int]) -> dict[int, str]:
        """The reasons why records cannot be stored, by index, besides those `known`. They are checked one by one only if the check
        of all together fails."""
        numbers = [number for number in range(len(records)) if number not in known]
        if self._objection([records[number] for number in numbers], vectors[numbers]) is None:
            return {}
        each = ((number, self._objection([records[number]], vectors[[number]])) for number in numbers)
        return {number: reason for number, reason in each if reason is not None}

    def _objection(self, records: Sequence[ImageRecord], vectors: Vectors) -> str | None:
        """Why a store would refuse these records; None if it would not."""
        try:
            check_records(records, vectors, self._dim)
        except (InvalidInput, ValueError) as exc:
            return str(exc)
        return None

    def _normalised(self, vectors: Vectors) -> Vectors:
        """Normalise the vectors that are not normalised yet; the others stay the same, bit for bit."""
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        off = np.abs(norms - 1) > NORM_TOLERANCE
        self.report.normalised += int(off.sum())
        vectors[off] = (vectors[off] / norms[off, None]).astype(np.float32)
        return vectors

    def _leave_out(self, place: str, reason: str) -> None:
        self.report.left_out += 1
        self._on_left_out(place, reason)
