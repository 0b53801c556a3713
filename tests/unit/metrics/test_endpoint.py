"""The metrics port answers Prometheus, whatever it calls the service by, and no web page of another site."""

import http.client
import socket

import pytest

from ml_api.browsers import HEADERS, AllowedHosts
from ml_api.metrics import Metrics
from ml_api.metrics.endpoint import endpoint


@pytest.fixture(scope="module")
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with endpoint("127.0.0.1", port, Metrics().registry, AllowedHosts.of("127.0.0.1", "ml_api"), silence_s=1.0):
        yield port


def ask(port, host):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("GET", "/metrics", skip_host=True)
    for value in host:
        connection.putheader("Host", value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


@pytest.mark.parametrize("host", [["ml_api:9464"], ["127.0.0.1:9464"], ["localhost"]])
def test_listed_and_loopback_names_get_the_metrics(port, host):
    response, body = ask(port, host)
    assert response.status == 200
    assert "ml_api_" in body
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    ("host", "status"),
    [(["evil.example:9464"], 421), (["not a host"], 400), ([], 400), (["localhost", "evil.example"], 400), ([""], 400)],
)
def test_others_get_a_reason_and_nothing_else(port, host, status):
    response, body = ask(port, host)
    assert response.status == status
    assert "ml_api_" not in body
    assert body.count("\n") == 1
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


def test_the_reason_names_the_setting(port):
    assert "ML_API_ALLOWED_HOSTS" in ask(port, ["evil.example"])[1]


def test_a_connection_that_says_nothing_is_hung_up_on(port, capsys):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as silent:
        assert silent.recv(1) == b""
    assert capsys.readouterr() == ("", "")
