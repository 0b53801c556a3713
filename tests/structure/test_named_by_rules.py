"""What rules and runbooks name exists: metrics in our catalogue, another rule or what the real programs expose; log fields."""

import re
import urllib.request
from pathlib import Path

import pytest
import yaml
from ml_api.logs.fields import FIELDS

from ml_api.metrics import Metrics
from monitoring.local.daemons import choose_port, node_exporter
from tests.prometheus_server import PrometheusServer
from tests.promql import metric_names

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "prometheus"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
BY_PROMETHEUS = {"up", "ALERTS"}
NOT_RUN_HERE = {"milvus_proxy_sq_latency_bucket", "container_memory_working_set_bytes", "alertmanager_notifications_failed_total"}
"""The first is proven by tests/e2e/test_fault.py; cAdvisor does not run without containers."""


def rules():
    for path in sorted((PROMETHEUS / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


RECORDS = {rule["record"] for rule in rules() if "record" in rule}
RUNBOOKS = [path for path in sorted((ROOT / "monitoring" / "runbooks").glob("*.md")) if path.stem != "README"]
QUERIES = {path.stem: re.findall(r"```promql\n(.*?)\n```", path.read_text(), re.DOTALL) for path in RUNBOOKS}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    with PrometheusServer(tmp_path_factory.mktemp("prometheus"), {}) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def exposed(prometheus, tmp_path_factory):
    """Names of series of our catalogue, of the real node exporter and of the real Prometheus."""
    metrics = Metrics()
    names = {d.name + suffix for d in metrics.definitions for suffix in SUFFIXES.get(d.kind, ("",))}
    names |= {sample.name for family in metrics.registry.collect() for sample in family.samples}
    with node_exporter(tmp_path_factory.mktemp("node-exporter"), choose_port()) as exporter:
        for url in (exporter.url, prometheus.url):
            with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
                names |= set(re.findall(r"^([a-zA-Z_:][\w:]*)", answer.read().decode(), re.MULTILINE))
    return names | BY_PROMETHEUS | NOT_RUN_HERE


@pytest.mark.parametrize("rule", list(rules()), ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_names_metrics_that_exist(rule, exposed):
    assert metric_names(rule["expr"]) <= exposed | RECORDS


@pytest.mark.parametrize("page", list(QUERIES))
def test_a_runbook_asks_for_metrics_that_exist_in_proper_promql(page, exposed, prometheus):
    assert QUERIES[page], "a runbook without a query"
    for expression in QUERIES[page]:
        assert metric_names(expression) <= exposed | RECORDS
        prometheus.query(expression)


def test_a_runbook_looks_for_log_fields_that_exist():
    searches = re.findall(r"```kql\n(.*?)\n```", "".join(path.read_text() for path in RUNBOOKS), re.DOTALL)
    assert searches
    for search in searches:
        fields = set(re.findall(r"([\w.@]+)\s*(?::|>=?|<=?)", re.sub(r'"[^"]*"', "", search)))
        assert fields
        assert fields <= FIELDS.keys()


def test_names_are_found_in_expressions():
    assert metric_names('sum by (job) (rate(a_total{x="b_total"}[5m] offset 1d)) / on (job) group_left () c:d > bool 0.5e3') == {
        "a_total",
        "c:d",
    }
    assert metric_names("histogram_quantile(0.95, sum by (le) (rate(x_bucket[1m]))) and time() - y < 3 unless on () z") == {
        *("x_bucket", "y", "z"),
    }
