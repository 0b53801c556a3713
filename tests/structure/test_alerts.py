"""Every alert is complete: tested, explained, and about metrics that exist."""

import re
from functools import cache

import pytest
import yaml

from monitoring import objectives
from tests.dashboards import ROOT, dashboards, rules

PROMETHEUS = ROOT / "prometheus"
RUNBOOKS = ROOT / "monitoring" / "runbooks"
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
CANNOT_BE_QUIET = {"Watchdog"}


ALERTS = [rule for rule in rules() if "alert" in rule]


def identity(alert):
    """What tells two rules of one name apart."""
    return f"{alert['alert']}-{alert['labels'].get('window', alert['labels']['severity'])}"


@cache
def expectations():
    """(expression, samples) of every unit test."""
    return [
        (test["expr"], [labels(sample["labels"]) for sample in test["exp_samples"]])
        for path in sorted((PROMETHEUS / "tests").glob("*.yml"))
        for case in yaml.safe_load(path.read_text())["tests"]
        for test in case["promql_expr_test"]
    ]


def labels(text):
    return dict(re.findall(r'(\w+)="([^"]*)"', text))


def firing(alert):
    """The label sets with which tests expect this rule to fire."""
    wanted = {"alertname": alert["alert"], "alertstate": "firing"} | alert["labels"]
    return [sample for _, samples in expectations() for sample in samples if wanted.items() <= sample.items()]


def quiet(alert):
    """Whether a test expects that this rule does not fire."""
    mine = {"alertname": alert["alert"]} | ({"window": alert["labels"]["window"]} if "window" in alert["labels"] else {})
    return any(not samples and mine.items() <= labels(expression).items() for expression, samples in expectations())


@pytest.mark.parametrize("alert", ALERTS, ids=identity)
def test_an_alert_fires_in_a_test_and_is_quiet_in_another(alert):
    assert firing(alert), "no unit test expects this to fire"
    assert quiet(alert) or alert["alert"] in CANNOT_BE_QUIET, "no unit test expects this to be quiet"


@pytest.mark.parametrize("alert", ALERTS, ids=identity)
def test_an_alert_says_how_urgent_it_is_and_what_it_means(alert):
    assert alert["labels"]["severity"] in {"page", "ticket", "watchdog"}
    assert alert["labels"]["kind"] in {"symptom", "cause", "outage", "watchdog"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url", "dashboard_url"}


@pytest.mark.parametrize("alert", ALERTS, ids=identity)
def test_the_words_of_an_alert_name_labels_that_it_has(alert):
    words = " ".join(alert["annotations"].values())
    for sample in firing(alert):
        assert set(re.findall(r"\$labels\.(\w+)", words)) <= sample.keys()


@pytest.mark.parametrize("alert", ALERTS, ids=identity)
def test_an_alert_has_a_runbook_of_its_name(alert):
    assert alert["annotations"]["runbook_url"] == f"monitoring/runbooks/{alert['alert']}.md"
    page = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    assert page.startswith(f"# {alert['alert']}\n")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("alert", ALERTS, ids=identity)
def test_an_alert_leads_to_a_dashboard_that_exists(alert):
    assert alert["annotations"]["dashboard_url"].removeprefix("/d/") in {dashboard["uid"] for dashboard in dashboards()}


def test_every_runbook_is_of_an_alert():
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == {alert["alert"] for alert in ALERTS}


def test_the_objectives_are_written_from_their_source():
    assert objectives.OUTPUT.read_text() == objectives.text(), "run: python -m monitoring.objectives"
