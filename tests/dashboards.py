"""The dashboards as Grafana reads them, and PromQL as Prometheus does: what the tests of both ask for."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import promql_parser
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))

RANGE = "1m"
"""What `$__range` and `$__rate_interval` stand for in tests."""


@dataclass(frozen=True)
class Expression:
    """One query of a panel."""

    dashboard: str
    panel: str
    target: str
    promql: str

    def __str__(self):
        return f"{self.dashboard} / {self.panel} / {self.target}"


def dashboards():
    return [json.loads(path.read_text()) for path in FILES]


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions():
    return [
        Expression(dashboard["title"], panel["title"], target["refId"], target["expr"])
        for dashboard in dashboards()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def substituted(promql, variables=None):
    """As Grafana sends it. Variables that are not given are `.*`, as if all were chosen."""
    values = {"__range": RANGE, "__rate_interval": RANGE} | (variables or {})
    return re.sub(r"\$(\w+)", lambda name: values.get(name[1], ".*"), promql)


def names(promql):
    """The names of all series that an expression reads."""
    found = set()

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)

    promql_parser.walk(promql_parser.parse(promql), visit)
    return found


def rules():
    """Every recording and alerting rule."""
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
