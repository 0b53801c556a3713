"""Spans are sent where OpenTelemetry's variables ask for it, and nowhere else."""

import subprocess
import sys

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from ml_api import __version__, tracing
from ml_api.errors import ConfigError
from ml_api.spans import Spans, wanted
from tests.servers.otlp_collector import Collector

ENDPOINT = "http://collector:4318"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RECORDED, NOT_RECORDED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "search"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_the_standard_variables_decide(environ, expected):
    assert wanted(environ) is expected


@pytest.mark.parametrize(
    "environ",
    [{"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}],
)
def test_what_is_not_offered_is_refused_at_the_start(environ):
    with pytest.raises(ConfigError, match="OTEL_"):
        wanted(environ)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
def test_the_variable_that_is_wrong_is_named(name):
    with pytest.raises(ConfigError, match=f"^{name}: .*grpc"):
        wanted({"OTEL_TRACES_EXPORTER": "otlp", name: "grpc"})


def test_a_missing_library_is_named_with_the_file_that_brings_it():
    code = """
import sys
sys.modules["opentelemetry"] = None
from ml_api.errors import ConfigError
from ml_api.spans import Spans
try:
    Spans("testing")
except ConfigError as exc:
    print(exc.detail)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "requirements-otel.txt" in result.stdout


@pytest.fixture
def sent(monkeypatch):
    """What a collector gets of requests with these `traceparent` headers, beside their origins."""

    def send(*traceparents, failed=False, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        origins = [tracing.request_origin(None, traceparent) for traceparent in traceparents]
        with Collector() as collector:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            spans = Spans("testing")
            for origin in origins:
                spans.add(origin, "GET /v1/search/text", 0.25, {"http.route": "/v1/search/text"}, failed=failed)
            spans.close()
        return origins, [span for _, span in _kept(collector)]

    return send


def _kept(collector):
    return iter(lambda: None if collector.spans.empty() else collector.spans.get(), None)


def test_the_environment_says_last_who_sends(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "search")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=berlin,host.name=here")
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        spans = Spans("testing")
        spans.add(tracing.request_origin(None, None), "GET /livez", 0.001, {}, failed=False)
        spans.close()
        [(sender, _)] = _kept(collector)
    told = {"service.name": "search", "service.version": __version__, "deployment.environment.name": "berlin", "host.name": "here"}
    assert told.items() <= sender.items()


def test_a_span_has_the_ids_that_its_caller_and_the_log_were_told(sent):
    (began, continued), (root, child) = sent(None, RECORDED)
    assert (root.trace_id.hex(), root.span_id.hex(), root.parent_span_id) == (began.trace_id, began.span_id, b"")
    assert (child.trace_id.hex(), child.span_id.hex(), child.parent_span_id.hex()) == (TRACE, continued.span_id, PARENT)
    assert child.end_time_unix_nano - child.start_time_unix_nano == 250_000_000


def test_what_a_caller_does_not_record_is_not_sent(sent):
    assert sent(NOT_RECORDED)[1] == []


def test_a_request_that_failed_is_told_as_such(sent):
    for failed, code in ((True, Status.STATUS_CODE_ERROR), (False, Status.STATUS_CODE_UNSET)):
        _, [span] = sent(None, failed=failed)
        assert span.status.code == code


def test_opentelemetry_s_own_variables_bound_what_is_sent(sent):
    _, [span] = sent(None, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="3")
    assert span.attributes[0].value.string_value == "/v1"
    assert sent(None, OTEL_TRACES_SAMPLER="always_off")[1] == []
