"""Every request is answered by its deadline, or told that it was not."""

import threading

import pytest

from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder
from ml_api.metrics import Metrics
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import assert_problem, picture

MOST = 30
ROUTES = [
    "/v1/search/text?q=red",
    "/v1/images/{id}/similar",
    "/v1/images/{id}",
    "/v1/images/{id}/content",
    "/v1/images/{id}/thumbnail",
    "/v1/stats",
]


class WatchedStore(MemoryStore):
    """Remembers by when it had to answer."""

    def __init__(self):
        super().__init__()
        self.deadlines = []

    def search(self, vectors, options, deadline=None):
        self.deadlines.append(deadline)
        return super().search(vectors, options, deadline)

    def vectors(self, ids, deadline=None):
        self.deadlines.append(deadline)
        return super().vectors(ids, deadline)


class WatchedEmbedder:
    """Remembers how long it was given."""

    def __init__(self, inner):
        self.inner, self.timeouts_s = inner, []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def embed_all(self, items, timeout_s):
        self.timeouts_s.append(timeout_s)
        return self.inner.embed_all(items, timeout_s)


class StuckEncoder(FakeEncoder):
    """Embeds nothing before the test says so."""

    def __init__(self):
        super().__init__()
        self.may_go_on = threading.Event()

    def embed(self, items):
        assert self.may_go_on.wait(30)
        return super().embed(items)


@pytest.fixture
def watched(make_stand):
    embedder = WatchedEmbedder(BatchingEncoder(FakeEncoder(), Metrics()))
    return make_stand(store=WatchedStore(), embedder=embedder)


def within(seconds):
    return {"X-Request-Timeout": str(seconds)}


@pytest.mark.parametrize("given", ["5", "0.5", "30", "30.0", "3e1", "1E-1"])
def test_a_client_may_say_how_long_it_waits(watched, given):
    assert watched.client.get("/v1/search/text?q=red", headers=within(given)).status_code == 200
    [timeout_s], [deadline] = watched.services.engine.embedder.timeouts_s, watched.services.engine.store.deadlines
    assert deadline.timeout_s == float(given)
    assert 0 < timeout_s <= float(given)


def test_who_says_nothing_waits_as_long_as_the_service_allows(watched):
    watched.client.get("/v1/search/text?q=red")
    watched.client.post("/v1/search/image", data=picture(), content_type="image/png")
    watched.client.get(f"/v1/images/{watched.id('red.png')}/similar")
    assert [deadline.timeout_s for deadline in watched.services.engine.store.deadlines] == [MOST] * 4
    assert all(MOST - 10 < timeout_s <= MOST for timeout_s in watched.services.engine.embedder.timeouts_s)


@pytest.mark.parametrize(
    "given",
    ["0", "0.0", "-1", "30.001", "1e9", "9" * 400, "nan", "NaN", "inf", "-inf", "", " ", "ten", "1_0", "0x10", "5s", "1, 2", "é"],
)
def test_a_time_that_cannot_be_is_refused_with_its_bound(client, given):
    detail = assert_problem(client.get("/v1/search/text?q=red", headers=within(given)), 400, "invalid-timeout")["detail"]
    assert "X-Request-Timeout" in detail
    assert "above 0 and at most 30" in detail


@pytest.mark.parametrize("url", ROUTES)
def test_every_route_that_waits_refuses_such_a_time(client, stand, url):
    assert_problem(client.get(url.format(id=stand.id("red.png")), headers=within("nan")), 400, "invalid-timeout")


@pytest.mark.parametrize("url", ROUTES)
def test_a_time_that_is_up_already_is_answered_at_once(client, stand, url):
    response = client.get(url.format(id=stand.id("red.png")), headers=within("1e-9"))
    assert "within 1e-09 s" in assert_problem(response, 504, "deadline-exceeded")["detail"]


def test_an_image_search_whose_time_is_up_is_told_so(client):
    response = client.post("/v1/search/image", data=picture(), content_type="image/png", headers=within("1e-9"))
    assert_problem(response, 504, "deadline-exceeded")


def test_haste_leaves_no_traceback_in_the_log(client, caplog):
    client.get("/v1/search/text?q=red", headers=within("1e-9"))
    [record] = [record for record in caplog.records if "deadline-exceeded" in record.getMessage()]
    assert (record.levelname, record.exc_info) == ("WARNING", None)


def test_a_client_leaves_a_busy_model_when_its_time_is_up(make_stand):
    stuck = StuckEncoder()
    embedder = BatchingEncoder(stuck, Metrics())
    try:
        response = make_stand(embedder=embedder).client.get("/v1/search/text?q=red", headers=within("0.05"))
        assert_problem(response, 504, "deadline-exceeded")
    finally:
        stuck.may_go_on.set()


def test_every_wait_for_a_store_or_a_model_is_documented_with_its_header(client):
    paths = client.get("/openapi.json").get_json()["paths"]
    timed = {
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if {"$ref": "#/components/parameters/request_timeout"} in operation.get("parameters", [])
    }
    bounded = {
        (method, path) for path, operations in paths.items() for method, each in operations.items() if "504" in each["responses"]
    }
    assert timed == bounded
    versioned = {path for path in paths if path.startswith("/v1/")}
    # Each wait for the database ends after 5 s.
    of_the_database = {path for path in versioned if path.startswith("/v1/sync")} | {"/v1/events", "/v1/feedback"}
    assert {path for _, path in timed} == versioned - {"/v1/model", "/v1/models", "/v1/models/{model_id}"} - of_the_database


def test_the_documented_bound_is_that_of_the_service(client):
    schema = client.get("/openapi.json").get_json()["components"]["parameters"]["request_timeout"]["schema"]
    assert (schema["exclusiveMinimum"], schema["maximum"], schema["default"]) == (0, MOST, MOST)
