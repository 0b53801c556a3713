"""The same colour for the same thing, on every panel. What has no colour here is coloured by its name, alike everywhere, too."""

from typing import Final

Colours = dict[str, str]
"""Name of a series, as its legend has it -> Grafana's name of a colour."""

GOOD: Final = "green"
WARN: Final = "orange"
BAD: Final = "red"
CALM: Final = "blue"

STATUS: Final[Colours] = {"2xx": GOOD, "3xx": CALM, "4xx": "yellow", "5xx": BAD}
QUANTILES: Final[Colours] = {"p50": "light-blue", "p95": "blue", "p99": "dark-purple", "mean": "semi-dark-blue"}
MODALITIES: Final[Colours] = {"text": "blue", "image": "purple"}
OUTCOMES: Final[Colours] = {"ok": GOOD, "error": BAD, "oom": "dark-red", "expired": WARN, "deadline": WARN}
STAGES: Final[Colours] = {
    "fetch": "super-light-blue",
    "decode": "light-purple",
    "prepare": "purple",
    "queue": WARN,
    "embed": "blue",
    "search": "dark-green",
    "serialize": "light-green",
}
SYNC: Final[Colours] = {
    "added": GOOD,
    "replaced": CALM,
    "moved": "light-blue",
    "removed": "purple",
    "unchanged": "text",
    "duplicate": "yellow",
    "unlisted": WARN,
    "failed": BAD,
}
CHANGE: Final[Colours] = {
    "added": GOOD,
    "replaced": CALM,
    "removed": "purple",
    "moved": "light-blue",
    "unchanged": "text",
    "failed": BAD,
    "retried": WARN,
}
JOB: Final[Colours] = {
    "queued": "yellow",
    "running": CALM,
    "succeeded": GOOD,
    "stopped": "text",
    "refused": WARN,
    "failed": BAD,
}
WINDOWS: Final[Colours] = {"5m": "yellow", "1h": WARN, "6h": BAD, "3d": "dark-red"}
LEVELS: Final[Colours] = {"debug": "text", "info": CALM, "warning": WARN, "error": BAD, "critical": "dark-red"}
