"""Metrics of jobs that the service runs: syncs, imports, exports, migrations and others."""

import time
from typing import Final

from ml_api.metrics.catalogue import Catalogue
from ml_api.vocabulary import JobKind, JobState

UNDER_WAY: Final = (JobState.QUEUED, JobState.RUNNING)
ENDS: Final = tuple(state for state in JobState if state not in UNDER_WAY)
DURATIONS: Final = (5, 60, 600, 3600, 4 * 3600)


class JobMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        by_end = {"kind": tuple(JobKind), "state": ENDS}
        self.active = catalogue.gauge("ml_api_jobs_active", "Jobs that wait or run, by state.", {"state": UNDER_WAY})
        self.jobs = catalogue.counter("ml_api_jobs", "Jobs of this service that have ended, by kind and how they ended.", by_end)
        self.duration = catalogue.histogram(
            "ml_api_job_duration_seconds",
            "Time of a job of this service from its start to its end.",
            {"kind": tuple(JobKind)},
            buckets=DURATIONS,
        )
        for kind in JobKind:  # from the start, so that the first job is an increase
            self.duration.labels(kind)
        self.last_end = catalogue.gauge(
            "ml_api_job_last_end_timestamp_seconds",
            "Time at which the last job of the kind ended so, since the service started; 0 if none did.",
            by_end,
        )

    def set_active(self, state: JobState | None) -> None:
        """Record the state of the active job, of which there is at most one; None if there is none."""
        for label in UNDER_WAY:
            self.active.labels(label).set(label is state)

    def ended(self, kind: JobKind, state: JobState, seconds: float) -> None:
        """Record a job that ended in `state` after `seconds`."""
        self.jobs.labels(kind, state).inc()
        self.duration.labels(kind).observe(max(0.0, seconds))  # the clock may have been set back
        self.last_end.labels(kind, state).set(time.time())
        self.set_active(None)
