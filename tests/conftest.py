"""What every test has, however its run was started."""

import gc
import os
import shutil
import signal
from pathlib import Path

from hypothesis import HealthCheck, settings

from ml_api.cores import usable

MEMORY = Path("/dev/shm")
ROOM_BYTES = 6 * 2**30
"""In memory, for what tests write; those that pass leave nothing (`tmp_path_retention_policy`)."""
WORKER_BYTES = 3 * 2**30
"""Of memory, that one worker takes with the servers that it has started."""


def pytest_configure():
    """Let the processes that tests start take SIGINT, also in a run that ignores it; let tests write into memory.

    A shell starts what is to run in the background (`make test &` in a script) with SIGINT ignored, and "ignored" is
    inherited by every program below. A handler is not: a new program has the default again. This one does nothing, so
    the run itself still ignores it.

    Every database and index is synchronised to disk at each commit, which takes milliseconds thousands of times. What
    tests kill are processes, and a process that is killed leaves in memory what it would leave on a disk.

    Hypothesis gives the same examples in every run, and each may take as long as the machine needs (200 ms by default). With
    `--hypothesis-profile exploring` it draws new ones, ten times as many where a test does not say how many.
    """
    patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("exploring", max_examples=1000, **patient)
    settings.register_profile("repeatable", derandomize=True, **patient)
    settings.load_profile("repeatable")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)
    if MEMORY.is_mount() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection():
    """Collect tests without the garbage collector, which takes half of that time: all of it is kept."""
    gc.disable()


def pytest_collection_finish():
    """From now on the collector passes over tests and libraries, as in the service (`gc.freeze`)."""
    gc.freeze()
    gc.enable()


def pytest_xdist_auto_num_workers():
    """Three for two cores: over a third of a worker's time it waits for programs that it has started."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(usable() * 3 // 2, memory_bytes // WORKER_BYTES))
