"""Who hears of which alert: asked of amtool, and of a real Alertmanager where it is about silence."""

import json
import queue
import urllib.request

import pytest
import yaml

from monitoring.local.configuration import PROMETHEUS, notifying, write
from monitoring.local.daemons import alertmanager, choose_port
from monitoring.local.notifications import Webhook, lines
from tests.prometheus_server import amtool, wait_until

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


class Heard:
    """A real Alertmanager that waits for nothing before it speaks, and what it said."""

    def __init__(self, folder):
        self.said = queue.SimpleQueue()
        self.webhook = Webhook(lambda receiver, message: self.said.put((receiver, message)))
        configuration = yaml.safe_load(notifying(self.webhook.url))
        for route in (configuration["route"], *configuration["route"]["routes"]):
            route |= {"group_wait": "0s", "group_interval": "1s"}
        self.daemon = alertmanager(write(configuration, folder / "alertmanager.yml"), folder, choose_port())

    def fire(self, **labels):
        body = json.dumps([{"labels": labels, "annotations": {"summary": "something is wrong", "runbook_url": "x.md"}}]).encode()
        request = urllib.request.Request(f"{self.daemon.url}/api/v2/alerts", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

    def states(self):
        """Every alert's name and instance -> its state, as Alertmanager tells it."""
        with urllib.request.urlopen(f"{self.daemon.url}/api/v2/alerts", timeout=10) as answer:
            alerts = json.load(answer)
        return {(alert["labels"]["alertname"], alert["labels"]["instance"]): alert["status"]["state"] for alert in alerts}


@pytest.fixture
def heard(tmp_path):
    heard = Heard(tmp_path)
    with heard.webhook, heard.daemon:
        yield heard


def test_causes_are_silent_under_a_target_that_is_down(heard):
    heard.fire(alertname="TargetDown", severity="page", kind="outage", job="ml-api", instance="a")
    heard.fire(alertname="StoreErrors", severity="ticket", kind="cause", job="ml-api", instance="a")
    heard.fire(alertname="StoreErrors", severity="ticket", kind="cause", job="ml-api", instance="b")
    heard.fire(alertname="SearchErrorBudgetBurn", severity="page", kind="symptom", job="ml-api", instance="a")
    expected = {
        ("TargetDown", "a"): "active",
        ("StoreErrors", "a"): "suppressed",
        ("StoreErrors", "b"): "active",
        ("SearchErrorBudgetBurn", "a"): "active",
    }
    wait_until(lambda: heard.states() == expected, 15, f"states are not {expected}")


def test_a_page_silences_the_ticket_of_the_same_objective_and_a_dead_store_its_errors(heard):
    heard.fire(alertname="SearchErrorBudgetBurn", severity="page", kind="symptom", job="ml-api", window="1h", instance="-")
    heard.fire(alertname="SearchErrorBudgetBurn", severity="ticket", kind="symptom", job="ml-api", window="3d", instance="3d")
    heard.fire(alertname="SearchLatencyBudgetBurn", severity="ticket", kind="symptom", job="ml-api", window="3d", instance="3d")
    heard.fire(alertname="StoreDown", severity="page", kind="cause", job="ml-api", instance="a")
    heard.fire(alertname="StoreLatencyGap", severity="ticket", kind="cause", job="ml-api", instance="a")
    expected = {
        ("SearchErrorBudgetBurn", "-"): "active",
        ("SearchErrorBudgetBurn", "3d"): "suppressed",
        ("SearchLatencyBudgetBurn", "3d"): "active",
        ("StoreDown", "a"): "active",
        ("StoreLatencyGap", "a"): "suppressed",
    }
    wait_until(lambda: heard.states() == expected, 15, f"states are not {expected}")


def test_a_page_arrives_at_the_webhook(heard):
    heard.fire(alertname="StoreDown", severity="page", kind="cause", job="ml-api", instance="a")
    receiver, message = heard.said.get(timeout=15)
    assert receiver == "page"
    assert lines(receiver, message) == ["page: StoreDown firing: something is wrong (x.md)"]


def test_the_watchdog_is_no_news():
    assert lines("watchdog", {"alerts": [{"labels": {"alertname": "Watchdog"}, "status": "firing", "annotations": {}}]}) == []
