"""Spans of the real server arrive at a collector that speaks OTLP."""

from urllib.request import Request

import pytest

from tests.e2e.server_process import Server
from tests.servers.otlp_collector import Collector
from tests.waiting import PATIENCE_S

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def traced(demo_corpus, tmp_path, monkeypatch):
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with Server(tmp_path, demo_corpus) as server:
            yield server, collector.spans


def test_a_request_is_a_span_in_its_callers_trace(traced):
    server, spans = traced
    for sampled in ("00", "01"):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-{sampled}"}
        status, answered, _ = server.open(Request(f"{server.url}/v1/search/text?q=dog", headers=headers))
        assert status == 200
    service, span = next(
        sent for sent in iter(lambda: spans.get(timeout=PATIENCE_S), None) if sent[1].name == "GET /v1/search/text"
    )
    assert service["service.name"] == "ml_api"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.span_id.hex() == answered["traceresponse"].split("-")[2]  # not that of the one whose caller records nothing
    assert span.end_time_unix_nano > span.start_time_unix_nano
    attributes = {attribute.key: attribute.value for attribute in span.attributes}
    assert attributes["http.route"].string_value == "/v1/search/text"
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["ml_api.stage_ms.embed"].double_value >= 0
    assert server.stop() == 0
