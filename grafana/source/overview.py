"""Overview: whether users are served as promised, and what serves them."""

from grafana.source import endpoints, store
from grafana.source.dashboard import Dashboard, Section
from grafana.source.objectives import BUDGET_LEFT, burn
from grafana.source.panels import Column, Query, states, table, text
from grafana.source.promql import APP

PROMISES = Section(
    "Are the objectives met?",
    [
        [
            BUDGET_LEFT,
            table(
                "Firing alerts",
                "Alerts that fire now. Each has a runbook. `Watchdog` always fires, which shows that alerting works.",
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
                "Version and commit of the service.",
                Query(f"max by (version, revision) (ml_api_build_info{{{APP}}})", "{{version}} ({{revision}})"),
            ),
            text(
                "Model",
                "The model, and the device that it runs on.",
                Query(f"max by (model, device, dtype) (ml_api_model_info{{{APP}}})", "{{model}} on {{device}}, {{dtype}}"),
            ),
            store.IMAGES,
        ],
        [
            states(
                "Ready",
                "Whether each part passed its last health check.",
                Query(f"ml_api_ready{{{APP}}}", "{{instance}} {{part}}"),
            ),
        ],
    ],
    leads_to=["model", "corpus", "infrastructure"],
)

DASHBOARD = Dashboard(
    "overview",
    "Are the objectives met? If not: what is wrong, since when, and where to look next?",
    [PROMISES, USERS, RUNNING],
)
