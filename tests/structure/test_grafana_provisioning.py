"""What Grafana is given when it starts: its data sources, and the way from a dot on a graph to the log lines of that request."""

import json
import urllib.parse

import yaml

from tests.dashboards import ROOT

PROVISIONING = ROOT / "grafana" / "provisioning"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def data_sources():
    text = (PROVISIONING / "datasources" / "datasources.yml").read_text()
    return {source["type"]: source for source in yaml.safe_load(text.replace("$$", "$"))["datasources"]}


def test_an_exemplar_leads_to_the_log_lines_of_its_trace():
    (link,) = data_sources()["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert link["name"] == "trace_id"
    address = urllib.parse.urlsplit(link["url"].replace("${__value.raw}", TRACE))
    (pane,) = json.loads(urllib.parse.parse_qs(address.query)["panes"][0]).values()
    assert address.path == "/explore"
    assert pane["datasource"] == data_sources()["elasticsearch"]["uid"]
    assert [query["query"] for query in pane["queries"]] == [f'trace.id:"{TRACE}"']


def test_rates_are_made_for_the_interval_of_the_scrapes():
    scrapes = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert data_sources()["prometheus"]["jsonData"]["timeInterval"] == scrapes


def test_passwords_come_from_the_environment_only():
    secrets = [secret for source in data_sources().values() for secret in source.get("secureJsonData", {}).values()]
    assert secrets == ["$ELASTICSEARCH_READER_PASSWORD"]


def test_nobody_edits_by_hand_what_is_made_from_sources():
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "dashboards.yml").read_text())["providers"]
    assert provider["allowUiUpdates"] is False
