"""What the monitoring reads is there, and what the service tells is read."""

import pytest

from grafana.source import colours
from ml_api.metrics import Metrics
from ml_api.metrics.embedding import InputOutcome
from ml_api.metrics.store import CallOutcome
from ml_api.vocabulary import ChangeOutcome, Stage, SyncOutcome
from tests.dashboards import expressions, names, rules, substituted

FOREIGN = {
    "Prometheus makes them itself": {"ALERTS", "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"},
    "Prometheus, of itself": {
        "prometheus_notifications_dropped_total",
        "prometheus_rule_evaluation_failures_total",
        "prometheus_rule_group_last_duration_seconds",
        "prometheus_tsdb_head_series",
    },
    "prometheus_client, of every Python process": {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "python_gc_collections_total",
    },
    "node exporter": {
        "node_cpu_seconds_total",
        "node_disk_read_bytes_total",
        "node_disk_written_bytes_total",
        "node_filesystem_avail_bytes",
        "node_filesystem_readonly",
        "node_filesystem_size_bytes",
        "node_memory_MemAvailable_bytes",
        "node_memory_MemTotal_bytes",
        "node_network_receive_bytes_total",
        "node_network_transmit_bytes_total",
    },
    "Milvus": {
        "milvus_datacoord_stored_rows_num",
        "milvus_proxy_rate_limit_req_count",
        "milvus_proxy_req_count",
        "milvus_proxy_slow_query_count",
        "milvus_proxy_sq_latency",
        "milvus_proxy_sq_wait_result_latency",
        "milvus_querynode_entity_num",
        "milvus_querynode_sq_queue_latency",
        "milvus_querynode_sq_req_latency",
    },
    "cAdvisor": {"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_start_time_seconds"},
    "DCGM exporter": {"DCGM_FI_DEV_GPU_UTIL"},
}
"""Metrics that others tell. The test of the live dashboards shows which of them are there."""

OURS = {definition.name for definition in Metrics().definitions}
HISTOGRAMS = {definition.name for definition in Metrics().definitions if definition.kind == "histogram"}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def metric(series):
    """The metric that a series belongs to: a histogram's bucket, sum and count are it."""
    stem = series.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
    return stem if stem in HISTOGRAMS or stem in FOREIGN["Milvus"] else series


READ_BY_RULES = {metric(name) for rule in rules() for name in names(rule["expr"])}
READ_BY_PANELS = {metric(name) for expression in expressions() for name in names(substituted(expression.promql))}
KNOWN = OURS | RECORDED | set().union(*FOREIGN.values())


@pytest.mark.parametrize("name", sorted(READ_BY_PANELS | READ_BY_RULES))
def test_what_a_panel_or_a_rule_reads_is_known(name):
    assert name in KNOWN


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_metric_of_ours_is_on_a_panel_or_in_a_rule(name):
    assert name in READ_BY_PANELS | READ_BY_RULES


def test_no_foreign_metric_is_listed_in_vain():
    assert set().union(*FOREIGN.values()) <= READ_BY_PANELS | READ_BY_RULES


def test_every_recorded_series_is_read():
    assert RECORDED <= READ_BY_PANELS | READ_BY_RULES


def test_the_dashboards_have_a_colour_for_every_stage_and_outcome():
    assert list(colours.STAGES) == list(Stage)
    assert list(colours.SYNC) == list(SyncOutcome)
    assert list(colours.CHANGE) == list(ChangeOutcome)
    assert set(colours.OUTCOMES) == {*InputOutcome, *CallOutcome}
