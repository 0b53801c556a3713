"""Spans of the real server arrive at a collector that speaks OTLP."""

import contextlib
import gzip
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.server_process import Server

PATIENCE_S = 20
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@contextlib.contextmanager
def collector():
    """Its address, and what was posted there."""
    posted = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            posted.put((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", posted
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def traced(demo_corpus, tmp_path, monkeypatch):
    with collector() as (address, posted):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with Server(tmp_path, demo_corpus) as server:
            yield server, posted


def spans(posted):
    """As they come in, with what sent them."""
    while True:
        path, request = posted.get(timeout=PATIENCE_S)
        assert path == "/v1/traces"
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
