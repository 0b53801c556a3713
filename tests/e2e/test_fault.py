"""A fault, from its cause to whom it concerns: the real service, a real Milvus server, Prometheus and Alertmanager."""

import pytest

from tests.e2e.server_process import Server
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.prometheus import PrometheusServer
from tests.shortened_rules import shortened_rules
from tests.slow_line import SlowLine
from tests.waiting import wait_until

FACTOR = 120
"""An hour becomes half a minute."""


@pytest.fixture
def alertmanager(tmp_path):
    with AlertmanagerServer(tmp_path) as alertmanager:
        yield alertmanager


@pytest.fixture
def line(milvus):
    with SlowLine(milvus.port) as line:
        yield line


@pytest.fixture
def service(demo_corpus, line, tmp_path):
    with Server(tmp_path, demo_corpus, milvus_uri=f"http://127.0.0.1:{line.port}") as service:
        yield service


@pytest.fixture
def prometheus(service, milvus, alertmanager, tmp_path):
    targets = {
        "ml-api": f"127.0.0.1:{service.metrics_port}",
        "milvus": milvus.metrics_address,
        "alertmanager": f"127.0.0.1:{alertmanager.daemon.port}",
    }

    def shorten(configuration):
        configuration["rule_files"] = [shortened_rules(tmp_path, FACTOR)]

    with PrometheusServer(tmp_path, targets, changes=shorten) as prometheus:
        yield prometheus


def search(service):
    return service.get("/v1/search/text?q=a+red+boat&limit=1")[0]


def firing(prometheus, name):
    return prometheus.query(f'ALERTS{{alertname="{name}", alertstate="firing"}}')


def test_faults_of_the_store_and_the_service_reach_the_one_on_duty(service, milvus, line, alertmanager, prometheus):
    assert search(service) == 200
    prometheus.wait_for_targets()
    wait_until(
        lambda: search(service) == 200 and prometheus.query("milvus:search_seconds:p95_10m >= 0"),
        otherwise="Milvus tells no latency",
    )
    prometheus.wait_for('ALERTS{alertname="Watchdog", alertstate="firing"}')
    assert not prometheus.query('ALERTS{alertname!="Watchdog", alertstate="firing"}'), (
        "something is wrong before anything went wrong"
    )

    line.delay_s = 0.2
    wait_until(lambda: search(service) == 200 and firing(prometheus, "StoreLatencyGap"), otherwise="a slow line is not told")
    line.delay_s = 0.0

    milvus.kill()
    told = {}

    def is_told():
        assert search(service) == 503
        while not alertmanager.said.empty():
            receiver, message = alertmanager.said.get()
            told.update({alert["labels"]["alertname"]: (receiver, alert) for alert in message["alerts"]})
        return {"StoreDown", "SearchErrorBudgetBurn"} <= told.keys()

    wait_until(is_told, otherwise="nobody is told that the store is down, and searches fail")
    # Nobody is told of StoreErrors where Milvus is known to be down.
    wait_until(lambda: search(service) == 503 and firing(prometheus, "StoreErrors"), otherwise="errors of the store are not told")
    receiver, alert = told["StoreDown"]
    assert receiver == "page"
    assert alert["annotations"]["runbook_url"] == "monitoring/runbooks/StoreDown.md"
    assert alert["annotations"]["summary"] == f"127.0.0.1:{service.metrics_port}: the vector store does not answer"
    assert told["SearchErrorBudgetBurn"][0] == "page"

    service.stop()
    prometheus.wait_for('ALERTS{alertname="TargetDown", alertstate="firing", job="ml-api"}')
