"""What the commands `extract`, `export`, `import`, `duplicates` and `evaluate` need in a process of their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_api.indexing.account import Progress
from ml_api.indexing.guard import Consent
from ml_api.indexing.plan import Plan
from ml_api.indexing.report import Report, SyncReport
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.encoder import image_model, load_later
from ml_api.services.indexer import target_of
from ml_api.services.parts import corpus_of, database_of, decoder_of, milvus_endpoint, milvus_store
from ml_api.settings import Settings
from ml_api.texts import TextIndex, TextIndexingStore
from ml_api.vectors.base import VectorStore

if TYPE_CHECKING:
    from ml_api.vectors.files.opening import VectorFile
    from ml_api.vectors.files.parts import PartsWriter
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
        store.ensure(pretrained.model_id, pretrained.dim)
        yield store


@contextmanager
def open_export(settings: Settings, target: Path) -> Iterator[tuple[VectorStore, "PartsWriter"]]:
    """Raises ConfigError."""
    from ml_api.vectors.files.parts import PartsWriter

    pretrained = image_model(settings)
    with closing(milvus_store(settings, Metrics())) as store:
        store.ensure(pretrained.model_id, pretrained.dim)
        with PartsWriter.open(target, pretrained.model_id, source_of(settings)) as writer:
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
        yield TextIndexingStore(store, TextIndex(database, target_of(settings)))


def source_of(settings: Settings) -> str:
    """Names the collection in files that are written from it."""
    return f"the collection {settings.collection!r} in {milvus_endpoint(settings).address}"
