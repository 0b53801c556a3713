"""Jobs: syncs and other work on the vector store, submitted by any process and run by the one that owns the store.

options     what a job is to do
jobs        the jobs as rows of the database: queued, running, ended
heartbeat   the processes that run jobs, and their liveness
runner      the thread of a service that runs jobs, one after the other
execution   one running job: its progress, its cancellation and its end
"""

from ml_api.indexing.jobs.jobs import Job, Jobs
from ml_api.indexing.jobs.options import Operation, SyncOptions

__all__ = ["Job", "Jobs", "Operation", "SyncOptions"]
