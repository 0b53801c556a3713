"""Every panel of every dashboard has data: a real Prometheus over the real service, Milvus server and node exporter, under traffic.

`pytest tests/e2e/test_dashboards.py -s` prints the table of panels.
"""

import shutil
import sys
import time

import pytest

from monitoring.local.daemons import node_exporter
from monitoring.local.launcher import free_port
from tests.dashboards import expressions, names, substituted
from tests.e2e.server_process import Server, run
from tests.e2e.traffic import Traffic
from tests.servers.milvus import MilvusServer
from tests.servers.prometheus import PrometheusServer
from tests.shortened_rules import shortened_rules
from tests.waiting import wait_until

VARIABLES = {"job": "ml-api", "__rate_interval": "15s"}
ABSENT = {
    "ml_api_gpu_": "needs an NVIDIA GPU",
    "ml_api_torch_": "needs a GPU that torch computes on",
    "DCGM_": "needs an NVIDIA GPU and its exporter",
    "container_": "needs containers and cAdvisor",
}
"""What such a machine as this cannot tell: how the names of its series begin, and why."""


@pytest.fixture(scope="module")
def watched(demo_corpus, tmp_path_factory):
    """The service over a Milvus server, and a Prometheus that scrapes all there is, every second."""
    folder = tmp_path_factory.mktemp("watched")
    # Windows as they are; but groups have no intervals of their own, so that those over days are evaluated every second, too.
    rules = shortened_rules(folder, 1)
    corpus = folder / "corpus"
    shutil.copytree(demo_corpus, corpus)
    milvus = MilvusServer(folder / "milvus")
    service = Server(folder, corpus, milvus_uri=milvus.uri, queue_limit=1, max_upload_bytes=100_000, recall_sample=1)
    node = node_exporter(folder, free_port())
    targets = {
        "ml-api": f"127.0.0.1:{service.metrics_port}",
        "milvus": milvus.metrics_address,
        "node": f"127.0.0.1:{node.port}",
    }
    (folder / "milvus").mkdir()
    (corpus / "broken.jpg").write_bytes(b"no image")
    milvus.start()
    try:
        with node, service, PrometheusServer(folder, targets, changes=lambda it: it.update(rule_files=[rules])) as prometheus:
            prometheus.wait_for_targets()
            run("sync", **service.settings)
            with Traffic(service, next(demo_corpus.rglob("*.jpg"))) as traffic:
                traffic.overload()
                yield prometheus
    finally:
        milvus.end()


def test_the_traffic_is_of_every_kind(watched):
    """Else panels would be full of zeros. Refusals for want of memory, or of time to decode, take more than a test sends."""
    usual = 'ml_api_rejected_total{reason!~"memory_full|decoding|busy"}'
    watched.wait_for(f"count({usual} > 0) == count({usual})")
    watched.wait_for('ml_api_sync_items_total{outcome="failed"} == 1')
    watched.wait_for("count(ml_api_text_cache_requests_total > 0) == 2")
    for status in (200, 304, 400, 404, 413, 415, 422, 503, 504):
        watched.wait_for(f'http_request_duration_seconds_count{{status="{status}"}} > 0')


def is_absent(expression):
    return any(name.startswith(tuple(ABSENT)) for name in names(substituted(expression.promql)))


def has_value(series):
    return series["value"][1] != "NaN"


def test_every_panel_has_data(watched):
    """The newest point of every expression; those without data are asked again until the time is up."""
    found = {}
    missing = [one for one in expressions() if not is_absent(one)]

    def have_data():
        for one in missing:
            found[one] = sum(map(has_value, watched.query(substituted(one.promql, VARIABLES))))
        missing[:] = [one for one in missing if not found[one]]
        return not missing

    wait_until(have_data, otherwise=lambda: "no data: " + "; ".join(f"{one}: {one.promql}" for one in missing))
    for one in filter(is_absent, expressions()):
        found[one] = len(watched.query(substituted(one.promql, VARIABLES)))
    sys.stdout.write(markdown(found))


def markdown(found):
    rows = ["", "| Dashboard | Panel | Series | Expression |", "|---|---|---:|---|"]
    for one in expressions():
        number = found[one] or next(why for start, why in ABSENT.items() if any(n.startswith(start) for n in names_of(one)))
        rows.append(f"| {one.dashboard} | {one.panel} | {number} | `{one.promql.replace('|', '&#124;')}` |")
    return "\n".join(rows) + "\n"


def names_of(expression):
    return names(substituted(expression.promql))


def test_each_reason_for_an_empty_panel_is_needed():
    read = set().union(*map(names_of, expressions()))
    assert not [start for start in ABSENT if not any(name.startswith(start) for name in read)]


def test_durations_come_with_the_traces_of_single_requests(watched):
    """What a dot on the graph of durations leads to."""

    def exemplars():
        now = time.time()
        query = "http_request_duration_seconds_bucket"
        return watched.api("query_exemplars", query=query, start=now - 60, end=now)

    found = wait_until(exemplars, otherwise="no exemplar")
    assert all(len(one["labels"]["trace_id"]) == 32 for series in found for one in series["exemplars"])
