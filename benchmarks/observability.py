"""What watching costs: a request with and without it, a scrape, a log line.

The application runs in this process over a stand-in model and store, so that nothing hides the cost. Its bare twin has the same
views without the hooks around them: no ids, no traces, no log line, and a catalogue that takes every measurement and keeps none.
"""

import http.client
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, g

from benchmarks.machine import describe
from benchmarks.measuring import Sides, alternate, percentile_ms
from benchmarks.photographs import write_corpus
from benchmarks.results import bars, save, table
from ml_api import logs, tracing
from ml_api.app import create_app
from ml_api.browsers import AllowedHosts
from ml_api.images import ImageLimits
from ml_api.metrics import Metrics
from ml_api.metrics.endpoint import endpoint
from ml_api.settings import load_settings
from ml_api.vectors.coalescing import CoalescingStore
from ml_api.vectors.memory import MemoryStore
from monitoring.local.launcher import free_port
from tests.stand_ins import stand_in_services

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = 16
REQUESTS = 20
ROUNDS = 150
SCRAPES = 100
LINES = 5000
MODEL_ID, SEARCH = "fake@1", "/v1/search/text?q=red+{}&limit=10"
PATHS = ("/livez", "/readyz", "/v1/model", "/v1/stats", "/openapi.json", "/", "/no/such/path", "/v1/search/text?q=")


class Nothing:
    """Takes whatever is measured, and keeps none of it."""

    def __getattr__(self, name: str) -> "Nothing":
        return self

    def __call__(self, *_: object, **__: object) -> "Nothing":
        return self

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Cost:
    of: str
    p50_ms: float
    p99_ms: float
    aim_ms: float


def main() -> None:
    machine = describe()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ml-api-benchmark-")))
        logs.configure("info", "benchmark", stack.enter_context(Path(os.devnull).open("w")))
        write_corpus(folder / "images", IMAGES)
        metrics = Metrics()
        watched = stack.enter_context(application(folder, metrics))
        bare = _without_hooks(stack.enter_context(application(folder, cast("Metrics", Nothing()))))
        request, sides, seconds = measure_requests(watched, bare)
        series = _meet_everything(watched, metrics)
        costs = [request, measure_scrapes(metrics), measure_lines()]
    table("what watching costs", costs)
    print(
        f"\n  a request, p50: {seconds['bare']:.3f} ms bare, {seconds['watched']:.3f} ms watched; a scrape brings {series} series"
    )
    figures = {"costs": costs, "p50_ms": seconds, "rates": sides.rates, "series": series}
    save("observability", machine, figures, [partial(_draw, costs=costs)])


@contextmanager
def application(folder: Path, metrics: Metrics) -> Iterator[Flask]:
    store = CoalescingStore(MemoryStore(), metrics, timeout_s=30)
    limits = ImageLimits(2**20, 10**7, 20)
    services = stand_in_services(folder / "images", folder / "thumbnails", limits, metrics=metrics, store=store)
    try:
        yield create_app(load_settings({}), services)
    finally:
        services.close()


def _without_hooks(app: Flask) -> Flask:
    """Only what the views themselves need is left."""

    def begin() -> None:
        g.started, g.noted = perf_counter(), {}

    app.before_request_funcs = {None: [begin]}
    app.after_request_funcs = {}
    app.teardown_request_funcs = {}
    return app


def measure_requests(watched: Flask, bare: Flask) -> tuple[Cost, Sides, dict[str, float]]:
    """The difference of what requests take, in short turns, so that both sides have the same machine."""
    seconds: dict[str, list[list[float]]] = {"bare": [], "watched": []}

    def side(name: str, app: Flask) -> float:
        seconds[name].append(_ask(app))
        return len(seconds[name][-1]) / sum(seconds[name][-1])

    for app in (watched, bare) * 10:
        _ask(app)
    sides = alternate({"bare": partial(side, "bare", bare), "watched": partial(side, "watched", watched)}, ROUNDS)
    medians = {name: [percentile_ms(one, 50) for one in rounds] for name, rounds in seconds.items()}
    more = sorted(one - other for one, other in zip(medians["watched"], medians["bare"], strict=True))
    cost = Cost("request, beyond the bare one", percentile_ms([one / 1000 for one in more], 50), more[int(0.99 * len(more))], 0.3)
    return cost, sides, {name: sorted(values)[len(values) // 2] for name, values in medians.items()}


def _ask(app: Flask) -> list[float]:
    client, seconds = app.test_client(), []
    for number in range(REQUESTS):
        started = perf_counter()
        answer = client.get(SEARCH.format(number))
        seconds.append(perf_counter() - started)
        if answer.status_code != 200:
            raise RuntimeError(f"a search was answered with {answer.status_code}")
    return seconds


def _meet_everything(app: Flask, metrics: Metrics) -> int:
    """Let the catalogue fill, as it does in a service that has been up for a while. How many series there are then."""
    client = app.test_client()
    for path in PATHS:
        for method in ("GET", "POST", "OPTIONS"):
            client.open(path, method=method)
    return sum(len(family.samples) for family in metrics.registry.collect())


def measure_scrapes(metrics: Metrics) -> Cost:
    """Over HTTP, with exemplars, as Prometheus asks."""
    port = free_port()
    with endpoint("127.0.0.1", port, metrics.registry, AllowedHosts.of("127.0.0.1")):
        return _cost("scrape", partial(_scrape, port), SCRAPES, 50)


def _scrape(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        "GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "gzip"}
    )
    connection.getresponse().read()
    connection.close()


def measure_lines() -> Cost:
    """Of an access line with all that a search has to tell."""
    values: dict[str, Any] = {"keyword": "images", "long": 12, "float": 1.234, "ip": "127.0.0.1"}
    extra = {
        name: values.get(kind, "two dogs playing in the snow")
        for name, (kind, _) in logs.FIELDS.items()
        if name.startswith(("event.", "http.", "url.", "client.", "user_agent.", "ml_api.")) and ".sync." not in name
    }
    logger = logging.getLogger("ml_api.access")
    with tracing.on_behalf_of([tracing.request_origin(None, None)]):
        return _cost("log line", lambda: logger.info("GET %s", "/v1/search/text", extra=extra), LINES, 0.05)


def _cost(of: str, work: Callable[[], object], times: int, aim_ms: float) -> Cost:
    seconds = []
    for _ in range(times):
        started = perf_counter()
        work()
        seconds.append(perf_counter() - started)
    return Cost(of, percentile_ms(seconds, 50), percentile_ms(seconds, 99), aim_ms)


def _draw(axis: "Axes", costs: list[Cost]) -> None:
    series = {"p50": [cost.p50_ms / cost.aim_ms for cost in costs], "p99": [cost.p99_ms / cost.aim_ms for cost in costs]}
    bars(axis, "what watching costs", "share of what it may", [cost.of for cost in costs], series)


if __name__ == "__main__":
    main()
