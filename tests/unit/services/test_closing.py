"""Services are closed whole, whatever of them fails, and a collector of traces that hangs is not waited for."""

import socket
import threading

import pytest

from ml_api.images import ImageLimits, InlineDecoder
from ml_api.search import Query, TextTerm
from ml_api.spans import Spans
from ml_api.tracing import request_origin
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore
from tests.stand_ins import stand_in_services


class Closed(list):
    """The names of the parts that were closed, in their order."""

    def part(self, kind, name, *args):
        closed = self

        class Part(kind):
            def close(self, *args):
                closed.append(name)
                super().close(*args)

        return Part(*args)


def fail():
    raise OSError("no")


def test_what_fails_keeps_nothing_else_from_being_closed(tmp_path):
    closed = Closed()
    limits = ImageLimits(10**6, 10**6, 20)
    parts = {"store": closed.part(MemoryStore, "store"), "decoder": closed.part(InlineDecoder, "decoder", limits)}
    services = stand_in_services(tmp_path, tmp_path / "thumbnails", limits, **parts)
    services.background.callback(fail)
    with pytest.raises(OSError, match="no"):
        services.close()
    assert closed == ["store", "decoder"]


def test_nobody_looks_words_up_any_more(tmp_path):
    limits, query = ImageLimits(10**6, 10**6, 20), Query.of(TextTerm("red"), SearchOptions(1))
    services = stand_in_services(tmp_path, tmp_path / "thumbnails", limits)
    assert services.engine.hybrid.begin([query]) is not None
    services.close()
    assert services.engine.hybrid.begin([query]) is None


def test_a_collector_that_hangs_is_not_waited_for(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as collector:  # it takes connections and says nothing
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
        spans = Spans("testing")
        spans.add(request_origin(None, None), "GET /livez", 0.001, {}, failed=False)
        closing = threading.Thread(target=spans.close)
        closing.start()
        closing.join(20)
        assert not closing.is_alive()
        connection, _ = collector.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            [last] = [thread for thread in threading.enumerate() if thread.name == "spans-close"]
            last.join(20)
