"""Where Prometheus asks: a port and a thread of its own, so that a service without a free thread can still be watched."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server


@contextmanager
def endpoint(host: str, port: int, registry: CollectorRegistry) -> Iterator[None]:
    """Serve `registry` until the context ends, as OpenMetrics with exemplars to those who accept that. Raises OSError."""
    server, thread = start_http_server(port, host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
