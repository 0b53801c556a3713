"""A dashboard: sections that each ask a question, lines of panels that answer it. The layout follows, and cannot overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from grafana.source.panels import DATA_SOURCE, Json, Panel
from grafana.source.promql import APP

Name = Literal["overview", "endpoints", "model", "store", "corpus", "infrastructure", "monitoring"]
TITLES: Final[dict[Name, str]] = {
    "overview": "Overview",
    "endpoints": "Endpoints",
    "model": "Model",
    "store": "Vector store",
    "corpus": "Corpus",
    "infrastructure": "Infrastructure",
    "monitoring": "Monitoring itself",
}
COLUMNS: Final = 24
"""Grafana's grid."""

TAG: Final = "ml-api"
SCHEMA_VERSION: Final = 42
"""Of the dashboard's JSON; Grafana migrates older ones when it loads them."""


@dataclass(frozen=True)
class Section:
    """A question, and lines of panels that share a line's width and height. `leads_to` is where to look next."""

    question: str
    lines: Sequence[Sequence[Panel]]
    leads_to: Sequence[Name]


@dataclass(frozen=True)
class Dashboard:
    name: Name
    answers: str
    sections: Sequence[Section]

    @property
    def uid(self) -> str:
        return uid(self.name)

    def json(self) -> Json:
        panels = list(self._panels())
        return {
            "uid": self.uid,
            "title": TITLES[self.name],
            "description": self.answers,
            "tags": [TAG],
            "timezone": "browser",
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "schemaVersion": SCHEMA_VERSION,
            "time": {"from": "now-3h", "to": "now"},
            "links": [_to_all()],
            "templating": {"list": _variables(by_route="$route" in repr(self.sections))},
            "panels": [panel | {"id": number} for number, panel in enumerate(panels, 1)],
        }

    def _panels(self) -> Iterator[Json]:
        top = 0
        for section in self.sections:
            yield {
                "type": "row",
                "title": section.question,
                "collapsed": False,
                "panels": [],
                "gridPos": _place(0, top, COLUMNS, 1),
            }
            top += 1
            for line in section.lines:
                height = max(panel.height for panel in line)
                edges = [COLUMNS * at // len(line) for at in range(len(line) + 1)]
                for panel, left, right in zip(line, edges, edges[1:], strict=False):
                    links = [_to(name) for name in section.leads_to]
                    yield panel.json() | {"links": links, "gridPos": _place(left, top, right - left, height)}
                top += height


def uid(name: Name) -> str:
    """The end of a dashboard's address, which alerts and runbooks point at."""
    return f"ml-api-{name}"


def _place(x: int, y: int, w: int, h: int) -> Json:
    return {"x": x, "y": y, "w": w, "h": h}


def _to(name: Name) -> Json:
    """A link that keeps the time range and the variables."""
    return {
        "title": TITLES[name],
        "type": "link",
        "url": f"/d/{uid(name)}?${{__url_time_range}}&${{__all_variables}}",
        "icon": "dashboard",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": False,
    }


def _to_all() -> Json:
    """The bar of all dashboards at the top of each."""
    return _to("overview") | {
        "type": "dashboards",
        "title": "Dashboards",
        "url": "",
        "tags": [TAG],
        "includeVars": True,
        "keepTime": True,
    }


def _variables(*, by_route: bool) -> list[Json]:
    """Alike on all dashboards, so that links carry them along. A dashboard without routes hides that one."""
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}
    job = _label("job", "Job", "ml_api_build_info") | {
        "multi": False,
        "includeAll": False,
        "current": {"text": "ml-api", "value": "ml-api"},
    }
    instance = _label("instance", "Instance", 'ml_api_build_info{job=~"$job"}')
    route = _label("route", "Route", f"http_request_duration_seconds_count{{{APP}}}") | {"hide": 0 if by_route else 2}
    return [source, job, instance, route]


def _label(name: str, label: str, series: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": {"query": f"label_values({series}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }
