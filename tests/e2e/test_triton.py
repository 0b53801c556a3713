"""The service with its model on a real Triton server: the main job, and what people see while that server is away."""

import json

import pytest

from ml_api.embedding.pretrained import resolve
from tests.e2e.server_process import MODEL, Server, run
from tests.models.text_encoders import build_distilbert
from tests.servers.triton import TritonServer, skip_without_triton
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """Of random weights, beside the demo model: without one the suites of the encoder ask a server."""
    return build_distilbert(tmp_path_factory.mktemp("text") / "multilingual", dim=resolve(str(MODEL)).dim)


@pytest.fixture(scope="module")
def triton(tmp_path_factory, text_model):
    skip_without_triton()
    folder = tmp_path_factory.mktemp("triton")
    models = {"model": MODEL, "text_model": text_model}
    result = run("triton-repository", folder / "models", precision="fp32", embedding_url="triton://anywhere:8001/demo", **models)
    assert result.returncode == 0, result.stderr
    server = TritonServer(folder / "models", folder / "triton.log")
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def served(triton, demo_corpus, text_model, tmp_path_factory):
    where = {"embedding_url": f"triton://{triton.address}/demo", "text_model": text_model}
    server = Server(tmp_path_factory.mktemp("server"), demo_corpus, text_cache=0, **where)
    server.sync()
    with server:
        yield server


def test_the_main_job_works_with_the_model_on_triton(served):
    answer = served.json("/v1/search/text?q=two+dogs+playing+in+the+snow&limit=5")
    assert len(answer["hits"]) == 5
    hit = answer["hits"][0]
    found = json.loads(served.post("/v1/search/image?limit=1", served.get(hit["links"]["content"])[2], "image/jpeg")[2])
    assert found["hits"][0]["id"] == hit["id"], "an image does not find itself"
    model = served.json("/v1/model")
    assert (model["device"], model["precision"]) == ("cpu", "fp32")
    assert model["text_model"].startswith("multilingual@")


def test_while_triton_is_away_the_service_says_so_and_comes_back_by_itself(served, triton):
    triton.kill()
    try:
        status, _, body = served.get("/readyz")
        parts = json.loads(body)["parts"]
        assert status == 503
        assert triton.address in parts["model"]
        assert parts["store"] == "ok"
        status, headers, body = served.get("/v1/search/text?q=a+dog")
        assert (status, json.loads(body)["code"]) == (503, "model-unavailable")
        assert headers["Retry-After"]
        assert served.get("/livez")[0] == 200
    finally:
        triton.start()
    wait_until(lambda: served.get("/readyz")[0] == 200, PATIENCE_S, "it is not ready again")
    assert served.json("/v1/search/text?q=a+dog&limit=1")["hits"]


def test_without_triton_nothing_starts(demo_corpus, tmp_path):
    result = run("sync", model=MODEL, corpus=demo_corpus, data_dir=tmp_path, embedding_url="triton://127.0.0.1:1/demo")
    assert result.returncode == 2
    assert "127.0.0.1:1 cannot be reached" in result.stderr
