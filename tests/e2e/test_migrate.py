"""Another model in place of the one in use: embedded beside it, compared, switched to and back, without a search that fails."""

import threading
import urllib.parse
from contextlib import closing

import pytest

from ml_api.cli.exits import Exit
from ml_api.cli.migrate import drop_old, migrate, roll_back
from ml_api.errors import ConfigError, SyncRefused
from ml_api.metrics import Metrics
from ml_api.services import open_indexer
from ml_api.services.parts import milvus_store
from ml_api.settings import Settings
from tests.converted_models import share_converted_models
from tests.e2e.server_process import MODEL, Server, run
from tests.tiny_clip import build_tiny_clip

QUERY = "/v1/search/text?" + urllib.parse.urlencode({"q": "a red cat", "limit": 3})


@pytest.fixture(scope="module")
def new_model(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def pictures(demo_corpus, tmp_path_factory):
    """A few: what a model makes of many is not the subject."""
    folder = tmp_path_factory.mktemp("pictures")
    for picture in sorted(demo_corpus.rglob("*.jpg"))[:30]:
        (folder / picture.name).write_bytes(picture.read_bytes())
    return folder


@pytest.fixture
def settings(pictures, tmp_path):
    """Of an embedded store that nobody serves."""
    share_converted_models(tmp_path)
    return Settings(corpus=pictures, model=str(MODEL), device="cpu", data_dir=tmp_path)


def sync(settings):
    with open_indexer(settings) as indexer:
        return indexer.run(indexer.plan())


def in_use(settings):
    """Model and number of images, for whoever opens the store now."""
    with closing(milvus_store(settings, Metrics())) as store:
        return store.open_current().model_id.partition("@")[0].partition(" (")[0], store.count()


def test_there_and_back(settings, new_model, caplog):
    caplog.set_level("INFO")
    new = settings.model_copy(update={"model": str(new_model)})
    with pytest.raises(ConfigError, match="python -m ml_api sync"):
        migrate(new, switch=True)
    sync(settings)

    assert migrate(new, switch=False) is Exit.DONE
    assert "30 added" in caplog.text
    assert "are the same under both models (mean of" in caplog.text
    assert in_use(settings) == ("demo model", 30)

    caplog.clear()
    assert migrate(new, switch=True) is Exit.DONE
    assert "30 unchanged" in caplog.text, "what was embedded already is not embedded again"
    assert in_use(settings) == ("tiny", 30)
    assert migrate(new, switch=True) is Exit.DONE
    assert "is the model in use already" in caplog.text

    assert roll_back(settings) is Exit.DONE
    assert in_use(settings) == ("demo model", 30)

    assert drop_old(settings) is Exit.DONE
    assert "removed the vectors of tiny@" in caplog.text
    with pytest.raises(SyncRefused, match="has replaced no model whose vectors are still there"):
        roll_back(settings)


def test_a_corpus_that_lost_most_of_its_images_is_not_switched_to(settings, new_model, tmp_path):
    sync(settings)
    few = tmp_path / "few"
    few.mkdir()
    picture = next(settings.corpus.rglob("*.jpg"))
    (few / picture.name).write_bytes(picture.read_bytes())

    with pytest.raises(SyncRefused, match="the corpus gave 1 images, but 30 are in use"):
        migrate(settings.model_copy(update={"model": str(new_model), "corpus": few}), switch=True)

    assert in_use(settings) == ("demo model", 30)


def test_on_a_server_no_search_fails_meanwhile(pictures, new_model, milvus, tmp_path):
    service = Server(tmp_path, pictures, milvus_uri=milvus.uri)
    service.sync()
    failed, answered, done = [], [], threading.Event()

    def search():
        while not done.is_set():
            status, _, body = service.get(QUERY)
            (answered if status == 200 else failed).append(body)

    with service:
        searching = threading.Thread(target=search)
        searching.start()
        try:
            migrated = run("migrate", **service.settings | {"model": new_model})
        finally:
            done.set()
            searching.join()
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        assert answered
        assert not failed
        assert service.json(QUERY)["model"].startswith("demo model"), "a service that runs stays with its model"
    now = Settings(corpus=pictures, model=str(new_model), data_dir=tmp_path, milvus_uri=milvus.uri)
    assert in_use(now) == ("tiny", 30)
