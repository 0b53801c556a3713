"""The wiring of searches without a running service, for the command `search`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ml_api.corpus.base import Corpus
from ml_api.embedding.base import Preprocessor
from ml_api.errors import ConfigError
from ml_api.images import Decoder
from ml_api.metrics import Metrics
from ml_api.search import Calibrations, Searcher
from ml_api.search.hybrid import Hybrid
from ml_api.services.calibration import stored_calibrations_of
from ml_api.services.encoder import load_model
from ml_api.services.parts import corpus_of, database_of, decoder_of, knowing_corpus, milvus_store
from ml_api.services.target import target_of
from ml_api.settings import Settings
from ml_api.texts import TextIndex

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel
    from ml_api.vectors.milvus import MilvusStore


@dataclass(frozen=True, slots=True)
class Searching:
    searcher: Searcher
    preprocessor: Preprocessor
    decoder: Decoder
    location: str
    """Of the corpus, whether or not it can be reached; empty if the images came from none."""
    open_corpus: Callable[[], Corpus]
    """Raises ConfigError."""


@contextmanager
def open_searching(settings: Settings, model: str = "") -> Iterator[Searching]:
    """With the configured model, or another one that has embedded the corpus. Raises ConfigError, StoreUnavailable."""
    from ml_api.embedding.batching import BatchingEncoder
    from ml_api.embedding.pretrained import resolve

    settings = settings.model_copy(update={"model": model}) if model else settings
    metrics = Metrics()
    pretrained = resolve(settings.model, settings.text_model)
    with ExitStack() as opened:
        store = opened.enter_context(closing(milvus_store(settings, metrics)))  # first: it may be a service's
        if model:
            store = opened.enter_context(closing(_of_model(store, pretrained, model)))
        else:
            store.ensure(pretrained.model_id, pretrained.dim, create=False)
        settings = knowing_corpus(settings, store)
        decoder = opened.enter_context(closing(decoder_of(settings, metrics)))
        preprocessor, encoder, _ = load_model(settings, pretrained)
        embedder = opened.enter_context(closing(BatchingEncoder(encoder, metrics)))
        database = opened.enter_context(closing(database_of(settings)))
        hybrid = opened.enter_context(closing(Hybrid(TextIndex(database, target_of(settings)), store, settings.metric, metrics)))
        calibrations = Calibrations(settings.metric)
        stored_calibrations_of(settings, database, pretrained.model_id, encoder.model).use_in(calibrations)
        searcher = Searcher(preprocessor, embedder, store, metrics, hybrid, calibrations)
        yield Searching(searcher, preprocessor, decoder, str(settings.corpus or ""), partial(corpus_of, settings))


def _of_model(store: "MilvusStore", pretrained: "PretrainedModel", model: str) -> "MilvusStore":
    """The vectors of a model, in use or not. Raises ConfigError if there are none."""
    current = store.open_current()
    if pretrained.model_id == current.model_id:
        return store
    if pretrained.model_id not in {one.model_id for one in store.generations().others()}:
        raise ConfigError(
            f"nothing is embedded with the model {model}: `python -m ml_api migrate --no-switch --model {model}` does that, and "
            "leaves the one in use"
        )
    return store.beside(pretrained.model_id, pretrained.dim)
