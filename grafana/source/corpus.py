"""Corpus: whether the index is in step with the folder."""

from typing import Final

from grafana.source.colours import BAD, CHANGE, JOB, SYNC, WARN
from grafana.source.dashboard import Dashboard, Section
from grafana.source.objectives import burn
from grafana.source.panels import Query, graph, stat
from grafana.source.promql import APP, increase, rate
from grafana.source.store import IMAGES

ITEMS: Final = "ml_api_sync_items_total"
BACKLOG: Final = f"max(ml_api_sync_backlog{{{APP}}})"
LAST_SUCCESS: Final = f"max(ml_api_sync_last_success_timestamp_seconds{{{APP}}} > 0)"
WORKED: Final = f'sum(rate({ITEMS}{{{APP},outcome!="unchanged"}}[15m]))'
ETA: Final = f"({BACKLOG} == 0) or {BACKLOG} / ({WORKED} > 0)"
"""Files left over files a second; without files left it is 0, whatever the pace."""

NOW = Section(
    "Is the index up to date with the folder?",
    [
        [
            IMAGES,
            stat("Backlog", "Files that the last sync had to process and did not.", "short", Query(BACKLOG), {0: "green", 1: WARN}),
            stat(
                "Time left",
                "The backlog divided by the rate of the last 15 minutes. Empty while no files are processed.",
                "s",
                Query(ETA),
                {0: "green", 900: WARN, 3600: BAD},
            ),
            stat(
                "Age",
                "Time since the last successful sync. Objective: under 15 minutes while there is a backlog.",
                "s",
                Query(f"time() - {LAST_SUCCESS}"),
                {0: "green", 900: WARN},
            ),
            stat(
                "Failed",
                "Files that could not be indexed in the selected time range. The sync's log names each with its reason.",
                "short",
                Query(increase(ITEMS, where=f'{APP},outcome="failed"')),
                {0: "green", 0.5: WARN},
            ).set(decimals=0),
        ],
        [
            graph("Backlog", "Files to process. It should fall to 0.", "short", Query(BACKLOG, "files")),
            graph(
                "Age of the last success",
                "A sawtooth means regular syncs; a slope means none.",
                "s",
                Query(f"time() - {LAST_SUCCESS}", "age"),
            ).limited({900: WARN}),
            burn("freshness", otherwise=" or vector(0)"),
        ],
    ],
    leads_to=["overview", "store"],
)

CHANGES = Section(
    "Do changes between syncs arrive in the index?",
    [
        [
            graph(
                "Changes that wait",
                "Uploads and other changed files that are not indexed yet.",
                "short",
                Query(f"max(ml_api_changes_waiting{{{APP}}})", "files"),
            ),
            graph(
                "Age of the oldest",
                "How long the oldest change has waited. It should stay within seconds.",
                "s",
                Query(f"max(ml_api_changes_oldest_seconds{{{APP}}})", "age"),
            ).limited({60: WARN, 600: BAD}),
            graph(
                "Changes by outcome",
                "Changed files that were looked at a second, by outcome. `retried` ones wait for a part that does not answer.",
                "ops",
                Query(rate("ml_api_changes_total", "outcome"), "{{outcome}}"),
            )
            .stacked()
            .coloured(CHANGE),
        ],
    ],
    leads_to=["model", "store"],
)

WORK = Section(
    "What do syncs do, and how fast?",
    [
        [
            graph(
                "Files by outcome",
                "Files that syncs process a second, by outcome.",
                "ops",
                Query(rate(ITEMS, "outcome"), "{{outcome}}"),
            )
            .stacked()
            .coloured(SYNC),
            graph(
                "Failures by reason",
                "Files a second that could not be indexed, by reason code. A sync's report names each with its reason.",
                "ops",
                Query(rate("ml_api_sync_failures_total", "reason"), "{{reason}}"),
            ).stacked(),
            graph(
                "Stages of the last sync",
                "Time in each stage, summed over threads: the largest is the bottleneck. Stages overlap.",
                "s",
                Query(f"max by (stage) (ml_api_sync_stage_duration_seconds{{{APP}}})", "{{stage}}"),
            ),
        ],
    ],
    leads_to=["model", "store"],
)

JOBS = Section(
    "Do the jobs of the service end well?",
    [
        [
            graph(
                "Under way",
                "Jobs that wait or run: syncs, plans, migrations, exports and imports. One runs at a time.",
                "short",
                Query(f"sum by (state) (ml_api_jobs_active{{{APP}}})", "{{state}}"),
            )
            .stacked()
            .coloured(JOB),
            graph(
                "Ended",
                "Jobs that ended in the last hour, by how they did. A refused sync has to be confirmed by somebody.",
                "short",
                Query(f"sum by (state) (increase(ml_api_jobs_total{{{APP}}}[1h]))", "{{state}}"),
            )
            .stacked()
            .coloured(JOB),
            graph(
                "Mean duration",
                "Time of the jobs that ended in the last day, by kind, from start to end.",
                "s",
                Query(
                    f"sum by (kind) (increase(ml_api_job_duration_seconds_sum{{{APP}}}[1d])) "
                    f"/ (sum by (kind) (increase(ml_api_job_duration_seconds_count{{{APP}}}[1d])) > 0)",
                    "{{kind}}",
                ),
            ),
        ],
    ],
    leads_to=["model", "store"],
)

DASHBOARD = Dashboard(
    "corpus",
    "Is the index up to date with the folder; if not, when will it be, and what failed?",
    [NOW, CHANGES, WORK, JOBS],
)
