"""What is loaded, stored and ready, and what every request leaves in log and metrics."""

import json
import logging
from collections import Counter

import numpy as np
import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from ml_api.calibration import Calibrated, StoredCalibrations, want
from ml_api.calibration.measuring import Measures
from ml_api.errors import DeadlineExceeded, ModelUnavailable, Overloaded, StoreUnavailable
from ml_api.logs import EcsFormatter
from ml_api.search.logistic import LogisticRegression
from ml_api.search.relevance import Calibration, Reference
from tests.api.stand import COLOURS, assert_problem, picture
from tests.failing import FailingStore

PARTS = ("similar", "content", "thumbnail")
NO_ANSWER = StoreUnavailable("the vector store does not answer")


def test_the_model_is_described(client, stand):
    body = client.get("/v1/model").get_json()
    assert body["name"] == stand.services.engine.embedder.model.name
    assert body["dim"] == stand.services.engine.embedder.model.dim


def test_stats_count_the_images(client):
    assert client.get("/v1/stats").get_json() == {
        "images": len(COLOURS),
        "collection": "images",
        "backend": "memory",
        "metric": "COSINE",
        "calibration": None,
    }


def test_stats_say_how_scores_are_calibrated_and_on_how_many_verdicts(stand, client):
    measures = Measures(queries=880, raw_auc=0.86, auc=0.97, calibration_error=0.0131, paired_auc=0.96)
    fit = LogisticRegression(np.zeros(7), np.ones(7), np.ones(7), 0.0)
    reference = Reference(np.eye(2, dtype=np.float32), np.empty(0, np.uint64), np.empty(0, np.float32))
    made = Calibrated(Calibration(reference, fit, fit), 240, 400, measures, verdicts=50, judged_texts=10, used_texts=8)
    database, target = stand.services.database, stand.services.judgements.target
    stand.services.engine.calibration.kept.keep(made, 240)
    StoredCalibrations(database, target, "another model, used since").keep(made, 100)
    told = client.get("/v1/stats").get_json()["calibration"]
    assert told.pop("made_at") > "2026"
    assert told == {
        "images": 240,
        "searches": 880,
        "auc": 0.97,
        "calibration_error": 0.013,
        "verdicts": 50,
        "judged_texts": 10,
        "used_texts": 8,
    }
    want(database, target)
    assert client.get("/v1/stats").get_json()["calibration"]["made_at"] is None
    with database.write() as session:
        session.execute(text("DROP TABLE calibrations"))
    response = client.get("/v1/stats")
    assert (response.status_code, response.get_json()["calibration"]) == (200, None), "the page asks for the number of images"


def test_a_working_service_is_alive_and_ready(client):
    assert client.get("/livez").get_json() == {"status": "alive"}
    assert client.get("/readyz").get_json() == {"ready": True, "parts": {"model": "ok", "store": "ok"}}


def test_readiness_names_the_part_that_does_not_work(make_stand):
    stand = make_stand(store=(store := FailingStore()))
    store.error = NO_ANSWER
    response = stand.client.get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["parts"] == {"model": "ok", "store": "the vector store does not answer"}
    assert stand.client.get("/livez").status_code == 200


def test_a_closed_model_is_not_ready(stand, client):
    stand.services.engine.embedder.close()
    assert client.get("/readyz").get_json()["parts"]["model"] != "ok"
    assert_problem(client.get("/v1/search/text?q=red"), 503, "model-unavailable")


def test_a_store_that_fails_is_a_503_to_be_tried_again(make_stand):
    stand = make_stand(store=(store := FailingStore()))
    store.error = NO_ANSWER
    response = stand.client.get("/v1/search/text?q=red")
    assert_problem(response, 503, "store-unavailable")
    assert int(response.headers["Retry-After"]) >= 1


class FailingEmbedder:
    """An embedder that answers every input with one error."""

    def __init__(self, inner, error):
        self.inner, self.error = inner, error
        self.model, self.ping, self.close = inner.model, inner.ping, inner.close

    def embed_one(self, item, timeout_s):
        raise self.error

    def embed_all(self, items, timeout_s):
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Overloaded("the queue is full"), 503, "overloaded"),
        (DeadlineExceeded("too late"), 504, "deadline-exceeded"),
        (ModelUnavailable("the model failed"), 503, "model-unavailable"),
    ],
)
def test_failures_of_the_model_are_told_apart(make_stand, stand, error, status, code):
    failing = make_stand(embedder=FailingEmbedder(stand.services.engine.embedder, error))
    assert_problem(failing.client.get("/v1/search/text?q=red"), status, code)


def test_an_unknown_exception_never_reaches_the_wire(make_stand, stand):
    failing = make_stand(embedder=FailingEmbedder(stand.services.engine.embedder, KeyError("secret detail")))
    body = assert_problem(failing.client.get("/v1/search/text?q=red"), 500, "internal")
    assert "secret" not in json.dumps(body)


def test_a_request_id_is_taken_over_if_it_is_safe(client):
    assert client.get("/livez", headers={"X-Request-ID": "abc-1.2_3"}).headers["X-Request-ID"] == "abc-1.2_3"
    for odd in ("", "x" * 65, "a b", "a\tb", 'a"b', "é"):
        made = client.get("/livez", headers={"X-Request-ID": odd}).headers["X-Request-ID"]
        assert len(made) == 32
        assert made != odd


def metric(stand, name, **labels):
    return stand.services.metrics.registry.get_sample_value(name, labels)


def test_requests_are_counted_by_route_rule(stand, client):
    client.get(f"/v1/images/{stand.id('red.png')}")
    client.get(f"/v1/images/{stand.id('blue.png')}")
    client.get("/no/such/route")
    count = "http_request_duration_seconds_count"
    assert metric(stand, count, method="GET", route="/v1/images/<image_id>", status="200") == 2
    assert metric(stand, count, method="GET", route="__unmatched__", status="404") == 1
    assert metric(stand, "http_requests_in_progress", route="/v1/images/<image_id>") == 0


def test_a_head_request_counts_as_the_get_that_it_is(stand, client):
    client.head("/livez")
    assert metric(stand, "http_request_duration_seconds_count", method="GET", route="/livez", status="200") == 1


def test_odd_requests_add_no_series(stand, client):
    def series():
        return sum(len(list(family.samples)) for family in stand.services.metrics.registry.collect())

    client.open("/x", method="GET")
    client.open("/x", method="BREW")
    before = series()
    for number in range(250):
        odd = {"User-Agent": f"odd/{number}", "X-Request-ID": f"odd-{number}", "traceparent": f"00-{number:032x}-{number:016x}-01"}
        client.open(f"/odd/{number}", method="GET", headers=odd | {f"X-Odd-{number}": "odd"})
        client.open(f"/odd/{number}", method=f"M{number}", headers=odd)
    assert series() == before


def test_a_service_that_met_everything_has_few_series(make_stand):
    """As Prometheus counts them, whatever clients do."""
    stand = make_stand(store=(store := FailingStore()))
    urls = [
        url.format(id=image_id)
        for url in ("/v1/search/text?q=red", "/v1/images/{id}", *(f"/v1/images/{{id}}/{part}" for part in PARTS), "/v1/stats")
        for image_id in (stand.id("red.png"), "0" * 32, "odd")
    ]
    urls += ["/v1/search/text", "/v1/search/image", "/v1/model", "/livez", "/readyz", "/", "/apidocs/", "/openapi.json", "/odd"]
    for store.error in (None, NO_ANSWER):
        for url in urls:
            for headers in ({}, {"X-Request-Timeout": "1e-9"}, {"X-Request-Timeout": "odd"}, {"If-None-Match": "*"}):
                for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "BREW"):
                    stand.client.open(url, method=method, headers=headers)
        for data in (picture(), b"no image", b"x" * 210_000, b""):
            for content_type in ("image/png", "text/plain", "application/json"):
                stand.client.post("/v1/search/image", data=data, content_type=content_type)
                stand.client.post("/v1/search/text", data=data, content_type=content_type)
    lines = [line for line in generate_latest(stand.services.metrics.registry).splitlines() if not line.startswith(b"#")]
    assert len(lines) < 1700, Counter(line.partition(b"{")[0] for line in lines).most_common(12)


def test_stages_and_embeddings_are_measured(stand, client):
    client.get("/v1/search/text?q=red")
    for stage in ("prepare", "queue", "embed", "search"):
        assert metric(stand, "ml_api_stage_duration_seconds_count", operation="text", stage=stage) == 1
    assert metric(stand, "ml_api_embed_items_total", modality="text", outcome="ok") == 1


@pytest.fixture
def access_lines(caplog):
    caplog.set_level(logging.INFO, "ml_api.access")
    formatter = EcsFormatter("testing")
    return lambda: [json.loads(formatter.format(record)) for record in caplog.records if record.name == "ml_api.access"]


def test_every_request_leaves_one_line(client, access_lines):
    response = client.get("/v1/search/text?q=secret+words")
    [line] = access_lines()
    assert line["http.response.status_code"] == 200
    assert line["url.path"] == "/v1/search/text"
    assert line["ml_api.route"] == "/v1/search/text"
    assert line["event.duration"] > 0
    assert line["http.response.body.bytes"] == len(response.data)


def test_a_search_text_is_logged_only_when_asked_for(stand, client, access_lines):
    client.get("/v1/search/text?q=secret+words")
    stand.app.config["LOG_QUERIES"] = True
    client.get("/v1/search/text?q=secret+words")
    hidden, shown = access_lines()
    assert "secret" not in json.dumps(hidden)
    assert hidden["ml_api.query.length"] == 12
    assert hidden["ml_api.query.hash"] == shown["ml_api.query.hash"]
    assert shown["ml_api.query.text"] == "secret words"
