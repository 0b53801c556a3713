"""PromQL that many panels share. Rates go over `$__rate_interval`, so that they fit every zoom and every scrape interval."""

from typing import Final

from grafana.source.panels import Query

APP: Final = 'job=~"$job",instance=~"$instance"'
"""Selects the application's own series."""

ROUTE: Final = f'{APP},route=~"$route"'
"""Selects requests."""


def rate(metric: str, by: str = "", where: str = APP) -> str:
    """How much of a counter a second, summed `by` labels."""
    return f"sum{_by(by)}(rate({metric}{{{where}}}[$__rate_interval]))"


def increase(metric: str, by: str = "", where: str = APP) -> str:
    """How much of a counter in the whole range shown, summed `by` labels."""
    return f"sum{_by(by)}(increase({metric}{{{where}}}[$__range]))"


def mean(histogram: str, by: str = "", where: str = APP) -> str:
    return f"{rate(f'{histogram}_sum', by, where)} / {rate(f'{histogram}_count', by, where)}"


def quantile(share: float, histogram: str, by: str = "", where: str = APP) -> str:
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', f'le, {by}' if by else 'le', where)})"


def quantiles(histogram: str, where: str = APP, *, exemplars: bool = False) -> list[Query]:
    """Median, p95 and p99, one query each; exemplars, if any, come with the p95."""
    return [
        Query(quantile(0.5, histogram, where=where), "p50"),
        Query(quantile(0.95, histogram, where=where), "p95", exemplars),
        Query(quantile(0.99, histogram, where=where), "p99"),
    ]


def by_status(where: str) -> list[Query]:
    """Answers a second, one query for each class of status."""
    count = "http_request_duration_seconds_count"
    return [Query(rate(count, where=f'{where},status=~"{digit}.."'), f"{digit}xx") for digit in (2, 3, 4, 5)]


def share(part: str, whole: str) -> str:
    """Part of a whole, both sums of rates. No part yet is a share of 0, not a gap; nothing at all is no share."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def or_zero(rates: str, alive: str, label: str) -> str:
    """A 0 with `label` "none" where a counter does not exist before it first counts; still nothing while `alive` is nothing."""
    return f'{rates} or on () label_replace(0 * {alive}, "{label}", "none", "", "")'


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
