"""How many cores this process may use."""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


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
