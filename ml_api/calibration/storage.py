"""Calibrations in the service's database, with the state of the corpus that they were made on."""

import io
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.orm import defer

from ml_api.calibration.fitting import Calibrated
from ml_api.database import Database
from ml_api.database.tables import CalibrationRow
from ml_api.search.logistic import LogisticRegression
from ml_api.search.relevance import Calibration, Calibrations, Reference
from ml_api.vocabulary import QUERY_KINDS, QueryKind

VERSION: Final = 5
"""The version of the signals, of the fingerprints of images, and of what is fitted: a calibration of another one is not used."""
WANTED: Final = 0.0
"""`made_at` of a calibration that is to be made anew."""
_PARTS: Final = ("mean", "scale", "weights", "bias")
"""Of a regression, by the names that they have in what is kept, whatever its fields are called."""
_LIGHT: Final = defer(CalibrationRow.content, raiseload=True)


@dataclass(frozen=True, slots=True)
class StoredCalibrations:
    """The calibrations of one collection and model in the database. Methods that name no kind are about that of `kind`."""

    database: Database
    target: str
    model: str
    """The id of the model, and of the text encoder beside it, if any."""
    kind: QueryKind = "text"

    def row(self) -> CalibrationRow | None:
        """Without its content, which has a number for each image. None if there is none that can be used. Raises
        DatabaseUnavailable.
        """
        with self.database.read() as session:
            return session.scalar(select(CalibrationRow).options(_LIGHT).where(self._usable()))

    def calibration(self) -> Calibration | None:
        """Raises DatabaseUnavailable."""
        with self.database.read() as session:
            content = session.scalar(select(CalibrationRow.content).where(self._usable()))
        return unpacked(content) if content else None

    def use_in(self, calibrations: Calibrations) -> None:
        """Put the stored calibrations of all kinds to use. Raises DatabaseUnavailable."""
        for kind in QUERY_KINDS:
            calibrations.use(kind, self.of(kind).calibration())

    def keep(self, made: Calibrated | None, images: int, verdicts_until: float = math.inf) -> CalibrationRow:
        """In place of an earlier one. None: it was tried, and the corpus has too few texts. Of one that tells nothing only how well
        it was judged is kept. Verdicts that were given after `verdicts_until` are new to it, at the latest those from now on.
        Raises DatabaseUnavailable.
        """
        now = time.time()
        row = CalibrationRow(
            target=self.target,
            model=self.model,
            modality=self.kind,
            version=VERSION,
            made_at=now,
            images=images,
            measures=_told(made) | {"verdicts_until": min(verdicts_until, now)} if made else {},
            content=packed(made.calibration) if made and made.measures.tells else b"",
        )
        with self.database.write() as session:
            session.execute(delete(CalibrationRow).where(self._here()))
            session.add(row)
        return row

    def of(self, kind: QueryKind) -> "StoredCalibrations":
        return replace(self, kind=kind)

    def keep_all(
        self, made: Mapping[QueryKind, Calibrated | None], images: int, verdicts_until: float = math.inf
    ) -> CalibrationRow:
        """Store the calibrations of all kinds, as `keep`; that of texts last, so that readers who find it find all."""
        for kind in reversed(QUERY_KINDS[1:]):
            self.of(kind).keep(made.get(kind), images)
        return self.keep(made.get("text"), images, verdicts_until)

    def _usable(self) -> ColumnElement[bool]:
        return and_(self._here(), CalibrationRow.version == VERSION)

    def _here(self) -> ColumnElement[bool]:
        row = CalibrationRow
        return and_(row.target == self.target, row.model == self.model, row.modality == self.kind)


def _told(made: Calibrated) -> dict[str, Any]:
    counts = {name: getattr(made, name) for name in ("verdicts", "judged_texts", "used_texts")}
    return asdict(made.measures) | {"tells": made.measures.tells} | counts


def want(database: Database, target: str) -> None:
    """Let the service that has `target` open calibrate anew. Raises DatabaseUnavailable."""
    with database.write() as session:
        session.execute(update(CalibrationRow).where(CalibrationRow.target == target).values(made_at=WANTED))


def latest(database: Database, target: str) -> CalibrationRow | None:
    """That of texts that was made last, of any model, without its content. Raises DatabaseUnavailable."""
    ours = and_(CalibrationRow.target == target, CalibrationRow.modality == "text", CalibrationRow.version == VERSION)
    newest = select(CalibrationRow).options(_LIGHT).where(ours).order_by(CalibrationRow.made_at.desc()).limit(1)
    with database.read() as session:
        return session.scalar(newest)


def measures_by_kind(database: Database, row: CalibrationRow) -> dict[str, dict[str, Any]]:
    """The measures of the calibrations that were made together with this one, by kind of query. Raises DatabaseUnavailable."""
    beside = and_(CalibrationRow.target == row.target, CalibrationRow.model == row.model, CalibrationRow.version == VERSION)
    with database.read() as session:
        found = {one.modality: one.measures for one in session.scalars(select(CalibrationRow).options(_LIGHT).where(beside))}
    return {kind: found[kind] for kind in QUERY_KINDS if found.get(kind)}


def packed(calibration: Calibration) -> bytes:
    reference, file = calibration.reference, io.BytesIO()
    fits: dict[str, Any] = {
        f"{name}_{part}": np.asarray(value)
        for name, fit in (("any", calibration.any_match), ("is", calibration.is_match), ("familiar", calibration.is_familiar))
        if fit is not None
        for part, value in zip(_PARTS, (fit.mean, fit.scale, fit.weights, fit.bias), strict=True)
    }
    background = reference.background.astype(np.float16)  # a fourth digit of a score decides nothing
    np.savez(file, background=background, marks=reference.fingerprints, rivals=reference.rivals, **fits)
    return file.getvalue()


def unpacked(content: bytes) -> Calibration:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:

        def regression(name: str) -> LogisticRegression:
            mean, scale, weights, bias = (file[f"{name}_{part}"] for part in _PARTS)
            return LogisticRegression(mean, scale, weights, float(bias))

        reference = Reference(file["background"].astype(np.float32), file["marks"], file["rivals"])
        is_familiar = regression("familiar") if "familiar_bias" in file else None
        return Calibration(reference, regression("any"), regression("is"), is_familiar)
