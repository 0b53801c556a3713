"""All that belongs to one model, and what the metrics tell of it, whichever takes its place."""

from contextlib import closing

import pytest

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import DeadlineExceeded, ModelUnavailable, StoreUnavailable
from ml_api.indexing.changes import Changes
from ml_api.metrics import Metrics
from ml_api.records import ModelInfo
from ml_api.search import Query, TextTerm
from ml_api.services.encoder import LoadedModel
from ml_api.services.engine import WarmModel, warm_up_encoder
from ml_api.vectors.base import SearchOptions
from tests.api.stand import picture


class Heard(Changes):
    """Remembers how long it was to be waited for."""

    def __init__(self, *args):
        super().__init__(*args)
        self.patience_s = []

    def wait(self, key, deadline):
        self.patience_s.append(deadline.left_s())
        return True


def test_with_a_single_thread_an_upload_can_be_waited_for(make_shared, make_engine):
    shared = make_shared(Heard, ML_API_THREADS="1")
    engine = make_engine(shared)
    assert engine.uploads.is_removed("a.png", Deadline.within(60))
    assert shared.changes.patience_s[0] > 30


class OnDevice(FakeEncoder):
    def __init__(self, name, device):
        super().__init__(name=name)
        self._info = ModelInfo(name, "1", self.model.dim, device, precision="fp32")


class Interrupted(Changes):
    """Does something else between a look at the corpus and the change."""

    meanwhile = None

    def note(self, *args, **more):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().note(*args, **more)


def test_uploads_under_one_key_take_turns_whichever_model_they_began_with(make_shared, make_engine):
    shared = make_shared(Interrupted)
    before, after = make_engine(shared).uploads, make_engine(shared, "another").uploads
    refused = []

    def put_another():
        with pytest.raises(DeadlineExceeded) as caught:
            after.put("a.png", picture(), {"of": "after"}, Deadline.within(0.5))
        refused.append(caught)

    shared.changes.meanwhile = put_another
    before.put("a.png", picture(), {"of": "before"}, Deadline.within(30))
    assert len(refused) == 1
    [change] = shared.changes.claim(1)
    assert change.facts == {"of": "before"}


def put_to_use(metrics, name, device, load_s, folder):
    with closing(BatchingEncoder(OnDevice(name, device), metrics)) as embedder:
        pretrained = PretrainedModel(name, folder, "1", embedder.model.dim)
        WarmModel(pretrained, FakePreprocessor(), embedder, load_s).measured_by(metrics)


def test_the_metrics_tell_of_the_model_in_use_and_how_long_it_took_to_load(tmp_path):
    metrics = Metrics()
    for name, load_s in (("one", 3.0), ("another", 7.0)):
        put_to_use(metrics, name, "cpu", load_s, tmp_path)
        [sample] = [one for family in metrics.registry.collect() for one in family.samples if one.name == "ml_api_model_info"]
        assert sample.labels["model"] == name
        assert metrics.registry.get_sample_value("ml_api_model_load_seconds") == load_s


def test_of_two_models_on_a_gpu_one_after_the_other_the_memory_is_told_once(tmp_path):
    metrics = Metrics()
    put_to_use(metrics, "one", "cuda:0", 3.0, tmp_path)
    put_to_use(metrics, "another", "cuda:0", 7.0, tmp_path)
    told = [one for family in metrics.registry.collect() for one in family.samples if one.name.startswith("ml_api_torch")]
    assert [(one.name, one.labels) for one in told] == [
        ("ml_api_torch_memory_allocated_bytes", {"device": "cuda:0"}),
        ("ml_api_torch_memory_reserved_bytes", {"device": "cuda:0"}),
    ]


class Hearing(FakeEncoder):
    """Fails, if that is wanted, and remembers that it was closed."""

    error = None
    is_closed = False

    def embed(self, items):
        if self.error is not None:
            raise self.error
        return super().embed(items)

    def close(self):
        self.is_closed = True


def warmed_up(encoder, folder):
    pretrained = PretrainedModel("fake", folder, "1", encoder.model.dim)
    return warm_up_encoder(LoadedModel(FakePreprocessor(), encoder, 3.0), pretrained, Metrics())


def test_a_model_that_fails_while_it_is_warmed_up_is_closed(tmp_path):
    encoder = Hearing()
    encoder.error = ModelUnavailable("no")
    with pytest.raises(ModelUnavailable):
        warmed_up(encoder, tmp_path)
    assert encoder.is_closed


def test_a_model_that_is_warm_embeds_until_it_is_closed(tmp_path):
    encoder = Hearing()
    model = warmed_up(encoder, tmp_path)
    with closing(model.embedder):
        assert model.load_s == 3.0
        assert model.embedder.embed_one(model.preprocessor.prepare_text("red"), 30).vector.shape == (encoder.model.dim,)
        assert not encoder.is_closed
    assert encoder.is_closed


def test_an_engine_closes_all_its_parts_even_if_some_fail(shared, make_engine):
    engine, query = make_engine(shared), Query.of(TextTerm("red"), SearchOptions(1))
    engine.work.callback(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.close()
    assert engine.hybrid.begin([query]) is None
    with pytest.raises(StoreUnavailable):
        engine.store.ping()
    with pytest.raises(ModelUnavailable):
        engine.embedder.ping()
