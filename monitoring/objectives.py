"""The service objectives as Prometheus rules: `python -m monitoring.objectives` writes prometheus/rules/objectives.yml.

The same few expressions stand there once a window; here they stand once. Method: Google, The Site Reliability Workbook, chapter 5,
"Multiwindow, Multi-Burn-Rate Alerts".
"""

import math
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import yaml

OUTPUT: Final = Path(__file__).parents[1] / "prometheus" / "rules" / "objectives.yml"

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h")
LONG_WINDOWS: Final = ("1d", "3d", "30d")
"""Read more samples and change less, so they are computed every two minutes only. Not every five: an older value is no value."""

BUDGET_WINDOW: Final = "30d"
SEARCH: Final = 'route=~"/v1/search(/.*)?|/v1/images/.+/similar"'
STALE_AFTER_S: Final = 15 * 60


@dataclass(frozen=True)
class Burn:
    """Alert if over both windows the budget is spent `rate` times as fast as it would last for 30 days."""

    rate: float
    window: str
    short_window: str
    severity: str


BURNS: Final = (
    Burn(14.4, "1h", "5m", "page"),  # 2 % of the budget in an hour
    Burn(6, "6h", "30m", "page"),  # 5 % in six hours
    Burn(3, "1d", "2h", "ticket"),  # 10 % in a day
    Burn(1, "3d", "6h", "ticket"),  # 10 % in three days
)

FEWEST_BAD: Final = 5
"""Traffic guard: no alert by fewer bad events than this. It is asked of the traffic, as what so many are of it is what counts."""


@dataclass(frozen=True)
class Objective:
    """`budget` is the share of events that may be bad. `events` and `bad` count them by job over `$window`."""

    name: str
    budget: float
    events: str
    bad: str
    alert: str
    dashboard: str
    summary: str


OBJECTIVES: Final = (
    Objective(
        name="availability",
        budget=0.005,
        events=f"sum by (job) (increase(http_request_duration_seconds_count{{{SEARCH}}}[$window]))",
        bad=f'sum by (job) (increase(http_request_duration_seconds_count{{{SEARCH}, status=~"5.."}}[$window]))',
        alert="SearchErrorBudgetBurn",
        dashboard="ml-api-overview",
        summary="too many searches fail",
    ),
    Objective(
        name="latency",
        budget=0.05,
        # Only answered searches; availability counts the others.
        events=f'sum by (job) (increase(http_request_duration_seconds_count{{{SEARCH}, status!~"5.."}}[$window]))',
        bad=f"""
            sum by (job) (increase(http_request_duration_seconds_count{{{SEARCH}, status!~"5.."}}[$window]))
            - sum by (job) (
                increase(http_request_duration_seconds_bucket{{{SEARCH}, status!~"5..", le="0.3"}}[$window])
                  unless on (job) ml_api:without_gpu:bool
                or
                increase(http_request_duration_seconds_bucket{{{SEARCH}, status!~"5..", le=~"1([.]0)?"}}[$window])
                  and on (job) ml_api:without_gpu:bool
            )""",
        alert="SearchLatencyBudgetBurn",
        dashboard="ml-api-overview",
        summary="too many searches are slow",
    ),
    Objective(
        name="freshness",
        budget=0.01,
        events="sum by (job) (sum_over_time(ml_api:corpus_backlogged:bool[$window]))",
        bad="sum by (job) (sum_over_time(ml_api:corpus_stale:bool[$window]))",
        alert="CorpusFreshnessBudgetBurn",
        dashboard="ml-api-corpus",
        summary="the index lags behind the corpus for too long",
    ),
)


def rules() -> dict[str, Any]:
    """The rule file, as plain data."""
    return {
        "groups": [
            {"name": "objective-inputs", "rules": _inputs()},
            # One sample is one minute: the freshness objective counts them.
            {"name": "objective-minutes", "interval": "1m", "rules": _minutes()},
            {"name": "objectives", "rules": [rule for o in OBJECTIVES for window in WINDOWS for rule in _ratios(o, window)]},
            {
                "name": "objectives-long",
                "interval": "2m",
                "rules": [rule for o in OBJECTIVES for window in LONG_WINDOWS for rule in _ratios(o, window)] + _budget_left(),
            },
            {"name": "objective-alerts", "rules": [_alert(o, burn) for o in OBJECTIVES for burn in BURNS]},
        ]
    }


def _inputs() -> list[dict[str, Any]]:
    # Remembered for a day, so that a service that is down is not judged by the other threshold.
    without_gpu = 'max by (job) (last_over_time(ml_api_model_info{device="cpu"}[1d]))'
    return [_record("ml_api:without_gpu:bool", without_gpu)] + [
        _record("objective:budget:ratio", f"vector({o.budget})", o) for o in OBJECTIVES
    ]


def _minutes() -> list[dict[str, Any]]:
    age = "time() - max by (job) (ml_api_sync_last_success_timestamp_seconds)"
    return [
        _record("ml_api:corpus_backlogged:bool", "max by (job) (ml_api_sync_backlog) > bool 0"),
        _record("ml_api:corpus_stale:bool", f"ml_api:corpus_backlogged:bool * on (job) ({age} > bool {STALE_AFTER_S})"),
    ]


def _ratios(objective: Objective, window: str) -> list[dict[str, Any]]:
    events = f'objective:events:increase{window}{{objective="{objective.name}"}}'
    # A counter of errors that never happened does not exist: without the second half there were no ratio instead of 0.
    bad = f"({_over(window, objective.bad)} or 0 * sum by (job) ({events}))"
    return [
        _record(f"objective:events:increase{window}", _over(window, objective.events), objective),
        _record(f"objective:errors:ratio{window}", f"{bad} / on (job) ({events} > 0)", objective),
    ]


def _budget_left() -> list[dict[str, Any]]:
    spent = f"objective:errors:ratio{BUDGET_WINDOW} / on (objective) group_left () objective:budget:ratio"
    return [_record(f"objective:budget_left:ratio{BUDGET_WINDOW}", f"1 - {spent}")]


def _alert(objective: Objective, burn: Burn) -> dict[str, Any]:
    selector = f'{{objective="{objective.name}"}}'
    threshold = round(burn.rate * objective.budget, 6)
    enough = math.ceil(round(FEWEST_BAD / threshold, 6))
    return {
        "alert": objective.alert,
        "expr": f"objective:errors:ratio{burn.window}{selector} > {threshold}"
        f" and objective:errors:ratio{burn.short_window}{selector} > {threshold}"
        f" and objective:events:increase{burn.window}{selector} >= {enough}",
        "labels": {"severity": burn.severity, "kind": "symptom", "window": burn.window},
        "annotations": {
            "summary": f"{{{{ $labels.job }}}}: {objective.summary}",
            "description": f"{{{{ $value | humanizePercentage }}}} of the last {burn.window} was bad; the objective allows"
            f" {objective.budget:.1%}. The error budget of 30 days burns more than {burn.rate:g} times too fast.",
            "runbook_url": f"monitoring/runbooks/{objective.alert}.md",
            "dashboard_url": f"/d/{objective.dashboard}",
        },
    }


def _record(name: str, expression: str, objective: Objective | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"record": name, "expr": _line(expression)}
    return rule | ({"labels": {"objective": objective.name}} if objective else {})


def _over(window: str, expression: str) -> str:
    return _line(Template(expression).substitute(window=window))


def _line(expression: str) -> str:
    return " ".join(expression.split()).replace("( ", "(").replace(" )", ")")


def text() -> str:
    """The rule file."""
    head = "# Written by `python -m monitoring.objectives`; change that, not this.\n"
    return head + yaml.safe_dump(rules(), sort_keys=False, width=10_000)


if __name__ == "__main__":
    OUTPUT.write_text(text())
