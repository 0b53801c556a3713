"""Every request moves the metrics that tell of it, by as much as it should, and no others."""

import io
import json
import logging
import re
from functools import partial

import pytest

from ml_api.embedding.batching import BatchingEncoder
from ml_api.errors import DeadlineExceeded, ModelOutOfMemory, ModelUnavailable, Overloaded, StoreUnavailable
from ml_api.logs import FIELDS, EcsFormatter
from ml_api.metrics import Metrics
from tests.api.stand import picture
from tests.failing import FailingEncoder, FailingStore

TIMES = 5
DURATION = "http_request_duration_seconds_count"


class Samples:
    """What the registry says now, and how it has changed since."""

    def __init__(self, stand):
        self._registry = stand.services.metrics.registry
        self._before = self._read()

    def _read(self):
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name.startswith(("http_", "ml_api_")) and not sample.name.endswith(("_bucket", "_sum"))
        }

    def moved(self, *names):
        """Changes by name and values of labels, of those metrics."""
        now = self._read()
        changes = {key: value - self._before.get(key, 0) for key, value in now.items()}
        return {
            (name, *(value for _, value in labels)): change
            for (name, *labels), change in changes.items()
            if change and name in names
        }


class KeptSpans:
    """In place of a collector of traces."""

    def __init__(self):
        self.attributes = []

    def add(self, _origin, _name, _seconds, attributes, *, failed):
        self.attributes.append(attributes)

    def close(self):
        pass


@pytest.fixture
def broken(make_stand):
    """A stand whose model and store can be made to fail."""
    metrics, encoder, store = Metrics(), FailingEncoder(), FailingStore()
    stand = make_stand(metrics=metrics, embedder=BatchingEncoder(encoder, metrics), store=store, spans=KeptSpans())
    stand.encoder, stand.store = encoder, store
    return stand


def test_searches_count_once_each_wherever_they_pass(stand, client):
    samples = Samples(stand)
    for number in range(TIMES):
        assert client.get(f"/v1/search/text?q=red+{number}&limit=3").status_code == 200
        assert client.post("/v1/search/image", data=picture(), content_type="image/png").status_code == 200
        assert client.get(f"/v1/images/{stand.id('red.png')}/similar").status_code == 200
    assert samples.moved(DURATION) == {
        (DURATION, "GET", "/v1/search/text", "200"): TIMES,
        (DURATION, "POST", "/v1/search/image", "200"): TIMES,
        (DURATION, "GET", "/v1/images/<image_id>/similar", "200"): TIMES,
    }
    assert samples.moved("ml_api_embed_items_total", "ml_api_embedding_norm_count") == {
        ("ml_api_embed_items_total", "text", "ok"): TIMES,
        ("ml_api_embed_items_total", "image", "ok"): TIMES,
        ("ml_api_embedding_norm_count", "text"): TIMES,
        ("ml_api_embedding_norm_count", "image"): TIMES,
    }
    assert samples.moved("ml_api_hits_returned_count", "ml_api_top1_similarity_count") == {
        ("ml_api_hits_returned_count", "text"): TIMES,
        ("ml_api_hits_returned_count", "image"): 2 * TIMES,
        ("ml_api_top1_similarity_count", "text"): TIMES,
        ("ml_api_top1_similarity_count", "image"): 2 * TIMES,
    }
    stages = "ml_api_stage_duration_seconds_count"
    assert samples.moved(stages) == {
        (stages, operation, stage): TIMES
        for operation, passed in {
            "text": ("prepare", "queue", "embed", "search", "serialize"),
            "image": ("fetch", "decode", "prepare", "queue", "embed", "search", "serialize"),
            "similar": ("search", "serialize"),
        }.items()
        for stage in passed
    }
    assert samples.moved("ml_api_rejected_total") == {}


def test_sizes_are_those_of_the_bodies(stand, client):
    body = picture()
    answer = client.post("/v1/search/image", data=body, content_type="image/png")
    value = stand.services.metrics.registry.get_sample_value
    assert value("http_request_size_bytes_sum", {"route": "/v1/search/image"}) == len(body)
    assert value("http_response_size_bytes_sum", {"route": "/v1/search/image"}) == len(answer.data)
    client.get("/livez")
    assert value("http_request_size_bytes_count", {"route": "/livez"}) is None


def test_gauges_return_to_zero(stand, client):
    for _ in range(TIMES):
        client.get("/v1/search/text?q=red")
        client.get("/v1/search/text?q=")
    for family in stand.services.metrics.registry.collect():
        if family.name in {"http_requests_in_progress", "ml_api_embed_queue_depth"}:
            assert {sample.value for sample in family.samples} == {0}


@pytest.mark.parametrize(
    ("send", "reason"),
    [
        (lambda client: client.post("/v1/search/image", data=b"no image", content_type="image/png"), "bad_image"),
        (lambda client: client.post("/v1/search/image", data=b"x" * 210_000, content_type="image/png"), "too_large"),
        (lambda client: client.get("/v1/search/text?q=red", headers={"X-Request-Timeout": "1e-9"}), "deadline"),
    ],
    ids=["bad image", "too large", "deadline"],
)
def test_what_a_client_did_wrong_is_counted_by_reason(stand, client, send, reason):
    samples = Samples(stand)
    for _ in range(TIMES):
        assert send(client).status_code >= 400
    assert samples.moved("ml_api_rejected_total") == {("ml_api_rejected_total", reason): TIMES}


@pytest.mark.parametrize(
    ("error", "status", "rejected", "outcome"),
    [
        (KeyError("odd"), 503, {}, "error"),
        (ModelOutOfMemory("out of memory"), 503, {}, "oom"),
        (DeadlineExceeded("late"), 504, {("ml_api_rejected_total", "deadline"): TIMES}, "error"),
        (Overloaded("full"), 503, {("ml_api_rejected_total", "busy"): TIMES}, "error"),
    ],
    ids=["exception", "out of memory", "deadline", "overload"],
)
def test_failures_of_the_model_are_counted_by_kind(broken, error, status, rejected, outcome):
    broken.encoder.error = error
    samples = Samples(broken)
    for number in range(TIMES):
        assert broken.client.get(f"/v1/search/text?q=red+{number}").status_code == status
    assert samples.moved("ml_api_embed_items_total") == {("ml_api_embed_items_total", "text", outcome): TIMES}
    assert samples.moved("ml_api_rejected_total") == rejected
    assert samples.moved(DURATION) == {(DURATION, "GET", "/v1/search/text", str(status)): TIMES}
    assert samples.moved("ml_api_hits_returned_count") == {}


def test_a_vector_that_is_not_finite_is_refused_and_counted(broken):
    broken.encoder.spoiled = True
    samples = Samples(broken)
    answer = broken.client.get("/v1/search/text?q=red")
    assert answer.status_code == 503
    assert answer.get_json()["code"] == "model-not-finite"
    assert samples.moved("ml_api_embedding_nonfinite_total", "ml_api_embedding_norm_count") == {
        ("ml_api_embedding_nonfinite_total", "text"): 1
    }


def test_a_500_is_counted_as_one(broken):
    broken.store.error = KeyError("odd")
    samples = Samples(broken)
    assert broken.client.get("/v1/search/text?q=red").status_code == 500
    assert samples.moved(DURATION) == {(DURATION, "GET", "/v1/search/text", "500"): 1}


def test_an_empty_answer_counts_as_one_without_hits_unless_it_is_a_later_page(make_stand):
    stand = make_stand()
    stand.services.engine.store.delete([stand.id(key) for key in ("red.png", "sub/green.png", "blue.png", "pink.png")])
    samples = Samples(stand)
    assert stand.client.get("/v1/search/text?q=red").get_json()["hits"] == []
    assert stand.client.get("/v1/search/text?q=red&offset=10").get_json()["hits"] == []
    assert samples.moved("ml_api_hits_returned_count", "ml_api_top1_similarity_count") == {
        ("ml_api_hits_returned_count", "text"): 1
    }
    assert stand.services.metrics.registry.get_sample_value("ml_api_hits_returned_bucket", {"modality": "text", "le": "0.0"}) == 1


def test_readiness_and_the_collection_are_seen_in_the_metrics(broken):
    value = broken.services.metrics.registry.get_sample_value
    assert value("ml_api_ready", {"part": "model"}) == 0  # until it has been tried
    broken.services.engine.health.update_metrics()
    assert value("ml_api_ready", {"part": "model"}) == 1
    assert value("ml_api_ready", {"part": "store"}) == 1
    assert value("ml_api_store_up", {"collection": "images"}) == 1
    assert value("ml_api_store_entities", {"collection": "images"}) == 4
    broken.store.error = StoreUnavailable("gone")
    broken.client.get("/readyz")
    assert value("ml_api_ready", {"part": "store"}) == 0
    broken.services.engine.store.close()
    broken.services.engine.health.update_metrics()
    assert value("ml_api_store_up", {"collection": "images"}) == 0
    assert value("ml_api_store_entities", {"collection": "images"}) == 4  # as many as when it was last seen


def test_an_exemplar_leads_from_a_duration_to_its_trace(stand, client):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = client.get("/v1/search/text?q=red", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert re.fullmatch(f"00-{trace}-[0-9a-f]{{16}}-01", answer.headers["traceresponse"])
    exemplars = [
        (sample.labels["route"], sample.exemplar.labels)
        for family in stand.services.metrics.registry.collect()
        for sample in family.samples
        if sample.exemplar
    ]
    assert exemplars == [("/v1/search/text", {"trace_id": trace})]


@pytest.fixture
def lines():
    """Access lines as they are written. Other lines may be written meanwhile, by the threads of other tests."""
    stream, logger = io.StringIO(), logging.getLogger("ml_api.access")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EcsFormatter("testing"))
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_an_access_line_tells_all_about_a_search(stand, client, lines):
    answer = client.post("/v1/search/image?limit=2", data=picture(), content_type="image/png")
    [line] = lines()
    assert line["ml_api.operation"] == line["ml_api.modality"] == "image"
    assert (line["ml_api.limit"], line["ml_api.hits"], line["ml_api.batch_size"]) == (2, 2, 1)
    assert line["ml_api.top1_similarity"] == answer.get_json()["hits"][0]["score"]
    assert line["ml_api.model"] == stand.services.engine.embedder.model.name
    assert line["ml_api.queue_ms"] == line["ml_api.stage_ms.queue"]
    assert {name.rpartition(".")[2] for name in line if name.startswith("ml_api.stage_ms.")} == {
        "fetch", "decode", "prepare", "queue", "embed", "search", "serialize",
    }  # fmt: skip
    assert line["http.request.body.bytes"] == len(picture())
    assert line["trace.id"] == answer.headers["traceresponse"].split("-")[1]


@pytest.mark.parametrize(
    ("peer", "told"),
    [("192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::1"), ("192.0.2.7:4711", None), ("unknown", None), ("", None)],
)
def test_an_access_line_has_an_address_or_none(client, lines, peer, told):
    """Some proxies write a port, or `unknown`, into X-Forwarded-For: the index refuses a line in which that is an address."""
    client.get("/livez", environ_base={"REMOTE_ADDR": peer})
    [line] = lines()
    assert line.get("client.ip") == told


def text_search(stand):
    return stand.client.get("/v1/search/text?q=red")


def image_search(stand, data=None, content_type="image/png"):
    return stand.client.post("/v1/search/image", data=picture() if data is None else data, content_type=content_type)


def similar_search(stand):
    return stand.client.get(f"/v1/images/{stand.id('red.png')}/similar")


FAILURES = {
    "a text, in the store": (text_search, "store", StoreUnavailable("gone"), 503, ["prepare", "queue", "embed", "search"]),
    "a text, in the model": (text_search, "encoder", ModelUnavailable("gone"), 503, ["prepare", "queue"]),
    "an image, in the store": (
        image_search,
        "store",
        DeadlineExceeded("late"),
        504,
        ["fetch", "decode", "prepare", "queue", "embed", "search"],
    ),
    "an image, in the model": (image_search, "encoder", Overloaded("full"), 503, ["fetch", "decode", "prepare", "queue"]),
    "a similar image": (similar_search, "store", StoreUnavailable("gone"), 503, ["search"]),
    "what is no image": (partial(image_search, data=b"text"), None, None, 422, ["fetch", "decode"]),
    "a bad form": (partial(image_search, content_type="text/plain"), None, None, 415, ["fetch"]),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_search_that_fails_tells_how_long_its_stages_took(broken, lines, failure):
    ask, part, error, status, passed = failure
    if part:
        getattr(broken, part).error = error
    samples, stages = Samples(broken), "ml_api_stage_duration_seconds_count"
    assert ask(broken).status_code == status
    [line] = lines()
    assert [name.rpartition(".")[2] for name in line if name.startswith("ml_api.stage_ms.")] == passed
    assert samples.moved(stages) == {(stages, line["ml_api.operation"], stage): 1 for stage in passed}
    [span] = broken.services.spans.attributes
    assert {name: value for name, value in span.items() if "stage_ms" in name} == {
        f"ml_api.stage_ms.{stage}": line[f"ml_api.stage_ms.{stage}"] for stage in passed
    }


def test_no_line_of_ours_has_a_field_that_is_not_documented(broken, caplog):
    caplog.set_level(logging.DEBUG)
    plain = set(vars(logging.makeLogRecord({})))
    broken.client.get("/v1/search/text?q=red")
    broken.client.get("/odd\r\n%0d%0a", headers={"User-Agent": "odd\x1b[2J"})
    broken.client.post("/v1/search/image", data=b"", content_type="image/png")
    broken.encoder.error = KeyError("odd")
    broken.client.get("/v1/search/text?q=blue")
    given = {name for record in caplog.records for name in vars(record)} - plain - {"message", "asctime"}
    assert given
    assert given <= set(FIELDS)
