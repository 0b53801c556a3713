"""The number of cores that this process may use."""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def usable() -> int:
    """The number of whole cores, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, allowed())))


def allowed(root: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float:
    """The CPU quota of the container or service (cgroup v2), in cores; infinity without one."""
    if not membership.is_file():
        return float("inf")
    own = next((line.removeprefix("0::/") for line in membership.read_text().splitlines() if line.startswith("0::/")), "")
    group = root / own
    return min(_quota(folder) for folder in (group, *group.parents) if folder.is_relative_to(root))


def _quota(folder: Path) -> float:
    """The quota in `cpu.max`: microseconds in each period, or `max`."""
    try:
        used, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if used == "max" else int(used) / int(period)
