"""The kinds of panel, as few as do: a number, a text, a graph, a heatmap, a table, a band of states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

from grafana.source.colours import CALM, Colours

Json = dict[str, Any]
Unit = Literal[
    "none", "short", "percentunit", "s", "bytes", "Bps", "reqps", "ops", "celsius", "watt", "dateTimeFromNow", "bool_yes_no"
]
"""Grafana's own names, of its packages/grafana-data/src/valueFormats/categories.ts."""

Steps = Mapping[float, str]
"""From which value on which colour holds."""

DATA_SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """One PromQL expression. `legend` names its series; `{{label}}` in it is the label's value."""

    expr: str
    legend: str = "__auto"
    exemplars: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel without its place: that, its id and its links come from the dashboard it is put on."""

    kind: Literal["timeseries", "stat", "heatmap", "table", "state-timeline"]
    title: str
    description: str
    unit: Unit
    queries: Sequence[Query]
    options: Json
    defaults: Json
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()
    height: int = 8
    form: Literal["time_series", "heatmap", "table"] = "time_series"
    instant: bool = False

    def coloured(self, colours: Colours) -> Self:
        """These series in these colours."""
        fixed = [_override(name, "color", {"mode": "fixed", "fixedColor": colour}) for name, colour in colours.items()]
        return replace(self, overrides=[*self.overrides, *fixed])

    def stacked(self) -> Self:
        """A graph's areas one on the other, for parts of a whole."""
        return self._drawn(fillOpacity=60, stacking={"mode": "normal", "group": "A"})

    def limited(self, steps: Steps) -> Self:
        """A graph's dashed lines to stay below."""
        return self._drawn(thresholdsStyle={"mode": "dashed"}).set(thresholds=_thresholds("transparent", steps))

    def low(self) -> Self:
        """Half as high as others, for little to show."""
        return replace(self, height=4)

    def set(self, **defaults: Any) -> Self:
        """Any other option of Grafana's `fieldConfig.defaults`: `max=1`, `decimals=2`; None takes one away."""
        merged = self.defaults | defaults
        return replace(self, defaults={name: value for name, value in merged.items() if value is not None})

    def _drawn(self, **custom: Any) -> Self:
        return self.set(custom=self.defaults["custom"] | custom)

    def json(self) -> Json:
        return {
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATA_SOURCE,
            "targets": [self._target(number, query) for number, query in enumerate(self.queries)],
            "options": self.options,
            "fieldConfig": {"defaults": {"unit": self.unit} | self.defaults, "overrides": list(self.overrides)},
            "transformations": list(self.transformations),
        }

    def _target(self, number: int, query: Query) -> Json:
        return {
            "refId": chr(ord("A") + number),
            "datasource": DATA_SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend,
            "exemplar": query.exemplars,
            "format": self.form,
            "instant": self.instant,
            "range": not self.instant,
            "editorMode": "code",
        }


def graph(title: str, description: str, unit: Unit, *queries: Query) -> Panel:
    """Lines over time."""
    return Panel(
        kind="timeseries",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        options={
            "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        defaults={
            "min": 0,
            "color": {"mode": "palette-classic-by-name"},
            "custom": {"drawStyle": "line", "fillOpacity": 8, "lineWidth": 1, "showPoints": "never"},
        },
    )


def stat(title: str, description: str, unit: Unit, query: Query, steps: Steps | None = None) -> Panel:
    """The newest value, large, over its recent course; `steps` colour it, from `-inf` on."""
    below, *above = (steps or {float("-inf"): CALM}).items()
    return Panel(
        kind="stat",
        title=title,
        description=description,
        unit=unit,
        queries=[query],
        height=4,
        options={
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showPercentChange": False,
            "textMode": "value_and_name" if "{{" in query.legend else "value",
            "wideLayout": True,
        },
        defaults={"color": {"mode": "thresholds"}, "thresholds": _thresholds(below[1], dict(above))},
    )


def text(title: str, description: str, query: Query) -> Panel:
    """What the labels of a series say, large: `legend` picks them."""
    number = stat(title, description, "none", query)
    return replace(number, instant=True, options=number.options | {"graphMode": "none", "textMode": "name"})


def heatmap(title: str, description: str, unit: Unit, query: Query) -> Panel:
    """How a histogram's buckets fill over time; the query is summed by `le`."""
    return Panel(
        kind="heatmap",
        title=title,
        description=description,
        unit=unit,
        queries=[query],
        form="heatmap",
        options={
            "calculate": False,
            "cellGap": 1,
            "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": False, "scheme": "Blues", "steps": 64},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "unit": unit},
        },
        defaults={"custom": {"scaleDistribution": {"type": "linear"}}},
    )


@dataclass(frozen=True)
class Column:
    """A column of a table: the field it shows, its heading, and its unit if it is not the panel's.

    The value of a lone query is the field `Value`, that of the second of several `Value #B`; labels are fields by their names.
    """

    field: str
    heading: str
    unit: Unit | None = None


def table(title: str, description: str, unit: Unit, queries: Sequence[Query], columns: Sequence[Column]) -> Panel:
    """The newest values, a row for each set of labels. Several queries share rows if their labels are the same: sum them by those shown."""
    merge = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    place = {column.field: at for at, column in enumerate(columns)}
    heading = {column.field: column.heading for column in columns}
    return Panel(
        kind="table",
        title=title,
        description=description,
        unit=unit,
        queries=queries,
        form="table",
        instant=True,
        options={"cellHeight": "sm", "frameIndex": 0, "showHeader": True},
        defaults={"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}, "noValue": "-"},
        overrides=[_override(column.heading, "unit", column.unit) for column in columns if column.unit],
        transformations=[
            {"id": "filterFieldsByName", "options": {"include": {"names": list(place)}}},
            *merge,
            {"id": "organize", "options": {"indexByName": place, "renameByName": heading}},
        ],
    )


def states(title: str, description: str, query: Query) -> Panel:
    """A band for each series: when it was 1 (up), and when 0 (down)."""
    names = {"0": {"text": "down", "index": 0}, "1": {"text": "up", "index": 1}}
    return Panel(
        kind="state-timeline",
        title=title,
        description=description,
        unit="none",
        queries=[query],
        height=4,
        options={
            "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        },
        defaults={
            "color": {"mode": "thresholds"},
            "custom": {"fillOpacity": 70, "lineWidth": 0},
            "mappings": [{"type": "value", "options": names}],
            "thresholds": _thresholds("red", {1: "green"}),
        },
    )


def _thresholds(base: str, steps: Steps) -> Json:
    return {
        "mode": "absolute",
        "steps": [{"value": None, "color": base}, *({"value": value, "color": colour} for value, colour in steps.items())],
    }


def _override(name: str, option: str, value: Any) -> Json:
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": option, "value": value}]}
