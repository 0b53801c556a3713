"""Who hears of which alert: asked of amtool, and of a real Alertmanager where it is about silence."""

import pytest
import yaml

from monitoring.local.configuration import PROMETHEUS
from monitoring.local.notifications import lines
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.prometheus import amtool
from tests.waiting import wait_until

CONFIGURATION = PROMETHEUS / "alertmanager.yml"


def test_alertmanager_accepts_the_configuration():
    result = amtool("check-config", CONFIGURATION)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page", "alertname=StoreDown"], "page"),
        (["severity=ticket", "alertname=GpuHot"], "ticket"),
        (["severity=watchdog", "alertname=Watchdog"], "watchdog"),
        (["alertname=SomethingOfYours"], "ticket"),
    ],
)
def test_an_alert_reaches_whom_its_severity_says(labels, receiver):
    result = amtool("config", "routes", "test", f"--config.file={CONFIGURATION}", f"--verify.receivers={receiver}", *labels)
    assert result.returncode == 0, result.stdout + result.stderr


def test_nothing_in_the_configuration_is_secret():
    receivers = yaml.safe_load(CONFIGURATION.read_text())["receivers"]
    assert {webhook["url"] for receiver in receivers for webhook in receiver["webhook_configs"]} == {
        f"http://localhost:9094/{receiver['name']}" for receiver in receivers
    }


@pytest.fixture
def alertmanager(tmp_path):
    with AlertmanagerServer(tmp_path) as alertmanager:
        yield alertmanager


def test_causes_are_silent_under_a_target_that_is_down(alertmanager):
    alertmanager.fire(alertname="TargetDown", severity="page", kind="outage", job="ml-api", instance="a")
    alertmanager.fire(alertname="StoreErrors", severity="ticket", kind="cause", job="ml-api", instance="a")
    alertmanager.fire(alertname="StoreErrors", severity="ticket", kind="cause", job="ml-api", instance="b")
    alertmanager.fire(alertname="SearchErrorBudgetBurn", severity="page", kind="symptom", job="ml-api", instance="a")
    expected = {
        ("TargetDown", "a"): "active",
        ("StoreErrors", "a"): "suppressed",
        ("StoreErrors", "b"): "active",
        ("SearchErrorBudgetBurn", "a"): "active",
    }
    wait_until(lambda: alertmanager.states() == expected, otherwise=f"states are not {expected}")


def test_a_page_silences_the_ticket_of_the_same_objective_and_a_dead_store_its_errors(alertmanager):
    alertmanager.fire(alertname="SearchErrorBudgetBurn", severity="page", kind="symptom", job="ml-api", window="1h", instance="-")
    alertmanager.fire(
        alertname="SearchErrorBudgetBurn", severity="ticket", kind="symptom", job="ml-api", window="3d", instance="3d"
    )
    alertmanager.fire(
        alertname="SearchLatencyBudgetBurn", severity="ticket", kind="symptom", job="ml-api", window="3d", instance="3d"
    )
    alertmanager.fire(alertname="StoreDown", severity="page", kind="cause", job="ml-api", instance="a")
    alertmanager.fire(alertname="StoreLatencyGap", severity="ticket", kind="cause", job="ml-api", instance="a")
    expected = {
        ("SearchErrorBudgetBurn", "-"): "active",
        ("SearchErrorBudgetBurn", "3d"): "suppressed",
        ("SearchLatencyBudgetBurn", "3d"): "active",
        ("StoreDown", "a"): "active",
        ("StoreLatencyGap", "a"): "suppressed",
    }
    wait_until(lambda: alertmanager.states() == expected, otherwise=f"states are not {expected}")


def test_a_page_arrives_at_the_webhook(alertmanager):
    alertmanager.fire(alertname="StoreDown", severity="page", kind="cause", job="ml-api", instance="a")
    receiver, message = alertmanager.said.get(timeout=60)
    assert receiver == "page"
    assert lines(receiver, message) == ["page: StoreDown firing: something is wrong (x.md)"]


def test_the_watchdog_is_no_news():
    assert lines("watchdog", {"alerts": [{"labels": {"alertname": "Watchdog"}, "status": "firing", "annotations": {}}]}) == []
