"""A service that is starting says so, on its port, until it serves."""

import json
import signal
import subprocess
import sys
import time

import pytest

from ml_api.cli.exits import Exit
from ml_api.serving.server import BUILD_GRACE_S, STOP_S
from monitoring.local.launcher import free_ports, listens
from tests.e2e.server_process import Server, environment
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


def test_of_two_that_start_on_one_port_the_second_says_so_and_ends(server, tmp_path):
    """Both have found it free: the check of settings is left out here."""
    other = tmp_path / "other"
    other.mkdir()
    second = SlowServer(other, tmp_path / "corpus")
    second.port = server.port
    second.launch()
    try:
        wait_until(lambda: second.process.poll() is not None)
    finally:
        code = second.stop()
    assert code == Exit.MISCONFIGURED
    assert f"port {server.port} of 127.0.0.1 is in use, perhaps by another instance of this service" in second.log()
    assert server.get("/livez")[0] == 200


def test_one_that_cannot_start_ends_without_an_end_of_python_which_aborts_beside_the_threads_of_the_http_server(tmp_path):
    port, metrics_port = free_ports(2)
    as_a_user = (
        "import atexit, ml_api.cli; atexit.register(print, 'Python has ended'); raise SystemExit(ml_api.cli.main(['serve']))"
    )
    without_a_key = environment(host="0.0.0.0", corpus=tmp_path, data_dir=tmp_path / "data", port=port, metrics_port=metrics_port)
    ended = subprocess.run(
        [sys.executable, "-c", as_a_user], cwd=tmp_path, env=without_a_key, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "there is no API key" in ended.stderr
    assert "Python has ended" not in ended.stdout
