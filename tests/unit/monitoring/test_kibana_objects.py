"""Kibana's dashboard shows what it should, and asks only for fields that the index has."""

import json
import re
from pathlib import Path

import pytest

from tests.index_template import load_template, types_of

ROOT = Path(__file__).parents[3]
DASHBOARD = json.loads((ROOT / "monitoring/kibana/dashboard.json").read_text())
VIEW = json.loads((ROOT / "monitoring/kibana/data-view.json").read_text())
FIELDS = types_of(load_template())
PANELS = {panel["id"]: panel for panel in DASHBOARD["panels"]}
panels = pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["id"])


def query_of(panel):
    config = panel["config"]
    return (config["layers"][0] if config["type"] == "xy" else config)["data_source"]["query"]


def columns_of(panel):
    config = panel["config"]
    if config["type"] == "data_table":
        return [entry["column"] for entry in config["rows"] + config["metrics"]]
    layer = config["layers"][0]
    return [layer["x"]["column"], *(y["column"] for y in layer["y"]), layer["breakdown_by"]["column"]]


def test_every_question_has_a_panel():
    assert PANELS.keys() == {
        "volume-by-level",
        "server-errors-by-route",
        "p95-duration-by-route",
        "top-error-types",
        "rejected-uploads",
        "slowest-requests",
        "sync-failures",
        "zero-hit-searches",
    }
    assert "http.request.id" in [control["config"]["field_name"] for control in DASHBOARD["pinned_panels"]]


@panels
def test_a_panel_has_a_title_and_follows_the_time_range(panel):
    assert panel["config"]["title"]
    assert "WHERE @timestamp <= ?_tend AND @timestamp > ?_tstart" in query_of(panel)


@panels
def test_a_query_names_only_fields_that_the_index_has(panel):
    query = re.sub(r'"[^"]*"|`[^`]*`', "", query_of(panel).removeprefix(f"FROM {VIEW['title']}"))
    named = set(re.findall(r"@timestamp|[a-z_]\w*(?:\.\w+)+", query))
    assert named
    assert named <= FIELDS.keys()


@panels
def test_a_column_that_is_shown_comes_out_of_the_query(panel):
    query = query_of(panel).replace("`", "")
    made = query[query.rindex("KEEP") if "KEEP" in query else query.rindex("STATS") :]
    assert [column for column in columns_of(panel) if column not in made] == []


def test_controls_filter_by_fields_of_the_data_view():
    for control in DASHBOARD["pinned_panels"]:
        assert control["config"]["data_view_id"] == "ml_api-logs"
        assert FIELDS[control["config"]["field_name"]] == "keyword"


def test_panels_lie_side_by_side_without_gaps():
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["grid"]["x"], panel["grid"]["x"] + panel["grid"]["w"])
        for y in range(panel["grid"]["y"], panel["grid"]["y"] + panel["grid"]["h"])
    ]
    height = max(y for _, y in taken) + 1
    assert len(taken) == len(set(taken)) == 48 * height
    assert max(x for x, _ in taken) == 47


def test_the_data_view_and_the_shipper_mean_the_index_of_the_template():
    template = json.loads((ROOT / "monitoring/elasticsearch/index-template.json").read_text())
    assert template["index_patterns"] == [VIEW["title"]]
    assert VIEW["timeFieldName"] == "@timestamp"
    roles = json.loads((ROOT / "monitoring/elasticsearch/roles.json").read_text())
    assert {name for role in roles.values() for index in role["indices"] for name in index["names"]} == {VIEW["title"]}
    assert roles["ml_api_shipper"]["indices"][0]["privileges"] == ["create_doc"], "the shipper can do more than add lines"
