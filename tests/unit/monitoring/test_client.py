"""The client of our own stack's services."""

from monitoring.client import Client
from tests.fake_http import FakeServer


def test_no_proxy_of_the_environment_stands_between_neighbours(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FakeServer(lambda _asked: (200, {"is": "there"})) as server:
        assert Client(server.url).call("GET", "/").body == {"is": "there"}
