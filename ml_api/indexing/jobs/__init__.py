"""Jobs: syncs and other work on the vector store that somebody asks for, and that the process which owns the store carries out.

options     what they are to do
jobs        as rows of the database: wanted, running, over
heartbeat   which processes live, and which of them takes jobs
runner      the service's thread that runs jobs, one after the other
execution   one job under way: what the database is told of it, and what it wants meanwhile
"""

from ml_api.indexing.jobs.jobs import Job, Jobs
from ml_api.indexing.jobs.options import Operation, SyncOptions

__all__ = ["Job", "Jobs", "Operation", "SyncOptions"]
