"""64 texts in one request beside 64 requests, over Milvus Lite with 20,000 images: python -m benchmarks.batch

Both sides call the application in this process, with a model that costs nothing, so that the figures are the service's own; the
requests come from one client, and from eight at once. Words are looked up beside vectors, and the index is built before.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import count
from json import dumps
from pathlib import Path
from time import process_time
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks.measuring import alternate, rate_of, settle
from benchmarks.vectors import AT_ONCE, DIM, clustered, records
from ml_api.app import create_app
from ml_api.collector import spare_what_stays
from ml_api.embedding.base import Prepared
from ml_api.embedding.fake import FakeEncoder
from ml_api.images import ImageLimits
from ml_api.metrics import Metrics
from ml_api.records import ModelInfo, Vectors
from ml_api.settings import load_settings
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.coalescing import CoalescingStore
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.stand_ins import stand_in_services

IMAGES = 20_000
TOGETHER = 64
CLIENTS = 8
ROUNDS = 5
SECONDS = 2.0


class FreeEncoder(FakeEncoder):
    """Vectors as CLIP's are, for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._vectors, self._next = clustered(4096, 3), count()

    @property
    def model(self) -> ModelInfo:
        return ModelInfo("free", "1", DIM, "cpu", "fp32")

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        rows: Vectors = self._vectors[[next(self._next) % len(self._vectors) for _ in items]]
        return rows


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        folder, metrics = Path(name), Metrics()
        (folder / "images").mkdir()
        lite = MilvusStore(MilvusEndpoint(str(folder / "vectors.db")), "batch", VectorIndex(), metrics)
        store = CoalescingStore(lite, metrics, timeout_s=60)
        limits = ImageLimits(10**6, 10**6, 20)
        services = stand_in_services(
            folder / "images", folder / "thumbnails", limits, FreeEncoder(), words=True, store=store, metrics=metrics
        )
        stored, vectors = records(IMAGES), clustered(IMAGES, 1)
        for start in range(0, IMAGES, AT_ONCE):
            services.engine.store.upsert(stored[start : start + AT_ONCE], vectors[start : start + AT_ONCE])
        store.flush()
        settle(lambda: 1 / rate_of(lambda: len(store.search(vectors[:TOGETHER], SearchOptions(10))), 1.0))
        spare_what_stays()
        try:
            _compare(create_app(load_settings({}), services))
        finally:
            services.close()


def _compare(app: Any) -> None:
    words = (f"a red dog number {number}" for number in count())
    core: dict[str, list[float]] = {}

    def measured(side: str, work: Callable[[], int]) -> Callable[[], float]:
        def rate() -> float:
            done, started = 0, process_time()

            def counted() -> int:
                nonlocal done
                done += (more := work())
                return more

            per_second = rate_of(counted, SECONDS)
            core.setdefault(side, []).append((process_time() - started) / done)
            return per_second

        return rate

    with ThreadPoolExecutor(CLIENTS) as clients:
        sides = alternate(
            {
                "one request": measured("one request", lambda: _batch(app, words)),
                "one client": measured("one client", lambda: _alone(app, words)),
                "eight clients": measured(
                    "eight clients", lambda: sum(clients.map(lambda text: _text(app, text), [next(words) for _ in range(TOGETHER)]))
                ),
            },
            ROUNDS,
        )
    for side in sides.rates:
        low, high = sides.ratio_range("one request", side)
        sys.stdout.write(
            f"{side:>14}: {sides.median(side):7.0f} texts/s, {1000 * float(np.median(core[side])):6.3f} ms of a core each; "
            f"64 in one request {sides.ratio('one request', side):.1f} ({low:.1f} to {high:.1f}) times as many\n"
        )


def _batch(app: Any, words: Iterator[str]) -> int:
    queries = [{"query": [{"text": next(words)}]} for _ in range(TOGETHER)]
    _call(app, "POST", "/v1/search/batch", body=dumps({"queries": queries}).encode())
    return TOGETHER


def _alone(app: Any, words: Iterator[str]) -> int:
    return sum(_text(app, next(words)) for _ in range(TOGETHER))


def _text(app: Any, text: str) -> int:
    _call(app, "GET", "/v1/search/text", query=f"q={quote(text)}")
    return 1


def _call(app: Any, method: str, path: str, query: str = "", body: bytes = b"") -> None:
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json" if body else "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
    }
    statuses: list[str] = []
    answer = app.wsgi_app(environ, lambda status, _headers, _exc=None: statuses.append(status))
    try:
        content = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    if not statuses[0].startswith("200"):
        raise RuntimeError(f"{path}: {statuses[0]} {content[:500]!r}")


if __name__ == "__main__":
    main()
