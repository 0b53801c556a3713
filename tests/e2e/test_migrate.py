"""Another model in place of the one in use: embedded beside it, compared, switched to and back, without a search that fails."""

import json
import shutil
import threading
import urllib.parse
import urllib.request
from contextlib import closing
from itertools import pairwise

import pytest

from ml_api.cli.exits import Exit
from ml_api.cli.judgements import evaluate_judgements
from ml_api.cli.migrate import drop_old, migrate, roll_back
from ml_api.cli.parsing import parse
from ml_api.cli.sync import sync as sync_command
from ml_api.errors import ConfigError, SyncRefused
from ml_api.indexing.jobs import SyncOptions
from ml_api.metrics import Metrics
from ml_api.services import open_indexer
from ml_api.services.parts import milvus_store
from ml_api.settings import Settings
from tests.api.stand import picture
from tests.e2e.server_process import MODEL, Server, run
from tests.models.converted_models import share_converted_models
from tests.models.tiny_clip import build_tiny_clip
from tests.waiting import wait_until

PAUSE_S = 0.1
"""Between two searches of a client: without one, they would take the core that the migration needs."""
QUERY = "/v1/search/text?" + urllib.parse.urlencode({"q": "a red cat", "limit": 3})


@pytest.fixture(scope="module")
def new_model(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def pictures(demo_corpus, tmp_path_factory):
    """A few: what a model makes of many is not the subject."""
    folder = tmp_path_factory.mktemp("pictures")
    for one in sorted(demo_corpus.rglob("*.jpg"))[:30]:
        (folder / one.name).write_bytes(one.read_bytes())
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


def judged(settings, models, folder, capsys):
    """What searches by each model find of one picture that a text is judged to mean."""
    key = min(one.name for one in settings.corpus.iterdir())
    (folder / "judged.jsonl").write_text(json.dumps({"text": "two brown dogs in the snow", "key": key}), encoding="utf-8")
    setups = [part for model in models for part in ("--setup", f"model={model}")]
    options, _, _ = parse(["evaluate", "judgements", "--json", "--queries", str(folder / "judged.jsonl"), *setups])
    assert evaluate_judgements(settings, options) is Exit.DONE
    return json.loads(capsys.readouterr().out)["setups"]


def test_there_and_back(settings, new_model, tmp_path, caplog, capsys):
    caplog.set_level("INFO")
    new = settings.model_copy(update={"model": str(new_model)})
    with pytest.raises(ConfigError, match="python -m ml_api sync"):
        migrate(new, switch=True)
    sync(settings)
    with pytest.raises(ConfigError, match="nothing is embedded with the model"):
        judged(settings, [new_model], tmp_path, capsys)

    assert migrate(new, switch=False) is Exit.DONE
    told = capsys.readouterr().out
    one, other = judged(settings, [MODEL, new_model], tmp_path, capsys).items()
    assert [one[0], other[0]] == [f"model={MODEL}", f"model={new_model}"]
    assert one[1]["recall@10"]["mean"] in {0, 1}
    assert one[1]["MRR"]["mean"] != other[1]["MRR"]["mean"], "each ranks the vectors of its own"
    assert "30 added" in caplog.text
    assert "are the same under both models (mean of" in told
    assert in_use(settings) == ("demo model", 30)

    caplog.clear()
    assert migrate(new.model_copy(update={"corpus": None}), switch=True) is Exit.DONE, "where it is stands with the vectors"
    assert "30 unchanged" in caplog.text, "what was embedded already is not embedded again"
    assert in_use(settings) == ("tiny", 30)
    assert migrate(new, switch=True) is Exit.DONE
    assert "is the model in use already" in capsys.readouterr().out

    assert roll_back(settings) is Exit.DONE
    assert in_use(settings) == ("demo model", 30)

    assert drop_old(settings) is Exit.DONE
    assert "removed the vectors of tiny@" in capsys.readouterr().out
    assert drop_old(settings) is Exit.DONE
    assert "which is in use: nothing was removed" in capsys.readouterr().out
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


class Searching:
    """A client that searches all the time, and what it was answered."""

    def __init__(self, service):
        self._service = service
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._search)
        self.failed, self.models = [], []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._done.set()
        self._thread.join()

    def _search(self):
        while not self._done.wait(PAUSE_S):
            status, _, body = self._service.get(QUERY)
            if status == 200:
                self.models.append(json.loads(body)["model"])
            else:
                self.failed.append(body)


def patch(service, image, facts):
    request = urllib.request.Request(
        f"{service.url}/v1/images/{image}",
        json.dumps({"metadata": facts}).encode(),
        {"Content-Type": "application/json"},
        method="PATCH",
    )
    return service.open(request)


@pytest.fixture
def service(settings, pictures, tmp_path):
    """Over an embedded store, and started with the old model."""
    corpus = tmp_path / "pictures"
    shutil.copytree(pictures, corpus)
    sync(settings.model_copy(update={"corpus": corpus}))
    return Server(tmp_path, corpus)


def test_a_service_over_the_embedded_store_changes_its_model_while_it_serves(service, settings, new_model, caplog, capsys):
    corpus = service.settings["corpus"]
    settings = settings.model_copy(update={"corpus": corpus})
    new = settings.model_copy(update={"model": str(new_model)})
    with service:
        edited = service.json("/v1/images?limit=1")["images"][0]["id"]
        assert patch(service, edited, {"seen": "by hand"})[0] == 200
        with Searching(service) as searching:
            assert migrate(new, switch=False) is Exit.DONE
            assert "are the same under both models" in capsys.readouterr().out
            (corpus / "later.png").write_bytes(picture((10, 200, 30)))
            assert migrate(new, switch=True) is Exit.DONE
            assert f"set ML_API_MODEL={new_model}" in capsys.readouterr().out
            wait_until(lambda: searching.models[-1].startswith("tiny"))
        assert not searching.failed
        changes = [one for one, following in pairwise(searching.models) if one != following]
        assert len(changes) == 1, "from one model to the other, once"
        assert service.json("/v1/stats")["images"] == 31
        assert service.json(f"/v1/images/{edited}")["metadata"] == {"seen": "by hand"}
        assert service.json(f"/v1/images/{edited}/similar?limit=3")["hits"]
        with pytest.raises(ConfigError, match="if that is since `migrate`, name the new model here, too"):
            sync_command(settings, SyncOptions())

    with service:  # with the model that it was started with before
        assert service.json(QUERY)["model"].startswith("tiny")
        assert "was migrated from the configured model" in service.log()
        with Searching(service) as searching:
            assert roll_back(new) is Exit.DONE
        assert not searching.failed
        assert service.json(QUERY)["model"].startswith("demo model")
        assert service.json(f"/v1/images/{edited}")["metadata"] == {"seen": "by hand"}
        assert drop_old(settings) is Exit.DONE
        assert "removed the vectors of tiny" in capsys.readouterr().out
        with pytest.raises(SyncRefused, match="has replaced no model whose vectors are still there"):
            roll_back(settings)
    assert "Traceback" not in service.log()


def test_on_a_server_no_search_fails_meanwhile(pictures, new_model, milvus, tmp_path):
    service = Server(tmp_path, pictures, milvus_uri=milvus.uri)
    service.sync()
    with service:
        with Searching(service) as searching:
            migrated = run("migrate", **service.settings | {"model": new_model})
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        assert searching.models
        assert not searching.failed
        assert service.json(QUERY)["model"].startswith("demo model"), "a service that runs stays with its model"
    now = Settings(corpus=pictures, model=str(new_model), data_dir=tmp_path, milvus_uri=milvus.uri)
    assert in_use(now) == ("tiny", 30)
