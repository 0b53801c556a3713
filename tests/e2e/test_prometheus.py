"""The real Prometheus over the real application."""

import pytest

from tests.prometheus_server import PrometheusServer


@pytest.fixture
def watched(server, tmp_path):
    with PrometheusServer(tmp_path, {"ml-api": f"127.0.0.1:{server.metrics_port}"}) as prometheus:
        yield prometheus


def test_the_application_is_scraped(server, watched):
    watched.wait_for_targets()
    server.json("/v1/search/text?q=a+red+boat&limit=1")
    searches = watched.wait_for('http_request_duration_seconds_count{job="ml-api", route="/v1/search/text"} > 0')
    assert float(searches[0]["value"][1]) >= 1
