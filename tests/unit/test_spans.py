"""Spans are sent where OpenTelemetry's variables ask for it, and nowhere else."""

import subprocess
import sys

import pytest

from ml_api.errors import ConfigError
from ml_api.spans import wanted

ENDPOINT = "http://collector:4318"


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


def test_a_missing_library_is_named_with_the_file_that_brings_it():
    code = """
import sys
sys.modules["opentelemetry"] = None
from ml_api.errors import ConfigError
from ml_api.spans import Spans
try:
    Spans({}, "testing")
except ConfigError as exc:
    print(exc.detail)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "requirements-otel.txt" in result.stdout
