"""Another model takes the place of the one in use, and each step of that fails in turn: which one serves, and what is closed."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from PIL import Image

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.embedding.pretrained import resolve
from ml_api.errors import ConfigError, ModelUnavailable, StoreUnavailable
from ml_api.indexing.changes import Changes
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.jobs import Operation, SyncOptions
from ml_api.indexing.jobs.execution import Follower
from ml_api.indexing.jobs.heartbeat import Heartbeat, Owners
from ml_api.records import image_id
from ml_api.search import Query, TextTerm
from ml_api.services.engine import WarmModel
from ml_api.services.switching import ModelSwitch
from ml_api.services.target import target_of
from ml_api.vectors.base import Generation, SearchOptions
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import JobKind
from tests.waiting import wait_until

EDITED = image_id("red.png")
FOLLOWER = Follower(lambda _done, _total: None, lambda: False)


class Shelf:
    """Stands in for a Milvus: generations with a store each, of which one is in use. Steps can be made to fail."""

    def __init__(self):
        self.generations = {}
        self.stores = {}
        self.used = ""
        self.failing = {}
        """What a step raises, by its name."""
        self.unanswered = 0
        """How often it does not say which generation is in use."""

    def fail(self, step):
        if step in self.failing:
            raise self.failing[step]

    def open(self, model_id, dim):
        if model_id not in self.generations:
            self.generations[model_id] = Generation(f"images_{len(self.generations)}", model_id, dim)
            self.used = self.used or self.generations[model_id].name
        self.stores[model_id] = ShelvedStore(self, model_id, dim)
        return self.stores[model_id]

    def current(self):
        if self.unanswered:
            self.unanswered -= 1
            raise StoreUnavailable("the store does not answer")
        return next(one for one in self.generations.values() if one.name == self.used)

    def others(self):
        return [one for one in self.generations.values() if one.name != self.used]

    def note_setting(self, generation, setting):
        self.fail("note_setting")

    def switch(self, to):
        self.fail("switch")
        self.used = to.name


class ShelvedStore(MemoryStore):
    """What the application uses of a MilvusStore beside what every store has."""

    fields = ()

    def __init__(self, shelf, model_id, dim):
        super().__init__()
        super().ensure(model_id, dim)
        self._shelf = shelf
        self.takes_changes, self.is_closed = True, False

    def ensure(self, model_id, dim):
        self._shelf.fail("ensure")
        super().ensure(model_id, dim)

    def generations(self):
        return self._shelf

    def beside(self, model_id, dim):
        self._shelf.fail("beside")
        return self._shelf.open(model_id, dim)

    def stop_writes(self):
        self.takes_changes = False

    def resume_writes(self):
        self.takes_changes = True

    def upsert(self, records, vectors):
        if any(record.edited for record in records):
            self._shelf.fail("edits")
        super().upsert(records, vectors)

    def close(self):
        self.is_closed = True
        super().close()


class AnsweringEncoder(FakeEncoder):
    """Fails once the model is embedding the corpus, if that is wanted."""

    def __init__(self, name, revision, shelf):
        super().__init__(name=name, revision=revision)
        self._shelf, self.is_closed = shelf, False

    def embed(self, items):
        self._shelf.fail("embed")
        return super().embed(items)

    def close(self):
        self.is_closed = True


class Noticed(Changes):
    """Cannot be followed, if that is wanted."""

    error = None

    def on_notice(self, listener):
        if self.error is not None:
            raise self.error
        super().on_notice(listener)


class Told(Heartbeat):
    """Cannot be told of a model, if that is wanted."""

    error = None

    def embeds_with(self, model):
        if self.error is not None:
            raise self.error
        super().embeds_with(model)


class World:
    """A service over a corpus of two pictures with one model, and another model that lies ready."""

    def __init__(self, folder, shared, make_engine):
        self.folder, self.shared, self.shelf = folder, shared, Shelf()
        for colour in ("red", "blue"):
            Image.new("RGB", (40, 30), colour).save(shared.settings.corpus / f"{colour}.png")
        store = self.shelf.open("fake@1", FakeEncoder().model.dim)
        self.before = make_engine(shared, store=store)
        with self.before.indexing.open(SyncOptions()) as indexer:
            indexer.run(indexer.plan())
        patch_metadata(store, EDITED, {"seen": "by hand"}, Deadline.within(30))
        self.heartbeat = Told(shared.database, target_of(shared.settings), shared.corpus.location, model="fake@1")
        self.coming = None
        self.switch = ModelSwitch(shared, self.before, self.heartbeat, self.warm, ask_again_s=0.0)

    def warm(self, _settings, pretrained, metrics, _beside):
        self.shelf.fail("warm")
        self.coming = AnsweringEncoder(pretrained.name, pretrained.revision, self.shelf)
        return WarmModel(pretrained, FakePreprocessor(), BatchingEncoder(self.coming, metrics), load_s=3.0)

    @property
    def model(self):
        """The folder of a model that can be found, and not be loaded."""
        folder = self.folder / "new"
        folder.mkdir(exist_ok=True)
        config = {"projection_dim": FakeEncoder().model.dim, "vision_config": {}}
        for name in ("tokenizer.json", "preprocessor_config.json", "model.safetensors"):
            (folder / name).write_text("{}")
        (folder / "config.json").write_text(json.dumps(config))
        return str(folder)

    @property
    def new(self):
        """The id of that model."""
        return resolve(self.model).model_id

    def migrate(self, **options):
        return self.switch.run(Operation(JobKind.MIGRATE, model=self.model, **options), FOLLOWER)

    def assert_serves(self, model_id):
        """That model alone: it is found, can be searched and edited, and nothing of the other is open."""
        engine = self.switch.engine
        assert engine.embedder.model.model_id == engine.indexing.model_id == self.shelf.current().model_id == model_id
        found = engine.searcher.search(Query.of(TextTerm("red"), SearchOptions(1)), Deadline.within(30))
        assert [row.hit.record.key for row in found.rows] == ["red.png"]
        assert engine.store.get([EDITED])[EDITED].metadata == {"seen": "by hand"}
        assert engine.milvus.takes_changes
        assert engine.hybrid.begin([Query.of(TextTerm("red"), SearchOptions(1))]) is not None
        for other, store in self.shelf.stores.items():
            assert store.is_closed is (other != model_id)

    def close(self):
        self.switch.close()
        self.switch.engine.close()
        self.heartbeat.close()


@pytest.fixture
def world(tmp_path, make_shared, make_engine):
    with closing(World(tmp_path, make_shared(Noticed), make_engine)) as world:
        yield world


def test_the_new_model_serves_and_the_old_one_is_closed(world):
    lines = world.migrate()
    world.assert_serves(world.new)
    assert f"set ML_API_MODEL={world.model}" in lines[-1]
    assert world.before.hybrid.begin([Query.of(TextTerm("red"), SearchOptions(1))]) is None
    with pytest.raises(ModelUnavailable):
        world.before.embedder.ping()
    [service] = Owners(world.shared.database).services(target_of(world.shared.settings))
    assert service.model == world.new
    assert told_s(world) == 3.0


def told_s(world):
    return world.shared.metrics.registry.get_sample_value("ml_api_model_load_seconds")


def test_a_model_that_shall_not_be_used_yet_is_closed(world):
    world.migrate(switch=False)
    world.assert_serves("fake@1")
    assert world.coming.is_closed


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("beside", StoreUnavailable("no")),
        ("warm", ConfigError("no")),
        ("note_setting", StoreUnavailable("no")),
        ("embed", ModelUnavailable("no")),
        ("ensure", StoreUnavailable("no")),
        ("edits", StoreUnavailable("no")),
        ("switch", StoreUnavailable("no")),
        ("switch", ZeroDivisionError("no")),
    ],
)
def test_a_step_that_fails_before_the_alias_is_moved_leaves_the_old_model_in_use_and_closes_the_new_one(world, step, error):
    world.shelf.failing = {step: error}
    with pytest.raises(type(error)):
        world.migrate()
    world.shelf.failing = {}
    world.assert_serves("fake@1")
    assert world.coming is None or world.coming.is_closed


@pytest.mark.parametrize("unanswered", [0, 3])
def test_a_move_of_the_alias_that_fails_after_it_was_made_counts(world, unanswered, caplog):
    def fail(generation):
        type(world.shelf).switch(world.shelf, generation)
        world.shelf.unanswered = unanswered
        raise StoreUnavailable("no answer in time")

    world.shelf.switch = fail
    world.migrate()
    world.assert_serves(world.new)
    assert "is in use, though the store failed to say so: no answer in time" in caplog.text


def test_who_waits_to_hear_where_the_alias_leads_is_not_waited_for(world):
    def fail(_generation):
        world.shelf.unanswered = 10**9
        world.switch.close()
        raise StoreUnavailable("no answer in time")

    world.shelf.switch = fail
    with pytest.raises(StoreUnavailable):
        world.migrate()
    world.shelf.unanswered = 0
    assert world.switch.engine is world.before
    assert world.coming.is_closed


def test_a_stop_does_not_wait_for_requests_that_hold_the_old_model(world):
    """Its job would be recorded as stopped, though the new model is in use."""
    world.before.requests.begin()  # a request that never ends
    with ThreadPoolExecutor(1) as thread:
        migration = thread.submit(world.migrate)
        wait_until(lambda: told_s(world) == 3.0)  # which is the last step but one
        assert not world.shelf.stores["fake@1"].is_closed
        world.switch.close()
        assert "is in use now" in migration.result(timeout=10)[-1]
    assert world.shelf.stores["fake@1"].is_closed


@pytest.mark.parametrize("step", ["heartbeat", "work of the old one", "work of the new one"])
def test_what_fails_after_the_alias_was_moved_is_logged_and_undoes_nothing(world, caplog, step):
    match step:
        case "heartbeat":
            world.heartbeat.error = ZeroDivisionError("no")
        case "work of the old one":
            world.before.work.callback(lambda: 1 / 0)
        case "work of the new one":
            world.shared.changes.error = ZeroDivisionError("no")
    lines = world.migrate()
    world.assert_serves(world.new)
    assert "is in use now" in lines[-1]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        f"{world.new} is in use, though not all that follows was done"
    ]
