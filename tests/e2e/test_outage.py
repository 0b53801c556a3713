"""A store that is gone, and one that hangs: what the real service says, and what it writes meanwhile."""

import io
import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from monitoring.local.launcher import DIRECTLY
from tests.e2e.server_process import Server
from tests.servers.milvus import MilvusServer
from tests.waiting import wait_until

OUTAGE_S = 4.0
CALLERS = 8


@pytest.fixture(scope="module")
def milvus(tmp_path_factory):
    """A real server of these tests, which the last of them kills."""
    milvus = MilvusServer(tmp_path_factory.mktemp("milvus"))
    milvus.start()
    yield milvus
    milvus.end()


def test_what_is_uploaded_and_told_while_the_store_hangs_is_applied_afterwards(milvus, tmp_path):
    """benchmarks/kills has a minute of it, by the dozen, with a store that is stopped and started."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    uploaded, told = (
        {f"{name}/{number:02}.png": picture(number + 1000 * len(name)) for number in range(48)} for name in ("up", "tell")
    )
    with Server(tmp_path, corpus, milvus_uri=milvus.uri, collection="waiting", store_timeout_s=1) as service:
        with stopped(milvus):
            for keys in (list(uploaded)[:24], list(uploaded)[24:]):
                status, _, body = service.post("/v1/images", *form({key: uploaded[key] for key in keys}))
                assert (status, [result["image"]["state"] for result in json.loads(body)["results"]]) == (202, ["queued"] * 24)
            (corpus / "tell").mkdir()
            for key, data in told.items():
                (corpus / key).write_bytes(data)
            records = [{"s3": {"bucket": {"name": str(corpus)}, "object": {"key": key}}} for key in told]
            status, _, body = service.post("/v1/events", json.dumps({"Records": records}).encode(), "application/json")
            assert (status, json.loads(body)) == (200, {"accepted": 48, "ignored": 0})
            wait_until(lambda: metric(service, "ml_api_changes_waiting") == 96, otherwise="the backlog is not told")
            wait_until(lambda: metric(service, "ml_api_changes_oldest_seconds") > 1, otherwise="nor how old it is")
        wait_until(lambda: stored_in(service) == 96, otherwise="not everything was applied")
        wait_until(lambda: metric(service, "ml_api_changes_waiting") == 0, otherwise="and still waits")
        assert metric(service, 'ml_api_changes_total{outcome="added"}') == 96


def test_an_outage_is_told_once_a_second_and_a_hung_store_does_not_silence_health_checks(demo_corpus, milvus, tmp_path):
    with Server(tmp_path, demo_corpus, milvus_uri=milvus.uri) as service:
        with stopped(milvus), ThreadPoolExecutor(5) as callers:
            while service.get("/readyz")[0] == 200:
                time.sleep(0.1)  # what was on its way is still answered
            ready = [callers.submit(timed, service, "/readyz") for _ in range(4)]
            alive_s, alive = timed(service, "/livez")
            answers = [one.result() for one in ready]
        assert alive == 200
        assert alive_s < max(seconds for seconds, _ in answers), "it waited for the store, too"
        assert {status for _, status in answers} == {503}
        assert max(seconds for seconds, _ in answers) < 8

        milvus.kill()
        failed = search_for_a_while(service)
        # What came since the last line is told a second later, on a busy machine later still; a service that ends tells it no more.
        counted = f"the lines do not count the {len(failed)} failures"
        wait_until(
            lambda: sum(line.get("ml_api.times", 0) for line in told_of_store(service)) >= 0.8 * len(failed), otherwise=counted
        )
    told = told_of_store(service)
    assert len(failed) > 50
    assert len(told) < 6 * OUTAGE_S, f"{len(told)} lines for {len(failed)} failures"
    assert sum("error.stack_trace" in line for line in service.log_lines()) < 3 * OUTAGE_S


def told_of_store(service):
    return [line for line in service.log_lines() if line["log.level"] == "error" and "store" in line["message"]]


def picture(number):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def form(images):
    """Body and content type."""
    head = '--line\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\n\r\n'
    parts = [(head % key).encode() + data + b"\r\n" for key, data in images.items()]
    return b"".join(parts) + b"--line--\r\n", "multipart/form-data; boundary=line"


def metric(service, name):
    with DIRECTLY.open(f"http://127.0.0.1:{service.metrics_port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


def stored_in(service):
    status, _, body = service.get("/v1/stats")  # 503 until the store has its time again
    return json.loads(body)["images"] if status == 200 else None


def timed(service, path):
    started = time.monotonic()
    status = service.get(path)[0]
    return time.monotonic() - started, status


@contextmanager
def stopped(milvus):
    """Inside, the store gets no time."""
    milvus.pause()
    try:
        yield
    finally:
        milvus.resume()


def search_for_a_while(service):
    """The answers that were 503."""
    until, number, failed = time.monotonic() + OUTAGE_S, itertools.count(), []

    def go_on():
        while time.monotonic() < until:
            if service.get(f"/v1/search/text?q=dog+{next(number)}")[0] == 503:
                failed.append(1)

    threads = [threading.Thread(target=go_on) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed
