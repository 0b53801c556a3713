"""A store that nobody asked for a while answers the next one who does."""

import time

from ml_api.metrics import Metrics
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex

IDLE_S = 35
"""pymilvus's third keep-alive ping, at which Milvus Lite's server would hang up, comes after 30 s."""


def test_an_embedded_store_answers_after_a_pause(tmp_path):
    store = MilvusStore(MilvusEndpoint(str(tmp_path / "vectors.db")), "idle", VectorIndex(), Metrics())
    store.ensure("model@1", 4)
    time.sleep(IDLE_S)  # the pause is what is tested
    store.ping()
    assert store.count() == 0
    store.close()
