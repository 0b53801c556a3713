"""The wiring of calibrations, in the service and in a process of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from ml_api.calibration import IndexedCorpus, StoredCalibrations
from ml_api.database import Database
from ml_api.metrics import Metrics
from ml_api.records import ModelInfo
from ml_api.services.encoder import load_model
from ml_api.services.parts import database_of, milvus_store
from ml_api.services.target import target_of
from ml_api.settings import Settings


def stored_calibrations_of(settings: Settings, database: Database, model_id: str, model: ModelInfo) -> StoredCalibrations:
    return StoredCalibrations(database, target_of(settings), f"{model_id} {model.text_model}".strip())


@dataclass(frozen=True, slots=True)
class CalibrationParts:
    """The parts of a calibration."""

    corpus: IndexedCorpus
    kept: StoredCalibrations


@contextmanager
def open_calibration(settings: Settings) -> Iterator[CalibrationParts]:
    """The parts of a calibration in a process of its own. Raises ConfigError."""
    from ml_api.embedding.pretrained import resolve

    pretrained, metrics = resolve(settings.model, settings.text_model), Metrics()
    with ExitStack() as opened:
        store = opened.enter_context(closing(milvus_store(settings, metrics)))
        store.ensure(pretrained.model_id, pretrained.dim, create=False)
        database = opened.enter_context(closing(database_of(settings)))
        preprocessor, encoder, _ = load_model(settings, pretrained)
        opened.enter_context(closing(encoder))
        corpus = IndexedCorpus(store, settings.metric, preprocessor, encoder)
        yield CalibrationParts(corpus, stored_calibrations_of(settings, database, pretrained.model_id, encoder.model))
