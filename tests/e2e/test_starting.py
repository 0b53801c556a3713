"""A service that is starting says so, on its port, until it serves."""

import json
import signal
import socket
import time

import pytest

from ml_api.serving.server import BUILD_GRACE_S, STOP_S
from monitoring.local.launcher import listens
from tests.e2e.server_process import Server
from tests.e2e.slow_service import LOADED
from tests.waiting import wait_until

SHOP = "https://shop.example.org"
BUSY_S = 3
"""What the end of a process may take on a busy machine: with STOP_S, the ten seconds after which Docker kills."""


class SlowServer(Server):
    program = ("tests.e2e.slow_service",)


@pytest.fixture
def server(tmp_path):
    """Its model is being loaded."""
    (tmp_path / "corpus").mkdir()
    server = SlowServer(tmp_path, tmp_path / "corpus", cors_origins=SHOP)
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
    status, headers, _ = server.get("/v1/search/text?q=dogs", headers={"Origin": SHOP})
    assert (status, headers["Access-Control-Allow-Origin"]) == (503, SHOP)
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
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not listens(server.port))
    assert time.monotonic() - began < BUILD_GRACE_S, "it took connections for as long as it waited for the model"
    server.process.wait(STOP_S + BUSY_S - (time.monotonic() - began))
    assert server.stop() == 0
    assert "stopped while starting" in server.log()


def test_it_ends_without_waiting_for_the_model_if_another_has_taken_its_port(tmp_path):
    (tmp_path / "corpus").mkdir()
    server = SlowServer(tmp_path, tmp_path / "corpus")
    with socket.create_server(("127.0.0.1", server.port)):
        server.launch()
        try:
            wait_until(lambda: server.process.poll() is not None)
        finally:
            code = server.stop()
    assert code == 1
    assert "the HTTP server ended by itself" in server.log()
