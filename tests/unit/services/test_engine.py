"""All that belongs to one model, and what the metrics tell of it, whichever takes its place."""

from contextlib import closing

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.indexing.changes import Changes
from ml_api.metrics import Metrics
from ml_api.records import ModelInfo
from ml_api.services.engine import WarmModel


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
