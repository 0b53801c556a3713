"""What the commands `extract`, `export`, `import`, `duplicates` and `evaluate` need in a process of their own.

A service that has the embedded store exports and imports by the same functions.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_api.errors import InvalidInput
from ml_api.indexing.guard import Consent
from ml_api.indexing.jobs.execution import Follower
from ml_api.indexing.plan import Plan
from ml_api.indexing.recorder import Progress
from ml_api.indexing.report import Report, SyncReport
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.encoder import image_model, load_later
from ml_api.services.parts import corpus_of, database_of, decoder_of, milvus_endpoint, milvus_store
from ml_api.services.target import target_of
from ml_api.settings import Settings
from ml_api.texts import TextIndex, TextIndexingStore
from ml_api.vectors.base import VectorStore

if TYPE_CHECKING:
    from ml_api.vectors.files.opening import VectorFile
    from ml_api.vectors.files.transfer import FileStore


@dataclass(frozen=True, slots=True)
class Extraction:
    """A sync of the corpus into a file."""

    indexer: Indexer
    store: "FileStore"

    def plan(self) -> Plan:
        """The plan, whatever it removes: nothing is lost of a file that is only being written."""
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
        load = load_later(settings, pretrained, loaded)
        yield Extraction(Indexer(corpus, store, load, decoder, metrics), store)


@contextmanager
def open_store(settings: Settings) -> Iterator[VectorStore]:
    """What is indexed, for commands that only read it. Raises ConfigError."""
    pretrained = image_model(settings)
    with closing(milvus_store(settings, Metrics())) as store:
        store.ensure(pretrained.model_id, pretrained.dim, create=False)
        yield store


@contextmanager
def open_export(settings: Settings) -> Iterator[tuple[VectorStore, str]]:
    """What is indexed, and the id of its model. Raises ConfigError."""
    pretrained = image_model(settings)
    with closing(milvus_store(settings, Metrics())) as store:
        store.ensure(pretrained.model_id, pretrained.dim, create=False)
        yield store, pretrained.model_id


def export_images(  # noqa: PLR0913, PLR0917 - from where to where, and who follows it
    store: VectorStore, model_id: str, settings: Settings, target: Path, follower: Follower, tell: Callable[[str], None]
) -> bool:
    """Every stored image with its vector, into a file. False if it was stopped; then the same call goes on where it ended."""
    from ml_api.vectors.files.parts import PartsWriter
    from ml_api.vectors.files.transfer import export

    with PartsWriter.open(target, model_id, source_of(settings)) as writer:
        before, total = writer.written.rows, store.count()
        if before:
            tell(f"going on behind the {before:,} rows that were exported before")
        is_done = export(store, writer, lambda rows: follower.progress(rows, total), follower.stop)
        if is_done:
            tell(f"{writer.written.rows:,} images, to {target}")
    return is_done


@dataclass(frozen=True, slots=True)
class Examined:
    """A file whose vectors are those of a model."""

    file: "VectorFile"
    said: str
    """The model that the user says made the vectors; empty if the file says it."""
    model_id: str
    dim: int


Confirm = Callable[["VectorFile", str], bool]
"""Asks the user whether this model made the vectors of a file that does not say it."""


def examine(path: Path, said: str, model_id: str, dim: int, confirm: Confirm = lambda _file, _model: False) -> Examined:
    """Before anything is written. Raises ConfigError, and InvalidInput for a file of another model or of none that is known."""
    from ml_api.vectors.files.opening import open_vectors

    return _examined(open_vectors(path), said, model_id, dim, confirm)


def _examined(file: "VectorFile", said: str, model_id: str, dim: int, confirm: Confirm) -> Examined:
    from ml_api.vectors.files.intake import require_model

    if file.dim == dim and not (file.model_id or said) and confirm(file, model_id):
        said = model_id
    require_model(file, model_id, dim, said)
    return Examined(file, said, model_id, dim)


@contextmanager
def open_import(settings: Settings, examined: Examined) -> Iterator[VectorStore]:
    """Raises ConfigError."""
    with closing(milvus_store(settings, Metrics())) as store, closing(database_of(settings)) as database:
        store.ensure(examined.model_id, examined.dim)
        yield TextIndexingStore(store, TextIndex(database, target_of(settings)))


def examine_for(settings: Settings, path: Path, said: str, confirm: Confirm) -> Examined:
    """As `examine`, for the configured model, which is looked for after the file: it may be none of this machine."""
    from ml_api.vectors.files.opening import open_vectors

    file = open_vectors(path)
    pretrained = image_model(settings)
    return _examined(file, said, pretrained.model_id, pretrained.dim, confirm)


def import_images(store: VectorStore, examined: Examined, leave_out: Callable[[str, str], None], follower: Follower) -> str:
    """Returns a summary. `leave_out` is called with each row that cannot be imported, and the reason. Raises InvalidInput if none
    can."""
    from ml_api.vectors.files.intake import Intake
    from ml_api.vectors.files.transfer import import_

    file, reasons = examined.file, list[str]()

    def note(place: str, reason: str) -> None:
        if not reasons:
            reasons.append(f"{place}: {reason}")
        leave_out(place, reason)

    intake = Intake(examined.model_id, examined.dim, note)
    report = import_(file, store, intake, lambda rows: follower.progress(rows, file.rows or rows), follower.stop)
    if report.rows and not report.taken:
        raise InvalidInput(f"none of the {report.rows:,} rows of {file.path} could be imported: {reasons[0]}")
    return report.summary()


def source_of(settings: Settings) -> str:
    """Names the collection in files that are written from it."""
    return f"the collection {settings.collection!r} in {milvus_endpoint(settings).address}"
