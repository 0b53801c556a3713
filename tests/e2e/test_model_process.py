"""The model's process, killed under the real service."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.server_process import MODEL, Server, children
from tests.e2e.test_serving import metrics_of

PATIENCE_S = 60
SEARCH = "/v1/search/text?q=two+dogs+{}"


@pytest.fixture(scope="module")
def doomed(demo_corpus, tmp_path_factory):
    """A server of this module's own, in a directory of its own: the tests kill parts of it."""
    folder = tmp_path_factory.mktemp("doomed")
    server = Server(folder, demo_corpus)
    server.sync()
    server.cwd, server.settings["model"] = folder, os.path.relpath(MODEL, folder)
    with server:
        yield server


def model_of(server):
    [pid] = [pid for pid in children(server.process.pid) if b"ml_api.embedding.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return pid


def seconds_until(status, ask):
    started = time.monotonic()
    while ask() != status:
        assert time.monotonic() - started < PATIENCE_S
        time.sleep(0.05)
    return time.monotonic() - started


def test_a_model_that_is_killed_is_missed_and_comes_back(doomed):
    image = doomed.json(SEARCH.format("before"))["hits"][0]["id"]
    first = model_of(doomed)
    assert "ml_api_model_process_resident_memory_bytes" in metrics_of(doomed)
    os.kill(first, signal.SIGKILL)

    unheard = iter(range(10**6))  # a text that was asked for before needs no model
    seconds_until(503, lambda: doomed.get(SEARCH.format(next(unheard)))[0])
    status, headers, body = doomed.get(SEARCH.format("meanwhile"))
    assert (status, b"model-unavailable" in body, headers["Retry-After"] is not None) == (503, True, True)
    status, _, body = doomed.get("/readyz")
    assert (status, b"started again" in body) == (503, True)
    assert doomed.get("/livez")[0] == 200
    assert doomed.get(f"/v1/images/{image}/similar")[0] == 200, "this needs no model"

    seconds_until(200, lambda: doomed.get(SEARCH.format(next(unheard)))[0])
    assert doomed.get("/readyz")[0] == 200
    assert model_of(doomed) != first
    assert any("was ended by signal 9" in line["message"] for line in doomed.log_lines())


def test_nothing_is_left_of_a_service_that_is_killed(doomed):
    model = model_of(doomed)
    os.kill(doomed.process.pid, signal.SIGKILL)
    started = time.monotonic()
    while Path(f"/proc/{model}").exists():
        assert time.monotonic() - started < PATIENCE_S
        time.sleep(0.05)
