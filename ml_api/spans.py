"""One span for each request, sent to an OpenTelemetry collector where OpenTelemetry's own variables ask for it; off otherwise.

OpenTelemetry's tracer makes them, samples them and holds them to its limits, as its variables say. Ids come from `tracing`: log
lines and exemplars need them without OpenTelemetry, too.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import time
from collections.abc import Mapping
from threading import Thread
from typing import TYPE_CHECKING, Final

from ml_api import __version__, tracing
from ml_api.errors import ConfigError
from ml_api.tracing import Origin

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.id_generator import IdGenerator

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
    name = next(filter(environ.get, _PROTOCOLS), None)  # the first that is set decides
    if asked and name is not None and environ[name] != _PROTOCOL:
        raise ConfigError(f"{name}: spans are sent as {_PROTOCOL} only (got {environ[name]!r})")
    return asked


class Spans:
    """Sends spans in a thread of its own, dropping them where the collector does not keep up. Owns that thread: close it."""

    def __init__(self, environment: str) -> None:
        """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES replace the attributes of this service below.

        Raises ConfigError if OpenTelemetry is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as exc:
            raise ConfigError("OTEL_* asks for traces; that needs `pip install -r requirements-otel.txt`") from exc
        ours = {"service.name": "ml_api", "service.version": __version__, "deployment.environment.name": environment}
        resource = Resource.create(ours | dict(OTELResourceDetector().detect().attributes))
        self._provider = TracerProvider(resource=resource, id_generator=_ids_of_origins(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("ml_api", __version__)

    def add(self, origin: Origin, name: str, seconds: float, attributes: Mapping[str, str | int | float], *, failed: bool) -> None:
        """A request that has just been answered. Not sent where its caller does not record the trace."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        ended = time.time_ns()
        with tracing.on_behalf_of([origin]):
            span = self._tracer.start_span(
                name, _parent(origin), SpanKind.SERVER, attributes, start_time=ended - int(seconds * 1e9)
            )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def close(self) -> None:
        """Send the remaining spans within a time limit, since OpenTelemetry itself waits for a collector that hangs."""
        closing = Thread(target=self._provider.shutdown, name="spans-close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)


def _parent(origin: Origin) -> "Context":
    """The caller's span, if it sent one."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if origin.parent_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if origin.sampled else TraceFlags.DEFAULT)
    caller = SpanContext(int(origin.trace_id, 16), int(origin.parent_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(caller), Context())


def _ids_of_origins() -> "IdGenerator":
    """A span has the ids under which its request is known already: to its caller, in the log, in exemplars."""
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class IdsOfOrigins(IdGenerator):
        def generate_trace_id(self) -> int:
            return int(tracing.origins()[0].trace_id, 16)

        def generate_span_id(self) -> int:
            return int(tracing.origins()[0].span_id, 16)

        def is_trace_id_random(self) -> bool:
            return True

    return IdsOfOrigins()
