"""What a change of the model needs where no service runs: the vectors in use, and beside them those of another model."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml_api.indexing.migration import Migration
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.encoder import image_model, load_later
from ml_api.services.parts import corpus_of, decoder_of, knowing_corpus, milvus_store
from ml_api.settings import Settings
from ml_api.vectors.base import Generation, Generations
from ml_api.vectors.filters import Field

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel


@contextmanager
def open_generations(settings: Settings) -> Iterator[Generations]:
    """Raises ConfigError if nothing is indexed yet, or another process owns the embedded store."""
    with closing(milvus_store(settings, Metrics())) as store:
        store.open_current()
        yield store.generations()


@contextmanager
def open_migration(settings: Settings) -> Iterator[Migration]:
    """Begins, or goes on with, the generation of `settings.model`. Raises ConfigError, as `open_generations` does."""
    metrics = Metrics()
    pretrained = image_model(settings)
    with ExitStack() as opened:
        old = opened.enter_context(closing(milvus_store(settings, metrics)))
        current = old.open_current()
        corpus = corpus_of(knowing_corpus(settings, old))
        new = opened.enter_context(closing(old.beside(pretrained.model_id, pretrained.dim)))
        generations = old.generations()
        wanted = generation_of(generations, pretrained, new.fields)
        generations.note_setting(wanted, model_setting(settings))
        decoder = opened.enter_context(closing(decoder_of(settings, metrics)))
        load = load_later(settings, pretrained, opened)
        yield Migration(generations, old, new, current, wanted, Indexer(corpus, new, load, decoder, metrics))


def generation_of(generations: Generations, pretrained: "PretrainedModel", fields: tuple[Field, ...]) -> Generation:
    """The one whose vectors this model makes, with columns for these fields; there is one."""
    every = [generations.current(), *generations.others()]
    return next(one for one in every if (one.model_id, one.dim, one.fields) == (pretrained.model_id, pretrained.dim, fields))


def model_setting(settings: Settings) -> str:
    """What finds the configured model from any working directory."""
    folder = Path(settings.model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else settings.model
