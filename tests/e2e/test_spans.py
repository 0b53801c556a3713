"""Spans of the real server arrive at a collector that speaks OTLP."""

import gzip
import queue
from urllib.request import Request

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from tests.e2e.server_process import Server

PATIENCE_S = 20
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(HTTPServer):
    """Use as a context; `posted` is a queue of what came."""

    def __init__(self):
        super().__init__(host="127.0.0.1", threaded=True)
        self.posted = queue.Queue()
        self.expect_request("/v1/traces", method="POST").respond_with_handler(self._keep)

    def _keep(self, request):
        body = request.get_data()
        body = gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body
        self.posted.put(ExportTraceServiceRequest.FromString(body))
        return Response(status=200)


@pytest.fixture
def traced(demo_corpus, tmp_path, monkeypatch):
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with Server(tmp_path, demo_corpus) as server:
            yield server, collector.posted


def spans(posted):
    """As they come in, with what sent them."""
    while True:
        request = posted.get(timeout=PATIENCE_S)
        for resource in request.resource_spans:
            service = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            for scope in resource.scope_spans:
                yield from ((service, span) for span in scope.spans)


def test_a_request_is_a_span_in_its_callers_trace(traced):
    server, posted = traced
    for sampled in ("00", "01"):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-{sampled}"}
        status, answered, _ = server.open(Request(f"{server.url}/v1/search/text?q=dog", headers=headers))
        assert status == 200
    service, span = next((service, span) for service, span in spans(posted) if span.name == "GET /v1/search/text")
    assert service["service.name"] == "ml_api"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.span_id.hex() == answered["traceresponse"].split("-")[2]  # not that of the one whose caller records nothing
    assert span.end_time_unix_nano > span.start_time_unix_nano
    attributes = {attribute.key: attribute.value for attribute in span.attributes}
    assert attributes["http.route"].string_value == "/v1/search/text"
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["ml_api.stage_ms.embed"].double_value >= 0
    assert server.stop() == 0
