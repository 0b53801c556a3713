"""What the figures were measured on: a figure without its machine means nothing."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    *("openvino", "torch", "transformers", "sentence-transformers", "numpy"),
    *("pillow", "pyvips-binary", "pymilvus", "milvus-lite", "flask", "granian"),
)
FAST_BF16 = ("amx_bf16", "avx512_bf16")
BUSY_LOAD = 0.3
"""Load average over which something else was running when a benchmark began."""


def describe() -> dict[str, object]:
    """Processor, memory, system, versions, commit, and how busy the machine was at the start."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _cpu_field("model name"),
        "cores": os.cpu_count(),
        "bf16_instructions": [flag for flag in FAST_BF16 if flag in _cpu_field("flags").split()],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "commit": _git("describe", "--always", "--dirty", "--abbrev=12"),
        "load_average_at_start": os.getloadavg()[0],
    }


def one_line(machine: dict[str, object]) -> str:
    busy = float(str(machine["load_average_at_start"]))
    note = f"; BUSY at the start (load {busy:.1f}): distrust the figures" if busy > BUSY_LOAD else ""
    return f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, commit {machine['commit']}{note}"


def peak_rss_bytes(process: int) -> int:
    """The most memory that a process has held so far, in bytes; 0 once it has ended."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _cpu_field(name: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return ""


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - fixed words
