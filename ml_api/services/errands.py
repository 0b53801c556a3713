"""Errands: what commands ask of the service, which has the embedded store that they cannot open beside it."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from ml_api.errors import InvalidInput
from ml_api.indexing.jobs import Errand
from ml_api.indexing.jobs.execution import Follower
from ml_api.services.switching import Switch
from ml_api.services.transfers import source_of
from ml_api.settings import Settings
from ml_api.vocabulary import JobKind

MAX_NAMED: Final = 20
"""Rows of a file that a command is told of, which were not imported."""


class Errands:
    """Carries them out with the store and the model in use."""

    def __init__(self, settings: Settings, switch: Switch) -> None:
        self._settings = settings
        self._switch = switch

    def run(self, errand: Errand, follower: Follower) -> list[str]:
        """As `execution.RunErrand`. Raises what the command would raise."""
        match errand.kind:
            case JobKind.EXPORT:
                return self._export(Path(errand.file), follower)
            case JobKind.IMPORT:
                return self._import(Path(errand.file), errand.said, follower)
            case JobKind.EVALUATE:
                told = self._relevance(Path(errand.file)) if errand.file else self._recall(errand.queries, errand.k, follower)
                return [json.dumps(told)]
        return self._switch.run(errand, follower)

    def _export(self, target: Path, follower: Follower) -> list[str]:
        from ml_api.vectors.files.parts import PartsWriter
        from ml_api.vectors.files.transfer import export

        store, model_id = self._switch.engine.milvus, self._switch.engine.indexing.model_id
        total = store.count()
        with PartsWriter.open(target, model_id, source_of(self._settings)) as writer:
            is_done = export(store, writer, lambda rows: follower.progress(rows, total), follower.stop)
            return [f"{writer.written.rows:,} images, to {target}"] if is_done else []

    def _import(self, path: Path, said: str, follower: Follower) -> list[str]:
        from ml_api.vectors.files.intake import Intake, require_model
        from ml_api.vectors.files.opening import open_vectors
        from ml_api.vectors.files.transfer import import_

        store, model_id = self._switch.engine.store, self._switch.engine.indexing.model_id
        dim = self._switch.engine.embedder.model.dim
        file = open_vectors(path)
        require_model(file, model_id, dim, said)
        left_out: list[str] = []

        def leave_out(place: str, reason: str) -> None:
            if len(left_out) < MAX_NAMED:
                left_out.append(f"not imported: {place}: {reason}")

        intake = Intake(model_id, dim, leave_out)
        report = import_(file, store, intake, lambda rows: follower.progress(rows, file.rows or rows), follower.stop)
        if report.rows and not report.taken:
            raise InvalidInput(f"none of the {report.rows:,} rows of {path} could be imported: {left_out[0]}")
        return [*left_out, report.summary()]

    def _recall(self, queries: int, k: int, follower: Follower) -> dict[str, Any]:
        from ml_api.evaluation import recall_of, sample
        from ml_api.vectors.base import EFFORTS

        store, index = self._switch.engine.milvus, self._settings.index
        ids, vectors = sample(store, queries)
        efforts = EFFORTS[index].tried if index in EFFORTS and len(ids) > 1 else ()
        rows: list[dict[str, Any]] = []
        for row in recall_of(store, ids, vectors, efforts, k) if len(ids) > 1 else ():
            rows.append(asdict(row))
            follower.progress(len(rows), len(efforts) + 1)
            if follower.stop():
                break
        return {"index": index, "images": len(ids), "rows": rows}

    def _relevance(self, judgements: Path) -> dict[str, Any]:
        from ml_api.calibration.evaluating import evaluate, read_judgements

        upkeep, store = self._switch.engine.calibration, self._switch.engine.milvus
        queries, calibration = read_judgements(judgements), upkeep.kept.calibration()
        return evaluate(queries, replace(upkeep.corpus, store=store), calibration).as_json()
