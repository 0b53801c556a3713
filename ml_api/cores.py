"""How many cores this process may use, and how torch's threads, where it computes, behave beside requests'. Imports nothing heavy.

OpenMP reads its environment once, when it is loaded, so this has to be said before torch is.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def configure_openmp(environ: MutableMapping[str, str], usable: int) -> None:
    """For torch's passes on the `usable` cores; what the operator has set is left alone."""
    # At the end of each parallel step its threads spin, waiting for the next: on a core that a request could decode an image on.
    environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A few microseconds of it are less than it takes to wake a thread.
    environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Of its own it takes the host's cores and knows no quota: more threads than quota stall each other.
    environ.setdefault("OMP_NUM_THREADS", str(usable))


def usable() -> int:
    """Cores' worth of time that this process has: at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, allowed())))


def allowed(root: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float:
    """Cores' worth of time that this process may use: a container's or a service's quota (cgroup v2), or infinity."""
    if not membership.is_file():
        return float("inf")
    own = next((line.removeprefix("0::/") for line in membership.read_text().splitlines() if line.startswith("0::/")), "")
    group = root / own
    return min(_quota(folder) for folder in (group, *group.parents) if folder.is_relative_to(root))


def _quota(folder: Path) -> float:
    """What `cpu.max` says: microseconds of every period, or `max`."""
    try:
        used, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if used == "max" else int(used) / int(period)
