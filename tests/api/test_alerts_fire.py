"""Every alert on what the service exports can fire: a fault in the application moves its metrics, and promtool asks the rules."""

import logging
import time
from types import SimpleNamespace

import pytest

from ml_api.corpus.folder import FolderCorpus
from ml_api.database.tables import ChangeRow
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakePreprocessor
from ml_api.errors import ModelOutOfMemory, ModelUnavailable, StoreUnavailable
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.changes import Source
from ml_api.indexing.jobs import SyncOptions
from ml_api.indexing.sync import Indexer
from ml_api.logs.throttle import LogThrottle
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncFile
from ml_api.serving.refusing import Refusals, too_many
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import picture
from tests.dashboards import rules
from tests.failing import FailingEncoder, FailingStore
from tests.gpus import TwoGpus
from tests.recording import Recording
from tests.waiting import wait_until

HOUR = 60
DAY = 24 * HOUR
COARSE = 10
"""Minutes a step where an alert looks back for days."""

ELSEWHERE = {
    "TargetDown": "`up` is Prometheus's own; a real Prometheus fires it in tests/e2e/test_fault.py",
    "Watchdog": "fires always, in tests/e2e/test_fault.py",
    "StoreErrors": "from a real Milvus server that is killed, in tests/e2e/test_fault.py",
    "StoreLatencyGap": "from a real Milvus server behind a slow line, in tests/e2e/test_fault.py",
    "RestartLoop": "`process_start_time_seconds` is of the Python client; see test_a_process_tells_when_it_started",
    "RuleFailures": "Prometheus's own; that the series exists is shown by tests/e2e/test_dashboards.py",
    "DiskWillFill": "the node exporter's; that the series exist is shown by tests/e2e/test_dashboards.py",
    "MemoryPressure": "the node exporter's; that the series exist is shown by tests/e2e/test_dashboards.py",
}
"""Alerts whose metrics are not the application's, or need more than it."""


class HotGpus(TwoGpus):
    """They are full, and hot."""

    def nvmlDeviceGetMemoryInfo(self, gpu):  # noqa: N802 - NVIDIA's name
        return SimpleNamespace(used=2**34 - 2**28, total=2**34)

    def nvmlDeviceGetTemperature(self, gpu, sensor):  # noqa: N802
        return 89


@pytest.fixture
def service(make_stand):
    """The application over a model and a store that can be made to fail."""
    metrics, encoder, store = Metrics(), FailingEncoder(), FailingStore()
    stand = make_stand(metrics=metrics, embedder=BatchingEncoder(encoder, metrics), store=store)
    metrics.embedding.describe_model(encoder.model, 0.0)
    stand.encoder, stand.store = encoder, store
    stand.services.engine.health.update_metrics()
    return stand


def record(service, step_minutes=1):
    return Recording(service.services.metrics.registry, step_minutes)


def search(service, times=1):
    for _ in range(times):
        service.client.get("/v1/search/text?q=red&limit=2")


def empty(service):
    service.store.delete([service.id(key) for key in ("red.png", "sub/green.png", "blue.png", "pink.png")])


def model_does_not_answer(service, _folder):
    service.encoder.error = ModelUnavailable("gone")
    service.services.engine.health.update_metrics()
    recording = record(service)
    recording.hold(10)
    return recording


def more_is_asked_than_can_be_answered(service, _folder):
    recording, refusals = record(service), Refusals(service.app, LogThrottle(logging.getLogger("ml_api")))

    def ask():
        search(service, 9)
        refusals.overloaded("GET", "/v1/search/text", None, too_many())

    recording.repeat(ask, 10)
    return recording


def vectors_are_not_finite(service, _folder):
    recording = record(service)
    recording.hold(15)
    service.encoder.spoiled = True
    recording.repeat(lambda: search(service), 2)
    return recording


def memory_of_the_model_is_used_up(service, _folder):
    recording = record(service)
    recording.hold(15)
    service.encoder.error = ModelOutOfMemory("full")
    recording.repeat(lambda: search(service), 2)
    return recording


def store_does_not_answer(service, _folder):
    recording = record(service)
    recording.hold(5)
    service.store.error = StoreUnavailable("gone")
    service.services.engine.health.update_metrics()
    recording.hold(5)
    return recording


def best_hits_become_worse(service, _folder):
    recording = record(service, COARSE)
    recording.repeat(lambda: search(service, 10), 2 * DAY)
    service.store.delete([service.id(key) for key in ("red.png", "pink.png")])
    recording.repeat(lambda: search(service, 10), 9 * HOUR)
    return recording


def the_index_misses_images(service, _folder):
    recording = record(service)
    recording.repeat(lambda: service.services.metrics.search.recalled(0.8), 2 * HOUR)
    return recording


def nothing_is_found(service, _folder):
    recording = record(service)
    recording.repeat(lambda: search(service, 4), 3 * HOUR)
    empty(service)
    recording.repeat(lambda: search(service, 4), HOUR)
    return recording


def a_gpu_is_full_and_hot(service, _folder):
    service.services.metrics.gpu.watch(HotGpus())
    recording = record(service)
    recording.hold(15)
    return recording


def searches_fail(service, _folder):
    recording = record(service)
    service.store.error = StoreUnavailable("gone")
    recording.repeat(lambda: search(service, 10), 2 * HOUR)
    return recording


def searches_are_slow(service, _folder):
    recording = record(service)
    service.store.delay_s = 1.05  # without a GPU a second is allowed
    recording.repeat(lambda: search(service), 2 * HOUR)
    return recording


class Syncs:
    """Syncs of a folder of images, in which the model fails; the service passes their metrics on."""

    def __init__(self, service, folder):
        self._root, self._file = folder / "arriving", folder / "sync.prom"
        self._root.mkdir()
        service.services.metrics.registry.register(SyncFile(self._file))

    def die(self, files):
        for number in range(files):
            (self._root / f"{number}.png").write_bytes(picture((number, 0, 0), (8, 8)))
        metrics, encoder, store = Metrics(), FailingEncoder(), MemoryStore()
        encoder.error = ModelUnavailable("gone")
        store.ensure(encoder.model.model_id, encoder.model.dim)
        indexer = Indexer(
            FolderCorpus(self._root),
            store,
            lambda: (FakePreprocessor(), encoder),
            InlineDecoder(ImageLimits(10**6, 10**6, 20)),
            metrics,
        )
        with pytest.raises(ModelUnavailable):
            indexer.run(indexer.plan())
        metrics.sync.save(self._file)


def a_sync_dies(service, folder):
    Syncs(service, folder).die(files=3)
    recording = record(service)
    recording.hold(HOUR)
    return recording


def a_sync_is_refused(service, _folder):
    recording, syncs = record(service), service.services.syncs
    for picture_file in service.root.rglob("*.png"):
        picture_file.unlink()
    job = syncs.submit(SyncOptions())
    wait_until(lambda: not syncs.jobs.get(job.id).active)
    recording.hold(HOUR)
    return recording


def the_index_lags_behind(service, folder):
    Syncs(service, folder).die(files=3)
    recording = record(service)
    recording.hold(9 * HOUR)
    return recording


def files_arrive_faster_than_they_are_indexed(service, folder):
    syncs, recording = Syncs(service, folder), record(service)
    for files in range(101, 108):
        syncs.die(files)
        recording.hold(15)
    return recording


def a_change_waits(service, _folder):
    changes = service.services.changes
    with service.services.database.write() as session:
        old = {"corpus": service.services.corpus.location, "key": "denied.png", "notice": "1", "source": "upload"}
        session.add(ChangeRow(**old, received_at=time.time() - 3600, not_before=time.time() + 300, facts=None))
    changes.note(["red.png"], Source.EVENT)  # the backlog is measured
    recording = record(service)
    recording.hold(10)
    return recording


STORIES = {
    ("ModelNotReady",): model_does_not_answer,
    ("RequestsRefused",): more_is_asked_than_can_be_answered,
    ("EmbeddingNonFinite",): vectors_are_not_finite,
    ("GpuOutOfMemory",): memory_of_the_model_is_used_up,
    ("StoreDown",): store_does_not_answer,
    ("SimilarityDrift",): best_hits_become_worse,
    ("RecallLow",): the_index_misses_images,
    ("ZeroHitSpike",): nothing_is_found,
    ("GpuMemoryFull", "GpuHot"): a_gpu_is_full_and_hot,
    ("SearchErrorBudgetBurn",): searches_fail,
    ("SearchLatencyBudgetBurn",): searches_are_slow,
    ("SyncStalled",): a_sync_dies,
    ("CorpusFreshnessBudgetBurn",): the_index_lags_behind,
    ("SyncFailed",): a_sync_is_refused,
    ("ChangesWaiting",): a_change_waits,
    ("SyncBacklogGrowing",): files_arrive_faster_than_they_are_indexed,
}
ALERTS = [rule for rule in rules() if "alert" in rule]


@pytest.mark.parametrize(("names", "story"), STORIES.items(), ids=[story.__name__ for story in STORIES.values()])
def test_an_alert_fires_from_what_the_service_exports(service, tmp_path, names, story):
    alerts = [rule for rule in ALERTS if rule["alert"] in names]
    assert story(service, tmp_path).firing(alerts, tmp_path) == alerts


def test_a_service_that_is_well_fires_nothing(service, tmp_path):
    recording = record(service)
    recording.repeat(lambda: search(service, 4), 2 * HOUR)
    told = [rule for rule in ALERTS if rule["alert"] not in ELSEWHERE]
    assert recording.firing(told, tmp_path) == []


def test_every_alert_has_a_story_or_says_where_it_fires():
    told = {name for names in STORIES for name in names} | ELSEWHERE.keys()
    assert {rule["alert"] for rule in ALERTS} == told


def test_a_process_tells_when_it_started():
    assert Metrics().registry.get_sample_value("process_start_time_seconds") > 0
