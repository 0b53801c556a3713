"""Overview: whether users are served as promised, and what serves them."""

from typing import Final

from grafana.source import endpoints, store
from grafana.source.colours import BAD, WARN
from grafana.source.dashboard import Dashboard, Section
from grafana.source.panels import Column, Query, graph, stat, states, table, text
from grafana.source.promql import APP

JOB: Final = 'job=~"$job"'
WINDOWS: Final = {"5m": "yellow", "1h": WARN, "6h": BAD, "3d": "dark-red"}


def burn(window: str, objective: str) -> str:
    """How many times as fast as it would last for 30 days the budget was spent over a window; the rules record it."""
    errors = f'objective:errors:ratio{window}{{{JOB},objective="{objective}"}}'
    return f'max({errors}) / on () max(objective:budget:ratio{{objective="{objective}"}})'


PROMISES = Section(
    "Do we keep our promises?",
    [
        [
            stat(
                "Error budget left",
                "What is left of 30 days' allowance: 0.5 % of searches failed, 5 % slow, 1 % of minutes with an old index. "
                "Below 0 a promise is broken.",
                "percentunit",
                Query(f"min by (objective) (objective:budget_left:ratio30d{{{JOB}}})", "{{objective}}"),
                {float("-inf"): BAD, 0: WARN, 0.25: "green"},
            ).set(decimals=1),
            table(
                "Firing alerts",
                "What is wrong now. Each alert's runbook says what to do. `Watchdog` always fires: it shows that alerting works.",
                "none",
                [Query('sum by (alertname, severity, instance) (ALERTS{alertstate="firing"})')],
                [Column("alertname", "Alert"), Column("severity", "Severity"), Column("instance", "Instance")],
            ),
        ],
        [
            graph(
                f"Burn of the {objective} budget",
                "How many times too fast the budget is spent, over four windows. 1 spends it in exactly 30 days; "
                "people are woken at 14.4 (1h) and 6 (6h).",
                "none",
                *(Query(burn(window, objective), window) for window in WINDOWS),
            )
            .coloured(WINDOWS)
            .limited({1: WARN, 14.4: BAD})
            for objective in ("availability", "latency")
        ],
    ],
    leads_to=["endpoints", "corpus", "monitoring"],
)

USERS = Section(
    "What do users see?",
    [
        [
            endpoints.REQUESTS,
            endpoints.duration("p50", 0.5, "Half of the requests are answered faster."),
            endpoints.P95,
            endpoints.duration("p99", 0.99, "99 of 100 requests are answered faster."),
        ],
        [endpoints.ANSWERS, endpoints.DURATIONS],
    ],
    leads_to=["endpoints", "model"],
)

RUNNING = Section(
    "What is running?",
    [
        [
            text(
                "Version",
                "Of the service.",
                Query(f"max by (version, revision) (ml_api_build_info{{{APP}}})", "{{version}} ({{revision}})"),
            ),
            text(
                "Model",
                "What makes the vectors, and where it runs.",
                Query(f"max by (model, device, dtype) (ml_api_model_info{{{APP}}})", "{{model}} on {{device}}, {{dtype}}"),
            ),
            store.IMAGES,
        ],
        [
            states(
                "Ready",
                "Whether each part answered when it was last tried.",
                Query(f"ml_api_ready{{{APP}}}", "{{instance}} {{part}}"),
            ),
        ],
    ],
    leads_to=["model", "corpus", "infrastructure"],
)

DASHBOARD = Dashboard(
    "overview",
    "Are users served as promised? If not: what is wrong, since when, and where to look next?",
    [PROMISES, USERS, RUNNING],
)
