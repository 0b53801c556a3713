"""What is counted of a server's calls, over a client that answers with the same rows each time."""

import pytest

from ml_api.metrics import Metrics
from ml_api.vectors.filters import parse
from ml_api.vectors.milvus import listing
from ml_api.vectors.milvus.access import ServerAccess
from ml_api.vectors.milvus.calls import OpenCollection

ENTRY = {"id": "0" * 32, "key": "a.jpg", "version": "1", "digest": "0" * 64}


class Client:
    def query(self, _collection, **what):
        return [{"count(*)": 1}] if what["output_fields"] == ["count(*)"] else [ENTRY]


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("page", lambda opened, wanted: list(listing.fulfilling(opened, "", 10, wanted, None))),
        ("count", lambda opened, wanted: listing.count(opened, wanted, None)),
    ],
)
def test_a_page_or_count_of_a_filter_is_one_call(operation, call):
    metrics = Metrics()
    opened = OpenCollection(
        Client(),
        "images",
        "model",
        4,
        (),
        access=ServerAccess("http://milvus"),
        metrics=metrics.store,
        timeout_s=1,
        write_timeout_s=1,
    )
    call(opened, parse({"width": {"gte": 100}}))
    labels = {"backend": "milvus", "operation": operation, "outcome": "ok"}
    assert metrics.registry.get_sample_value("ml_api_store_duration_seconds_count", labels) == 1
