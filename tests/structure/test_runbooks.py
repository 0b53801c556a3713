"""What runbooks ask for exists: metrics in our catalogue, in a rule or in what the real programs tell; log fields in ours."""

import re
import urllib.request

import pytest

from ml_api.logs.fields import FIELDS
from ml_api.metrics import Metrics
from monitoring.local.daemons import node_exporter
from monitoring.local.launcher import free_port
from tests.dashboards import ROOT, names, rules
from tests.servers.prometheus import PrometheusServer

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
NOT_TOLD_HERE = {"ALERTS", "up", "container_memory_working_set_bytes", "alertmanager_notifications_failed_total"}
"""Prometheus makes the first two itself; cAdvisor does not run without containers; Alertmanager's the test has no need to start."""

PAGES = {path.stem: path.read_text() for path in (ROOT / "monitoring" / "runbooks").glob("*.md") if path.stem != "README"}


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)\n```", PAGES[page], re.DOTALL)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    with PrometheusServer(tmp_path_factory.mktemp("prometheus"), {}) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def told(prometheus, tmp_path_factory):
    """Names of the series of our catalogue and rules, of the real node exporter and of the real Prometheus."""
    metrics = Metrics()
    series = {definition.name + suffix for definition in metrics.definitions for suffix in SUFFIXES.get(definition.kind, ("",))}
    series |= {sample.name for family in metrics.registry.collect() for sample in family.samples}
    series |= {rule["record"] for rule in rules() if "record" in rule}
    with node_exporter(tmp_path_factory.mktemp("node-exporter"), free_port()) as exporter:
        for url in (exporter.url, prometheus.url):
            with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
                series |= set(re.findall(r"^([a-zA-Z_:][\w:]*)", answer.read().decode(), re.MULTILINE))
    return series | NOT_TOLD_HERE


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_runbook_asks_for_metrics_that_exist_in_proper_promql(page, told, prometheus):
    assert blocks(page, "promql"), "a runbook without a query"
    for expression in blocks(page, "promql"):
        assert names(expression) <= told
        prometheus.query(expression)


@pytest.mark.parametrize("page", [page for page in sorted(PAGES) if blocks(page, "kql")])
def test_a_runbook_looks_for_log_fields_that_exist(page):
    for search in blocks(page, "kql"):
        fields = re.findall(r"([\w.@]+)\s*(?::|[<>]=?)", re.sub(r'"[^"]*"', "", search))
        assert fields
        assert set(fields) <= FIELDS.keys()


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_runbook_leads_to_runbooks_that_exist(page):
    assert set(re.findall(r"\]\((\w+)\.md\)", PAGES[page])) <= PAGES.keys()
