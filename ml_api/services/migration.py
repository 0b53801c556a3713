"""What a change of the model needs: the vectors in use, and beside them those of another model, made by an ordinary sync."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.encoder import image_model, load_later
from ml_api.services.parts import corpus_of, decoder_of, milvus_store
from ml_api.settings import Settings
from ml_api.vectors.base import Generation, Generations, VectorStore


@dataclass(frozen=True, slots=True)
class Migration:
    """From the generation in use to that of the configured model."""

    generations: Generations
    old: VectorStore
    new: VectorStore
    current: Generation
    wanted: Generation
    indexer: Indexer
    """Makes `new` equal to the corpus."""


@contextmanager
def open_generations(settings: Settings) -> Iterator[Generations]:
    """Raises ConfigError if nothing is indexed yet, or another process owns the embedded store."""
    with closing(milvus_store(settings, Metrics())) as store:
        store.open_current()
        yield store.generations()


@contextmanager
def open_migration(settings: Settings) -> Iterator[Migration]:
    """Begins, or goes on with, the generation of `settings.model`. Raises ConfigError, as `open_generations` does."""
    metrics, corpus = Metrics(), corpus_of(settings)
    pretrained = image_model(settings)
    with ExitStack() as opened:
        old = opened.enter_context(closing(milvus_store(settings, metrics)))
        current = old.open_current()
        new = opened.enter_context(closing(old.beside(pretrained.model_id, pretrained.dim)))
        generations = old.generations()
        every = [current, *generations.others()]
        wanted = next(one for one in every if one.model_id == pretrained.model_id and one.dim == pretrained.dim)
        decoder = opened.enter_context(closing(decoder_of(settings, metrics)))
        load = load_later(settings, pretrained, metrics, opened)
        yield Migration(generations, old, new, current, wanted, Indexer(corpus, new, load, decoder, metrics))
