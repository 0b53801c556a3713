"""A service that is starting says so, on its port, until it serves."""

import json
import time

import pytest

from monitoring.local.launcher import listens
from tests.e2e.server_process import Server
from tests.e2e.slow_service import LOADED
from tests.waiting import wait_until


class SlowServer(Server):
    program = ("tests.e2e.slow_service",)


@pytest.fixture
def server(tmp_path):
    """Its model is being loaded."""
    (tmp_path / "corpus").mkdir()
    server = SlowServer(tmp_path, tmp_path / "corpus")
    server.launch()
    try:
        wait_until(lambda: listens(server.port))
        yield server
    finally:
        server.stop()


def test_all_are_told_to_come_again_until_the_model_is_there(server, tmp_path):
    status, _, body = server.get("/livez")
    assert (status, json.loads(body)) == (200, {"status": "alive"})
    status, headers, body = server.get("/readyz")
    assert (status, headers["Retry-After"]) == (503, "1")
    assert json.loads(body) == {"ready": False, "parts": {"model": "starting", "store": "starting"}}
    status, headers, body = server.post("/v1/search/image", bytes(3_000_000), "image/jpeg")
    assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "1", "application/problem+json")
    assert json.loads(body)["code"] == "starting"
    status, headers, body = server.get("/?q=dogs", headers={"Accept": "text/html,*/*"})
    assert (status, headers["Retry-After"]) == (503, "1")
    assert b"The search is starting" in body
    assert b'http-equiv="refresh"' in body

    (tmp_path / LOADED).touch()

    wait_until(lambda: server.get("/readyz")[0] == 200)
    assert server.json("/v1/search/text?q=dogs")["hits"] == []


def test_who_stops_it_while_it_starts_does_not_wait_for_the_model(server):
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 30
    assert "stopped while starting" in server.log()
