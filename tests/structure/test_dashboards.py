"""The dashboards: the committed JSON is what the sources make, what Grafana accepts, and complete."""

import json
import re
from collections import Counter
from itertools import combinations

import jsonschema
import pytest

from grafana.source.__main__ import FOLDER, files
from tests.dashboards import ROOT, dashboards, expressions, names, panels, substituted

SCHEMA = jsonschema.Draft7Validator(json.loads((ROOT / "grafana" / "schema" / "dashboard.schema.json").read_text()))
UIDS = [f"ml-api-{name}" for name in ("overview", "endpoints", "model", "store", "corpus", "infrastructure", "monitoring")]
COLUMNS = 24

each_dashboard = pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])


def test_the_committed_dashboards_are_what_the_sources_make():
    made = dict(files())
    assert {path: path.read_text() for path in FOLDER.iterdir()} == made, "run `python -m grafana.source`"


def test_there_are_the_seven_dashboards_that_alerts_and_runbooks_point_at():
    assert sorted(dashboard["uid"] for dashboard in dashboards()) == sorted(UIDS)


@each_dashboard
def test_grafanas_own_schema_holds(dashboard):
    wrong = [f"{list(error.absolute_path)}: {error.message:.300}" for error in SCHEMA.iter_errors(dashboard)]
    assert not wrong


@pytest.mark.parametrize(
    "spoil",
    [
        lambda panel: panel["options"].update(colourMode="value"),
        lambda panel: panel["options"].update(colorMode="rainbow"),
        lambda panel: panel["fieldConfig"]["defaults"].update(units="s"),
        lambda panel: panel.update(type="statt"),
        lambda panel: panel["gridPos"].pop("w"),
    ],
    ids=["unknown option", "unknown value", "unknown field option", "unknown panel", "no width"],
)
def test_the_schema_notices_mistakes(spoil):
    dashboard = next(found for found in dashboards() if found["uid"] == "ml-api-overview")
    spoil(next(panel for panel in panels(dashboard) if panel["type"] == "stat"))
    assert not SCHEMA.is_valid(dashboard)


@each_dashboard
def test_panel_ids_are_unique(dashboard):
    assert not [number for number, times in Counter(panel["id"] for panel in dashboard["panels"]).items() if times > 1]


@each_dashboard
def test_panels_lie_on_the_grid_and_on_no_other(dashboard):
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS and place["w"] > 0 and place["h"] > 0 for place in places)
    overlapping = [(one, other) for one, other in combinations(places, 2) if overlap(one, other)]
    assert not overlapping


def overlap(one, other):
    return all(
        one[start] < other[start] + other[length] and other[start] < one[start] + one[length]
        for start, length in (("x", "w"), ("y", "h"))
    )


@each_dashboard
def test_every_panel_says_what_it_shows_in_which_unit_and_where_to_look_next(dashboard):
    for panel in panels(dashboard):
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        linked = {link["url"].removeprefix("/d/").split("?")[0] for link in panel["links"]}
        assert linked - {dashboard["uid"]} <= set(UIDS), panel["title"]
        assert linked - {dashboard["uid"]}, f"{panel['title']} leads nowhere else"


@each_dashboard
def test_the_variables_are_the_same_everywhere_so_that_links_carry_them(dashboard):
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "job", "instance", "route"]


def test_expressions_use_no_other_variables():
    known = {"job", "instance", "route", "__rate_interval", "__range"}
    assert {name for expression in expressions() for name in re.findall(r"\$(\w+)", expression.promql)} == known


def test_a_name_has_the_same_colour_on_every_panel():
    colours = {}
    for dashboard in dashboards():
        for panel in panels(dashboard):
            for override in panel["fieldConfig"]["overrides"]:
                for option in override["properties"]:
                    if option["id"] == "color":
                        colours.setdefault(override["matcher"]["options"], set()).add(option["value"]["fixedColor"])
    assert not {name: found for name, found in colours.items() if len(found) > 1}


@pytest.mark.parametrize("expression", expressions(), ids=str)
def test_every_expression_is_promql_that_reads_something(expression):
    assert names(substituted(expression.promql)) - {None}
