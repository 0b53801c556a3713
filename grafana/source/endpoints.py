"""Endpoints: each route's rate, errors, durations and sizes."""

from typing import Final

from grafana.source.colours import BAD, QUANTILES, STATUS, WARN
from grafana.source.dashboard import Dashboard, Section
from grafana.source.panels import Column, Panel, Query, graph, heatmap, stat, table
from grafana.source.promql import APP, ROUTE, by_status, mean, quantile, quantiles, rate, share

DURATION: Final = "http_request_duration_seconds"
COUNT: Final = f"{DURATION}_count"


def failed(by: str = "") -> str:
    return share(rate(COUNT, by, f'{ROUTE},status=~"5.."'), rate(COUNT, by, ROUTE))


def refused(by: str = "") -> str:
    return share(rate(COUNT, by, f'{ROUTE},status=~"4.."'), rate(COUNT, by, ROUTE))


REQUESTS: Final = stat("Requests", "Requests answered a second.", "reqps", Query(rate(COUNT, where=ROUTE)))
ANSWERS: Final = (
    graph("Answers by status", "Answers a second, by the first digit of their status.", "reqps", *by_status(ROUTE))
    .stacked()
    .coloured(STATUS)
)
DURATIONS: Final = (
    graph(
        "Durations",
        "Half, 19 of 20 and 99 of 100 requests are answered faster. A dot is one request; it leads to its trace's log lines.",
        "s",
        *quantiles(DURATION, ROUTE, exemplars=True),
    )
    .coloured(QUANTILES)
    .limited({0.3: WARN, 1: BAD})
)


def duration(name: str, share: float, description: str) -> Panel:
    return stat(name, description, "s", Query(quantile(share, DURATION, where=ROUTE)), {0: "green", 0.3: WARN, 1: BAD})


P95: Final = duration("p95", 0.95, "19 of 20 requests are answered faster. Objective: 300 ms with a GPU, 1 s without.")


NOW = Section(
    "How are the chosen routes doing now?",
    [
        [
            REQUESTS,
            stat(
                "Failed",
                "Share of the answers that are 5xx. The objective allows 0.5 %.",
                "percentunit",
                Query(failed()),
                {0: "green", 0.005: WARN, 0.05: BAD},
            ),
            stat("Refused", "Share of the answers that are 4xx: errors of clients.", "percentunit", Query(refused())),
            P95,
            stat("In flight", "Requests in progress.", "short", Query(f"sum(http_requests_in_progress{{{ROUTE}}})")),
        ],
        [
            table(
                "Routes",
                "All routes. Errors and durations of a route are empty while it has no requests.",
                "none",
                [
                    Query(rate(COUNT, "route", ROUTE)),
                    Query(failed("route")),
                    Query(refused("route")),
                    Query(quantile(0.5, DURATION, "route", ROUTE)),
                    Query(quantile(0.95, DURATION, "route", ROUTE)),
                    Query(quantile(0.99, DURATION, "route", ROUTE)),
                ],
                [
                    Column("route", "Route"),
                    Column("Value #A", "Rate", "reqps"),
                    Column("Value #B", "5xx", "percentunit"),
                    Column("Value #C", "4xx", "percentunit"),
                    Column("Value #D", "p50", "s"),
                    Column("Value #E", "p95", "s"),
                    Column("Value #F", "p99", "s"),
                ],
            )
        ],
    ],
    leads_to=["overview", "model"],
)

ERRORS = Section(
    "What is asked for, and what goes wrong?",
    [
        [
            graph("Requests by route", "Requests answered a second.", "reqps", Query(rate(COUNT, "route", ROUTE), "{{route}}")),
            ANSWERS,
        ],
        [
            graph(
                "Failures by route",
                "Share of each route's answers that are 5xx.",
                "percentunit",
                Query(failed("route"), "{{route}}"),
            ).limited({0.005: BAD}),
            graph(
                "Rejections by reason",
                "The causes of 4xx and 503: requests a second that were rejected or abandoned, all routes together.",
                "reqps",
                Query(rate("ml_api_rejected_total", "reason"), "{{reason}}"),
            ).stacked(),
        ],
    ],
    leads_to=["model", "store"],
)

TIME = Section(
    "How long do answers take?",
    [
        [
            DURATIONS,
            heatmap(
                "Spread of durations",
                "Requests a second by duration. Two bands are two kinds of requests; a rising band is a queue.",
                "s",
                Query(rate(f"{DURATION}_bucket", "le", ROUTE), "{{le}}", exemplars=True),
            ),
        ],
        [
            graph(
                "p95 by route",
                "19 of 20 requests of a route are answered faster.",
                "s",
                Query(quantile(0.95, DURATION, "route", ROUTE), "{{route}}"),
            ),
            graph(
                "In flight by route",
                "Requests in progress. A value that stays high at a low rate means that requests wait for something.",
                "short",
                Query(f"sum by (route) (http_requests_in_progress{{{ROUTE}}})", "{{route}}"),
            ),
            graph(
                "Where requests are",
                "Being read, waiting for a thread, working, being sent. Waiting and working requests count towards the limit; "
                "many being read or sent are slow clients, which delay nobody else.",
                "short",
                Query(f"sum by (state) (ml_api_requests{{{APP}}})", "{{state}}"),
                Query(f"sum(ml_api_requests_limit{{{APP}}})", "limit"),
            ).coloured({"limit": BAD}),
        ],
    ],
    leads_to=["model", "store"],
)

SIZES = Section(
    "How large is what comes and goes?",
    [
        [
            graph(
                "Size of uploads",
                "Mean size of request bodies, by route.",
                "bytes",
                Query(mean("http_request_size_bytes", "route", ROUTE), "{{route}}"),
            ),
            graph(
                "Size of answers",
                "Mean size of answer bodies, by route.",
                "bytes",
                Query(mean("http_response_size_bytes", "route", ROUTE), "{{route}}"),
            ),
            graph(
                "Traffic",
                "Bodies a second, both ways, of the chosen routes.",
                "Bps",
                Query(rate("http_request_size_bytes_sum", where=ROUTE), "in"),
                Query(rate("http_response_size_bytes_sum", where=ROUTE), "out"),
            ),
        ],
    ],
    leads_to=["infrastructure"],
)

DECODING = Section(
    "Do images cost too much to decode?",
    [
        [
            graph(
                "Images not decoded",
                "Images a second that exceeded a limit on time or memory, crashed their decoder, or found all processes busy.",
                "ops",
                Query(rate("ml_api_decoding_refused_total", "reason"), "{{reason}}"),
            ).stacked(),
            graph(
                "Decoding processes replaced",
                "Stopped at a limit, crashed on an image, lost for another reason, or renewed after a large image, which is usual.",
                "ops",
                Query(rate("ml_api_decoding_processes_ended_total", "reason"), "{{reason}}"),
            ).stacked(),
            graph(
                "Memory for decoding",
                "Memory reserved for the images being decoded: at most ML_API_DECODE_MEMORY_BYTES.",
                "bytes",
                Query(f"sum(ml_api_decoding_memory_bytes{{{APP}}})", "allowed now"),
            ),
        ],
    ],
    leads_to=["infrastructure"],
)

DASHBOARD = Dashboard(
    "endpoints",
    "Which route is slow or failing, since when, and with which kind of error?",
    [NOW, ERRORS, TIME, SIZES, DECODING],
)
