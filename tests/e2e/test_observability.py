"""What an operator sees of the real server: metrics while it is stuck, traces that are nobody else's, a log that adds up."""

import contextlib
import hashlib
import http.client
import json
import secrets
import shutil
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from urllib.parse import quote
from urllib.request import Request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from ml_api.logs import FIELDS
from monitoring.local.launcher import free_port
from tests.e2e.server_process import run
from tests.files.costly_images import empty_scans
from tests.waiting import PATIENCE_S, wait_until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def scrape(server, accept="text/plain"):
    """Content type and text."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=60)) as connection:
        connection.request("GET", "/metrics", headers={"Accept": accept})
        response = connection.getresponse()
        return response.headers["Content-Type"], response.read().decode()


def samples(server):
    """Values by name and labels."""
    families = text_string_to_metric_families(scrape(server)[1])
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_metrics_are_answered_while_every_request_thread_is_busy(server):
    """With pictures that take seconds to decode, each sent again when it was answered: the threads stay busy together."""
    threads, busy, costly = 32, ("http_requests_in_progress", "/v1/search/image"), empty_scans(kilobytes=100)
    scraped = Event()

    def keep_busy(_):
        statuses = set()
        while not scraped.is_set():
            statuses.add(server.post("/v1/search/image", costly, "image/jpeg")[0])
        return statuses

    with ThreadPoolExecutor(threads) as clients:
        answers = clients.map(keep_busy, range(threads))
        try:
            scrape_s = wait_until(lambda: scraped_while(server, busy, threads), PATIENCE_S, "not every thread got a request")
        finally:
            scraped.set()
        assert scrape_s < 1
        assert set().union(*answers) <= {422, 503}
    wait_until(lambda: samples(server).get(busy) == 0, PATIENCE_S, "the threads are not free again")


def scraped_while(server, metric, value):
    """How long a scrape took, if the metric had that value in it."""
    started = time.monotonic()
    return samples(server).get(metric) == value and time.monotonic() - started


def test_requests_side_by_side_never_mix_up_their_ids(server):
    asked = {f"id-{number}": (secrets.token_hex(16), f"two dogs number {number}") for number in range(120)}

    def ask(request_id):
        trace, text = asked[request_id]
        headers = {"X-Request-ID": request_id, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        status, answered, body = server.open(Request(f"{server.url}/v1/search/text?q={quote(text)}", headers=headers))
        return status, answered["X-Request-ID"], answered["traceresponse"].split("-")[1], json.loads(body)["query_id"]

    with ThreadPoolExecutor(24) as callers:
        answers = dict(zip(asked, callers.map(ask, asked), strict=True))
    assert answers == {request_id: (200, request_id, trace, request_id) for request_id, (trace, _) in asked.items()}
    lines = {line["http.request.id"]: line for line in server.log_lines() if line.get("http.request.id") in asked}
    assert {request_id: (line["trace.id"], line["ml_api.query.hash"]) for request_id, line in lines.items()} == {
        request_id: (trace, hashlib.sha256(text.encode()).hexdigest()[:16]) for request_id, (trace, text) in asked.items()
    }
    assert len({line["span.id"] for line in lines.values()}) == len(asked)
    assert max(line["ml_api.batch_size"] for line in lines.values()) > 1, "nobody shared a batch: nothing was tested"


def test_log_and_metrics_count_the_same(server):
    def written():
        lines = server.log_lines()
        access = [line for line in lines if line["event.dataset"] == "ml_api.access"]
        return (
            Counter(line["log.level"] for line in lines),
            Counter((line["ml_api.route"], str(line["http.response.status_code"])) for line in access),
        )

    def counted():
        levels, requests = Counter(), Counter()
        for (name, *labels), value in samples(server).items():
            if name == "ml_api_log_records_total":
                levels[labels[0]] += int(value)
            if name == "http_request_duration_seconds_count":
                requests[labels[1], labels[2]] += int(value)
        return levels, requests

    def quiet():
        """Both, if no line has come between the looks at them."""
        both = written(), counted()
        return both if written() == both[0] else None

    (levels, requests), (counted_levels, counted_requests) = wait_until(quiet, otherwise="lines keep coming")
    before = sum(levels.values())
    for path, times in {"/v1/model": 3, "/no/such/path": 4, "/v1/search/text?q=cat": 5, "/v1/search/text?q=": 2}.items():
        for _ in range(times):
            server.get(path)
    server.open(Request(f"{server.url}/v1/search/text?q=dog", headers={"X-Request-Timeout": "1e-6"}))

    def grown_alike():
        """By how much; nothing while a line has come between a look at the log and one at the metrics."""
        by_log = tuple(now - then for now, then in zip(written(), (levels, requests), strict=True))
        by_metrics = tuple(now - then for now, then in zip(counted(), (counted_levels, counted_requests), strict=True))
        return by_log if by_log == by_metrics else None

    more = wait_until(grown_alike, otherwise="the log and the metrics count otherwise")
    # A busy machine refuses images of the test before, and tells how many a second later; nothing else is an error.
    errors = [line["message"] for line in server.log_lines()[before:] if line["log.level"] == "error"]
    assert all(message.startswith("overloaded: ") for message in errors), errors
    del more[0]["error"]
    assert more == (
        Counter(info=15, warning=1),
        Counter({("/v1/model", "200"): 3, ("__unmatched__", "404"): 4, ("/v1/search/text", "200"): 5}
                | {("/v1/search/text", "400"): 2, ("/v1/search/text", "504"): 1}),
    )  # fmt: skip


def test_every_line_has_only_fields_that_are_documented(server):
    server.get("/v1/search/text?q=red+boat")
    server.get("/odd%0d%0a%00%1b[2J")
    lines = server.log_lines()
    assert not {name for line in lines for name in line} - FIELDS.keys()
    assert lines[-1]["url.path"] == "/odd\r\n\0\x1b[2J"


def test_who_asks_for_openmetrics_gets_exemplars_that_are_traces_in_the_log(server):
    server.get("/v1/search/text?q=a+red+boat")
    kind, text = scrape(server, OPENMETRICS)
    assert kind.startswith("application/openmetrics-text")
    exemplars = {
        sample.exemplar.labels["trace_id"]
        for family in openmetrics_families(text)
        if family.name == "http_request_duration_seconds"
        for sample in family.samples
        if sample.exemplar
    }
    assert exemplars
    assert exemplars <= {line["trace.id"] for line in server.log_lines() if "trace.id" in line}


def test_who_asks_for_plain_text_gets_no_exemplars_and_nobody_gets_creation_times(server):
    kind, text = scrape(server)
    assert kind.startswith("text/plain")
    assert "trace_id" not in text
    assert "_created" not in text + scrape(server, OPENMETRICS)[1]


def test_prometheus_own_checker_finds_nothing_wrong(server):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(server)[1], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_was_indexed_and_when_is_among_the_metrics(server):
    found = samples(server)
    assert found["ml_api_sync_items_total", "added"] == 120
    assert found["ml_api_sync_backlog",] == 0
    assert time.time() - 3600 < found["ml_api_sync_last_success_timestamp_seconds",] < time.time()
    assert found["ml_api_store_up", "images"] == 1
    assert found["ml_api_store_entities", "images"] == 120
    assert found["ml_api_ready", "model"] == found["ml_api_ready", "store"] == 1


def test_a_sync_whose_metrics_cannot_be_written_names_the_folder(demo_corpus, tmp_path, server):
    (tmp_path / "file").write_text("")
    settings = server.settings | {"milvus_uri": tmp_path / "m.db", "data_dir": tmp_path / "file"}
    result = run("sync", **settings, port=free_port())
    assert result.returncode == 2
    assert "ML_API_DATA_DIR" in result.stderr
