"""Vector store: the client's view beside Milvus's own."""

from typing import Final

from grafana.source.colours import BAD, OUTCOMES, WARN
from grafana.source.dashboard import Dashboard, Section
from grafana.source.panels import Query, graph, heatmap, stat, states
from grafana.source.promql import APP, mean, or_zero, quantile, rate, share

CALLS: Final = "ml_api_store_duration_seconds"
SEARCHES: Final = f'{APP},operation="search"'
MILVUS_CALLS: Final = rate("milvus_proxy_req_count", where="")
SIDES: Final = {"seen from here": "blue", "Milvus": "dark-green"}


def milvus_p95(metric: str, where: str = "") -> str:
    """Of one of Milvus's histograms, whose unit is the millisecond, in seconds."""
    return f"histogram_quantile(0.95, sum by (le) (rate({metric}_bucket{{{where}}}[$__rate_interval]))) / 1000"


IMAGES: Final = stat("Images", "Images in the collection.", "short", Query(f"max(ml_api_store_entities{{{APP}}})"))

NOW = Section(
    "Does the store answer, and fast enough?",
    [
        [
            IMAGES,
            stat("Calls", "Calls of the store a second.", "ops", Query(rate(f"{CALLS}_count"))),
            stat(
                "Failed",
                "Share of the calls that failed.",
                "percentunit",
                Query(share(rate("ml_api_store_errors_total"), rate(f"{CALLS}_count"))),
                {0: "green", 0.001: WARN, 0.01: BAD},
            ),
            stat(
                "p95 of a search",
                "19 of 20 searches of the store are faster, seen from here.",
                "s",
                Query(quantile(0.95, CALLS, where=SEARCHES)),
                {0: "green", 0.1: WARN, 0.3: BAD},
            ),
            states(
                "Answers",
                "Whether the collection could be counted, over time.",
                Query(f"ml_api_store_up{{{APP}}}", "{{instance}}"),
            ),
        ],
        [
            graph(
                "A search, from both sides",
                "p95 of a search, seen from here and inside Milvus. The gap between the two is network, waiting and our own work.",
                "s",
                Query(quantile(0.95, CALLS, where=SEARCHES), "seen from here"),
                Query(milvus_p95("milvus_proxy_sq_latency", 'query_type="search"'), "Milvus"),
            ).coloured(SIDES),
            heatmap(
                "Spread of searches",
                "Searches of the store a second, by duration.",
                "s",
                Query(rate(f"{CALLS}_bucket", "le", SEARCHES), "{{le}}"),
            ),
        ],
    ],
    leads_to=["overview", "model"],
)

CLIENT = Section(
    "Which calls does the service make?",
    [
        [
            graph(
                "Calls by operation", "Calls a second.", "ops", Query(rate(f"{CALLS}_count", "operation"), "{{operation}}")
            ).stacked(),
            graph(
                "p95 by operation",
                "19 of 20 calls are faster, seen from here.",
                "s",
                Query(quantile(0.95, CALLS, "operation"), "{{operation}}"),
            ),
            graph(
                "Searches in one call",
                "Mean number of searches in one call: waiting searches share the next call. 1 means that the store keeps up.",
                "short",
                Query(mean("ml_api_search_batch_size"), "searches"),
            ),
        ],
        [
            graph(
                "Calls by outcome",
                "Calls a second. `deadline` calls were cut off at their request's deadline.",
                "ops",
                Query(rate(f"{CALLS}_count", "outcome"), "{{outcome}}"),
            )
            .stacked()
            .coloured(OUTCOMES),
            graph(
                "Errors by reason",
                "Failed calls a second, by reason and operation.",
                "ops",
                Query(
                    or_zero(rate("ml_api_store_errors_total", "operation, reason"), rate(f"{CALLS}_count"), "reason"),
                    "{{operation}} {{reason}}",
                ),
            ).stacked(),
            graph(
                "Images",
                "Rows of the collection, as each instance counts them.",
                "short",
                Query(f"ml_api_store_entities{{{APP}}}", "{{instance}}: {{collection}}"),
            ),
        ],
    ],
    leads_to=["endpoints", "corpus"],
)

INDEX = Section(
    "Does the index find what it should? (empty where every search compares all images)",
    [
        [
            graph(
                "Recall of live searches",
                "Mean share of the 10 nearest images that searches found; a sample (`ML_API_RECALL_SAMPLE`) is repeated exactly "
                "in the background.",
                "percentunit",
                Query(mean("ml_api_online_recall"), "recall@10"),
            ),
            graph(
                "Incomplete answers",
                "Share of the repeated searches that missed one of the 10 nearest images or more.",
                "percentunit",
                Query(
                    share(
                        rate("ml_api_online_recall_bucket", where=f'{APP},le="0.9"'),
                        rate("ml_api_online_recall_count"),
                    ),
                    "searches",
                ),
            ),
            graph(
                "Repeated searches",
                "Searches a second that were to be repeated. `dropped`: the service was busy; `changed`: the images were changing; "
                "`failed`: the store failed, or comparing all images took over 10 s.",
                "ops",
                Query(rate("ml_api_online_recall_searches_total", "outcome"), "{{outcome}}"),
            ).stacked(),
        ],
    ],
    leads_to=["model"],
)

WORDS = Section(
    "Are names and metadata searched?",
    [
        [
            graph(
                "Lookups of words",
                "Searches a second whose words were looked up in names and metadata. `late` and `failed`: the database; these "
                "searches went on without words.",
                "ops",
                Query(rate("ml_api_text_lookups_total", "outcome"), "{{outcome}}"),
            ).stacked(),
            graph(
                "Images behind",
                "Images whose words are not found yet, or are found though they are gone: above 0 after an upgrade or a crash, for "
                "as long as they are read again.",
                "short",
                Query(f"ml_api_texts_behind_images{{{APP}}}", "{{instance}}"),
            ),
        ],
    ],
    leads_to=["corpus"],
)

SERVER = Section(
    "How is Milvus itself? (empty with the embedded store)",
    [
        [
            graph(
                "Requests to Milvus",
                "Requests a second by type, from all clients.",
                "ops",
                Query(
                    'sum by (function_name) (rate(milvus_proxy_req_count{status="total"}[$__rate_interval]))', "{{function_name}}"
                ),
            ).stacked(),
            graph(
                "Failed in Milvus",
                "Requests a second that failed in Milvus.",
                "ops",
                Query(
                    'sum by (function_name) (rate(milvus_proxy_req_count{status="total"}[$__rate_interval])) '
                    '- sum by (function_name) (rate(milvus_proxy_req_count{status="success"}[$__rate_interval]))',
                    "{{function_name}}",
                ),
            ),
            graph(
                "Rate limits",
                "Requests a second that Milvus throttled because of a quota. Old servers (2.3.5) do not count them.",
                "ops",
                Query(
                    or_zero(rate("milvus_proxy_rate_limit_req_count", "msg_type", 'status="fail"'), MILVUS_CALLS, "msg_type"),
                    "{{msg_type}}",
                ),
            ).limited({0.001: WARN}),
            graph(
                "Slow queries",
                "Searches and queries a second over `proxy.slowQuerySpanInSeconds`. Old servers (2.3.5) do not count them.",
                "ops",
                Query(
                    or_zero(rate("milvus_proxy_slow_query_count", "msg_type", ""), MILVUS_CALLS, "msg_type"),
                    "{{msg_type}}",
                ),
            ).limited({0.001: WARN}),
        ],
        [
            graph(
                "Inside a search",
                "p95 of a search's parts: the query node's queue, that node in all, and all that the proxy waits for.",
                "s",
                Query(milvus_p95("milvus_querynode_sq_queue_latency", 'query_type="search"'), "queue"),
                Query(milvus_p95("milvus_querynode_sq_req_latency", 'query_type="search",scope="OnLeader"'), "query node"),
                Query(milvus_p95("milvus_proxy_sq_wait_result_latency", 'query_type="search"'), "proxy waits"),
            ),
            graph(
                "Entities in memory",
                "Rows that the query nodes hold: all collections, growing and sealed.",
                "short",
                Query("sum by (segment_state) (milvus_querynode_entity_num)", "{{segment_state}}"),
            ).stacked(),
            graph(
                "Stored",
                "Rows in flushed segments of all collections.",
                "short",
                Query("sum by (segment_state) (milvus_datacoord_stored_rows_num)", "{{segment_state}}"),
            ).stacked(),
        ],
    ],
    leads_to=["infrastructure"],
)

DASHBOARD = Dashboard(
    "store",
    "Is the vector store fast, complete and without errors, and is slowness its own or the network's?",
    [NOW, CLIENT, INDEX, WORDS, SERVER],
)
