"""What the objectives' rules record (prometheus/rules/objectives.yml), as panels."""

from typing import Final, Literal

from grafana.source.colours import BAD, WARN, WINDOWS
from grafana.source.panels import Panel, Query, graph, stat

JOB: Final = 'job=~"$job"'

BUDGET_LEFT: Final = stat(
    "Error budget left",
    "What is left of 30 days' allowance: 0.5 % of searches failed, 5 % slow, 1 % of minutes with an old index. "
    "Below 0 a promise is broken.",
    "percentunit",
    Query(f"min by (objective) (objective:budget_left:ratio30d{{{JOB}}})", "{{objective}}"),
    {float("-inf"): BAD, 0: WARN, 0.25: "green"},
).set(decimals=1)


def burn(objective: Literal["availability", "latency", "freshness"], otherwise: str = "") -> Panel:
    """`otherwise` is what to show while there is nothing that the objective judges."""
    return (
        graph(
            f"Burn of the {objective} budget",
            "How many times too fast the budget is spent, over four windows. 1 spends it in exactly 30 days; "
            "people are woken at 14.4 (1h) and 6 (6h).",
            "none",
            *(Query(_burn(objective, window) + otherwise, window) for window in WINDOWS),
        )
        .coloured(WINDOWS)
        .limited({1: WARN, 14.4: BAD})
    )


def _burn(objective: str, window: str) -> str:
    errors = f'objective:errors:ratio{window}{{{JOB},objective="{objective}"}}'
    return f'max({errors}) / on () max(objective:budget:ratio{{objective="{objective}"}})'
