"""One span for each request, sent to an OpenTelemetry collector where OpenTelemetry's own variables ask for it; off otherwise.

Ids come from `tracing`, which log lines and exemplars need without OpenTelemetry, too: here they are only passed on.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import time
from collections.abc import Mapping
from threading import Thread
from typing import TYPE_CHECKING, Final

from ml_api import __version__
from ml_api.errors import ConfigError
from ml_api.tracing import Origin

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

CLOSE_TIMEOUT_S: Final = 1.0
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether an exporter or an endpoint is named, and nothing is switched off. Raises ConfigError for what is not offered."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "")
    if exporter == "none" or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if exporter not in {"", "otlp"}:
        raise ConfigError(f"OTEL_TRACES_EXPORTER: spans are sent with otlp only (got {exporter!r})")
    asked = exporter == "otlp" or any(environ.get(name) for name in _ENDPOINTS)
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _PROTOCOL)
    if asked and protocol != _PROTOCOL:
        raise ConfigError(f"OTEL_EXPORTER_OTLP_PROTOCOL: spans are sent as {_PROTOCOL} only (got {protocol!r})")
    return asked


class Spans:
    """Sends spans in a thread of its own, dropping them where the collector does not keep up. Owns that thread: close it."""

    def __init__(self, environ: Mapping[str, str], environment: str) -> None:
        """Raises ConfigError if OpenTelemetry is not installed."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as exc:
            raise ConfigError("OTEL_* asks for traces; that needs `pip install -r requirements-otel.txt`") from exc
        self._resource = Resource.create(
            {
                "service.name": environ.get("OTEL_SERVICE_NAME") or "ml_api",
                "service.version": __version__,
                "deployment.environment.name": environment,
            }
        )
        self._processor: SpanProcessor = BatchSpanProcessor(OTLPSpanExporter())

    def add(self, origin: Origin, name: str, seconds: float, attributes: Mapping[str, str | int | float], *, failed: bool) -> None:
        """A request that has just been answered. Not sent where its caller does not record the trace."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        trace_id, flags = int(origin.trace_id, 16), TraceFlags(TraceFlags.SAMPLED if origin.sampled else TraceFlags.DEFAULT)
        ended = time.time_ns()
        self._processor.on_end(
            ReadableSpan(
                name,
                SpanContext(trace_id, int(origin.span_id, 16), is_remote=False, trace_flags=flags),
                SpanContext(trace_id, int(origin.parent_id, 16), is_remote=True, trace_flags=flags) if origin.parent_id else None,
                self._resource,
                attributes,
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
                start_time=ended - int(seconds * 1e9),
                end_time=ended,
            )
        )

    def close(self) -> None:
        """Send what is left, if the collector takes it soon: OpenTelemetry itself waits for one that hangs, whatever it is told."""
        closing = Thread(target=self._processor.shutdown, name="spans-close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)
