"""Searching without a service: what the command `search` does where none runs."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from ml_api.corpus.base import Corpus
from ml_api.embedding.base import Preprocessor
from ml_api.images import Decoder
from ml_api.metrics import Metrics
from ml_api.search import Searcher
from ml_api.services.encoder import load_model
from ml_api.services.parts import corpus_of, decoder_of, milvus_store
from ml_api.settings import Settings


@dataclass(frozen=True, slots=True)
class Searching:
    searcher: Searcher
    preprocessor: Preprocessor
    decoder: Decoder
    corpus: Corpus


@contextmanager
def open_searching(settings: Settings) -> Iterator[Searching]:
    """Raises ConfigError, StoreUnavailable."""
    from ml_api.embedding.batching import BatchingEncoder
    from ml_api.embedding.pretrained import resolve

    corpus, metrics = corpus_of(settings), Metrics()
    pretrained = resolve(settings.model, settings.text_model)
    with ExitStack() as opened:
        store = opened.enter_context(closing(milvus_store(settings, metrics)))  # first: it may be a service's
        store.ensure(pretrained.model_id, pretrained.dim)
        decoder = opened.enter_context(closing(decoder_of(settings, metrics)))
        preprocessor, encoder = load_model(settings, pretrained, metrics)
        embedder = opened.enter_context(closing(BatchingEncoder(encoder, metrics)))
        yield Searching(Searcher(preprocessor, embedder, store, metrics), preprocessor, decoder, corpus)
