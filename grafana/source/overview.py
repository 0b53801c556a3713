"""Overview: whether users are served as promised, and what serves them."""

from grafana.source import endpoints, store
from grafana.source.dashboard import Dashboard, Section
from grafana.source.objectives import BUDGET_LEFT, burn
from grafana.source.panels import Column, Query, states, table, text
from grafana.source.promql import APP

PROMISES = Section(
    "Do we keep our promises?",
    [
        [
            BUDGET_LEFT,
            table(
                "Firing alerts",
                "What is wrong now. Each alert's runbook says what to do. `Watchdog` always fires: it shows that alerting works.",
                "none",
                [Query('sum by (alertname, severity, instance) (ALERTS{alertstate="firing"})')],
                [Column("alertname", "Alert"), Column("severity", "Severity"), Column("instance", "Instance")],
            ),
        ],
        [burn("availability"), burn("latency")],
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
