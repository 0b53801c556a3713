"""A change of the model, in the service and where none runs: the vectors in use, and beside them those of another model.

Both take the same steps and say the same of them. How the new vectors come into use is their own.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml_api.errors import SyncRefused
from ml_api.indexing.migration import Migration
from ml_api.indexing.recorder import Progress
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.encoder import image_model, load_later
from ml_api.services.parts import corpus_of, decoder_of, knowing_corpus, milvus_store
from ml_api.settings import Settings
from ml_api.vectors.base import Generation, Generations
from ml_api.vectors.filters import Field

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel


Tell = Callable[[str], None]
"""Gets what was done, line by line, for people."""


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


def prepare(
    migration: Migration, follow: Callable[[int], AbstractContextManager[Progress]], stop: Callable[[], bool], tell: Tell
) -> bool:
    """Whether the new vectors may come into use; false if it was stopped. Raises SyncRefused, and as `Migration.embed` does."""
    from ml_api.evaluation import overlap

    tell(migration.summary)
    if not migration.embed(follow, stop):
        return False
    migration.require_enough()
    tell(str(overlap(migration.old, migration.new)))
    return True


def in_use_already(current: Generation) -> str:
    return f"{current.model_id} is the model in use already"


def not_switched(current: Generation) -> str:
    return f"{current.model_id} is still in use; the same command without --no-switch goes on"


def replaced(generations: Generations) -> Generation:
    """The one that was in use before. Raises SyncRefused."""
    current = generations.current()
    before = next((one for one in generations.others() if one.name == current.replaced), None)
    if before is None:
        raise SyncRefused(f"{current.model_id} has replaced no model whose vectors are still there")
    return before


def drop_others(generations: Generations, tell: Tell) -> None:
    """Remove the vectors of all models that are not in use."""
    others = generations.others()
    if not others:
        tell(f"there are no vectors but those of {generations.current().model_id}, which is in use: nothing was removed")
    for generation in others:
        generations.drop(generation)
        tell(f"removed the vectors of {generation.model_id} ({generation.name})")


def generation_of(generations: Generations, pretrained: "PretrainedModel", fields: tuple[Field, ...]) -> Generation:
    """The one whose vectors this model makes, with columns for these fields; there is one."""
    every = [generations.current(), *generations.others()]
    return next(one for one in every if (one.model_id, one.dim, one.fields) == (pretrained.model_id, pretrained.dim, fields))


def model_setting(settings: Settings) -> str:
    """What finds the configured model from any working directory."""
    folder = Path(settings.model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else settings.model
