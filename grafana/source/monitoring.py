"""Monitoring itself: whether what the other dashboards show is there, fresh and complete."""

from typing import Final

from grafana.source.colours import BAD, LEVELS, WARN
from grafana.source.dashboard import Dashboard, Section
from grafana.source.panels import Column, Query, graph, stat, states, table
from grafana.source.promql import rate

SCRAPE: Final = ("scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added", "up")
RULE_FAILURES: Final = "prometheus_rule_evaluation_failures_total"

NOW = Section(
    "Can the other dashboards be trusted?",
    [
        [
            stat(
                "Targets down",
                "Targets that do not answer scrapes.",
                "short",
                Query("count(up == 0) or vector(0)"),
                {0: "green", 1: BAD},
            ),
            stat(
                "Rule failures",
                "Failed rule evaluations in the last hour: recorded values are missing, and alerts cannot fire.",
                "short",
                Query(f"sum(increase({RULE_FAILURES}[1h]))"),
                {0: "green", 0.5: BAD},
            ).set(decimals=0),
            stat(
                "Slowest scrape",
                "The slowest of all targets. A scrape of the service should take under 50 ms.",
                "s",
                Query("max(scrape_duration_seconds)"),
                {0: "green", 1: WARN, 5: BAD},
            ),
            stat("Series", "Series that Prometheus holds in memory.", "short", Query("sum(prometheus_tsdb_head_series)")),
            stat(
                "Alerts not delivered",
                "Notifications in the last hour that Prometheus could not deliver to Alertmanager.",
                "short",
                Query("sum(increase(prometheus_notifications_dropped_total[1h]))"),
                {0: "green", 0.5: BAD},
            ).set(decimals=0),
        ],
        [
            states("Targets", "Whether each target answered scrapes, over time.", Query("up", "{{job}} {{instance}}")),
            table(
                "Scrapes",
                "Duration of each target's last scrape.",
                "none",
                [Query(f"max by (job, instance) ({told})") for told in SCRAPE],
                [
                    Column("job", "Job"),
                    Column("instance", "Instance"),
                    Column("Value #A", "Took", "s"),
                    Column("Value #B", "Samples", "short"),
                    Column("Value #C", "New series", "short"),
                    Column("Value #D", "Up", "bool_yes_no"),
                ],
            ),
        ],
    ],
    leads_to=["overview"],
)

SCRAPES = Section(
    "Does Prometheus keep up?",
    [
        [
            graph("Scrape time", "By target.", "s", Query("scrape_duration_seconds", "{{job}} {{instance}}")),
            graph(
                "Series by target",
                "Samples in a scrape. A slope indicates a label with ever new values.",
                "short",
                Query("scrape_samples_scraped", "{{job}} {{instance}}"),
            ),
            graph(
                "Series in all", "What Prometheus holds in memory.", "short", Query("prometheus_tsdb_head_series", "{{instance}}")
            ),
        ],
        [
            graph(
                "Rule failures",
                "Failed evaluations a second, by file and group.",
                "ops",
                Query(f"sum by (rule_group) (rate({RULE_FAILURES}[$__rate_interval]))", "{{rule_group}}"),
            ),
            graph(
                "Time of rules",
                "Duration of each group's last evaluation.",
                "s",
                Query("prometheus_rule_group_last_duration_seconds", "{{rule_group}}"),
            ),
            graph(
                "Log records of the service",
                "Records a second by level. Compared with Kibana's count, they show whether log lines get lost.",
                "ops",
                Query(rate("ml_api_log_records_total", "level"), "{{level}}"),
            )
            .stacked()
            .coloured(LEVELS),
        ],
    ],
    leads_to=["infrastructure"],
)

DASHBOARD = Dashboard(
    "monitoring",
    "Is everything scraped, in time and without errors?",
    [NOW, SCRAPES],
)
