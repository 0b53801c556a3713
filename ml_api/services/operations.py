"""Operations that the service carries out for commands, which cannot open the embedded store beside it."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from ml_api.indexing.jobs import Operation
from ml_api.indexing.jobs.execution import Follower
from ml_api.services.switching import ModelSwitch
from ml_api.services.transfers import examine, export_images, import_images
from ml_api.settings import Settings
from ml_api.vocabulary import JobKind

MAX_NAMED: Final = 20
"""The most rows of a file that are listed as not imported."""


class Operations:
    """Carries out operations with the store and the model in use."""

    def __init__(self, settings: Settings, switch: ModelSwitch) -> None:
        self._settings = settings
        self._switch = switch

    def run(self, operation: Operation, follower: Follower) -> list[str]:
        """As `execution.RunOperation`. Raises what the command would raise."""
        match operation.kind:
            case JobKind.EXPORT:
                return self._export(Path(operation.file), follower)
            case JobKind.IMPORT:
                return self._import(Path(operation.file), operation.said, follower)
            case JobKind.EVALUATE:
                told = (
                    self._relevance(Path(operation.file))
                    if operation.file
                    else self._recall(operation.queries, operation.k, follower)
                )
                return [json.dumps(told)]
        return self._switch.run(operation, follower)

    def _export(self, target: Path, follower: Follower) -> list[str]:
        engine, lines = self._switch.engine, list[str]()
        export_images(engine.milvus, engine.indexing.model_id, self._settings, target, follower, lines.append)
        return lines

    def _import(self, path: Path, said: str, follower: Follower) -> list[str]:
        engine, left_out = self._switch.engine, list[str]()
        examined = examine(path, said, engine.indexing.model_id, engine.embedder.model.dim)

        def leave_out(place: str, reason: str) -> None:
            if len(left_out) < MAX_NAMED:
                left_out.append(f"not imported: {place}: {reason}")

        done = import_images(engine.store, examined, leave_out, follower)
        return [*left_out, done]

    def _recall(self, queries: int, k: int, follower: Follower) -> dict[str, Any]:
        from ml_api.evaluation import recall_of_index

        index, rows = self._settings.index, list[dict[str, Any]]()
        found = recall_of_index(self._switch.engine.milvus, index, queries, k)
        for row in found.rows:
            rows.append(asdict(row))
            follower.progress(len(rows), found.steps)
            if follower.stop():
                break
        return {"index": index, "images": found.images, "rows": rows}

    def _relevance(self, judgements: Path) -> dict[str, Any]:
        from ml_api.calibration.evaluating import evaluate, read_labelled

        upkeep, store = self._switch.engine.calibration, self._switch.engine.milvus
        queries, calibration = read_labelled(judgements), upkeep.kept.calibration()
        return evaluate(queries, replace(upkeep.corpus, store=store), calibration).as_json()
