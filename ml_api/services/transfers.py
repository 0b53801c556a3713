"""What commands on what is indexed need: `extract`, `export` and `import`, `duplicates`, `evaluate`."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml_api.errors import InvalidInput
from ml_api.indexing.account import Progress
from ml_api.indexing.carrying_out import Follower
from ml_api.indexing.guard import Consent
from ml_api.indexing.jobs import Errand
from ml_api.indexing.plan import Plan
from ml_api.indexing.report import Report, SyncReport
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.encoder import image_model, load_later
from ml_api.services.indexer import target_of
from ml_api.services.parts import corpus_of, database_of, decoder_of, milvus_endpoint, milvus_store
from ml_api.services.switching import Switch
from ml_api.settings import Settings
from ml_api.texts import TextIndex, TextKeepingStore
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import JobKind

if TYPE_CHECKING:
    from ml_api.vectors.files.opening import VectorFile
    from ml_api.vectors.files.parts import PartsWriter
    from ml_api.vectors.files.transfer import FileStore

MOST_NAMED: Final = 20
"""Rows of a file that a command is told of, which were not imported."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """A sync of the corpus into a file."""

    indexer: Indexer
    store: "FileStore"

    def plan(self) -> Plan:
        """Of a file that is being written nothing is lost by removals."""
        return self.indexer.plan(Consent(empty=True, removals=True, replace=True))

    def run(self, plan: Plan, progress: Progress, stop: Callable[[], bool], files: Report) -> SyncReport:
        """The file is in its place at the end, unless it was stopped. Raises as `Indexer.run` does."""
        try:
            report = self.indexer.run(plan, progress, stop, files)
        finally:
            self.store.flush()
        if not report.stopped and not report.model_failed:
            self.store.finish()
        return report


@contextmanager
def open_extraction(settings: Settings, target: Path) -> Iterator[Extraction]:
    """The model is loaded only if there is something to embed; no vector store is touched. Raises ConfigError."""
    from ml_api.vectors.files.parts import PartsWriter
    from ml_api.vectors.files.transfer import FileStore

    corpus = corpus_of(settings)
    metrics = Metrics()  # nobody's: what a service shows are syncs
    pretrained = image_model(settings)
    with PartsWriter.open(target, pretrained.model_id, corpus.location) as writer, ExitStack() as loaded:
        store = FileStore(writer)
        store.ensure(pretrained.model_id, pretrained.dim)
        decoder = loaded.enter_context(closing(decoder_of(settings, metrics)))
        load = load_later(settings, pretrained, metrics, loaded)
        yield Extraction(Indexer(corpus, store, load, decoder, metrics), store)


@contextmanager
def open_store(settings: Settings) -> Iterator[VectorStore]:
    """What is indexed, for commands that only read it. Raises ConfigError."""
    pretrained = image_model(settings)
    with closing(milvus_store(settings, Metrics())) as store:
        store.ensure(pretrained.model_id, pretrained.dim)
        yield store


@contextmanager
def open_export(settings: Settings, target: Path) -> Iterator[tuple[VectorStore, "PartsWriter"]]:
    """Raises ConfigError."""
    from ml_api.vectors.files.parts import PartsWriter

    pretrained = image_model(settings)
    with closing(milvus_store(settings, Metrics())) as store:
        store.ensure(pretrained.model_id, pretrained.dim)
        with PartsWriter.open(target, pretrained.model_id, _source(settings)) as writer:
            yield store, writer


@dataclass(frozen=True, slots=True)
class Examined:
    """A file whose vectors are those of the configured model."""

    file: "VectorFile"
    said: str
    """The model that the user says made the vectors; empty if the file says it."""
    model_id: str
    dim: int


def examine(settings: Settings, path: Path, said: str, confirm: Callable[["VectorFile", str], bool]) -> Examined:
    """Before the store is opened. `confirm` asks the user for the model if neither they nor the file said it.

    Raises ConfigError and InvalidInput.
    """
    from ml_api.vectors.files.intake import require_model
    from ml_api.vectors.files.opening import open_vectors

    pretrained = image_model(settings)
    model_id, dim = pretrained.model_id, pretrained.dim
    file = open_vectors(path)
    if file.dim == dim and not (file.model_id or said) and confirm(file, model_id):
        said = model_id
    require_model(file, model_id, dim, said)
    return Examined(file, said, model_id, dim)


@contextmanager
def open_import(settings: Settings, examined: Examined) -> Iterator[VectorStore]:
    """Raises ConfigError."""
    with closing(milvus_store(settings, Metrics())) as store, closing(database_of(settings)) as database:
        store.ensure(examined.model_id, examined.dim)
        yield TextKeepingStore(store, TextIndex(database, target_of(settings)))


class Errands:
    """What commands ask of the service: its store is in its own hands, so it writes and reads the file."""

    def __init__(self, settings: Settings, switch: Switch) -> None:
        self._settings = settings
        self._switch = switch

    def run(self, errand: Errand, follower: Follower) -> list[str]:
        """As `carrying_out.RunErrand`. Raises what the command would raise."""
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
        with PartsWriter.open(target, model_id, _source(self._settings)) as writer:
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
            if len(left_out) < MOST_NAMED:
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

        upkeep, store = self._switch.engine.upkeep, self._switch.engine.milvus
        queries, calibration = read_judgements(judgements), upkeep.kept.calibration()
        return evaluate(queries, store, upkeep.metric, upkeep.preprocessor, upkeep.encoder, calibration).as_json()


def _source(settings: Settings) -> str:
    return f"the collection {settings.collection!r} in {milvus_endpoint(settings).address}"
