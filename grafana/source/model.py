"""Model: where a search's time goes, whether batching works, and whether the vectors are sound."""

from typing import Final

from grafana.source.colours import BAD, MODALITIES, OUTCOMES, QUANTILES, STAGES, WARN
from grafana.source.dashboard import Dashboard, Section
from grafana.source.gpu import GPU
from grafana.source.panels import Column, Query, graph, heatmap, stat, table
from grafana.source.promql import APP, mean, quantile, quantiles, rate, share

STAGE: Final = "ml_api_stage_duration_seconds"
SEARCHES: Final = rate(f"{STAGE}_count", where=f'{APP},stage="search"')
HITS: Final = "ml_api_hits_returned"

WHICH = Section(
    "Which model answers, and how fast?",
    [
        [
            table(
                "Model",
                "The loaded model. Vectors of two models cannot be compared, so all instances should show the same.",
                "none",
                [Query(f"ml_api_model_info{{{APP}}}")],
                [
                    Column("instance", "Instance"),
                    Column("model", "Model"),
                    Column("revision", "Revision"),
                    Column("dim", "Dimensions"),
                    Column("device", "Device"),
                    Column("dtype", "Precision"),
                    Column("text_model", "Texts by"),
                ],
            ).low(),
        ],
        [
            stat(
                "Embedded",
                "Texts and images embedded a second.",
                "ops",
                Query(rate("ml_api_embed_items_total", where=f'{APP},outcome="ok"')),
            ),
            stat(
                "Lost",
                "Share of the inputs without a vector: failed, out of memory, or abandoned while waiting.",
                "percentunit",
                Query(
                    share(
                        rate("ml_api_embed_items_total", where=f'{APP},outcome!="ok"'),
                        rate("ml_api_embed_items_total"),
                    )
                ),
                {0: "green", 0.01: WARN, 0.05: BAD},
            ),
            stat(
                "Cache hits",
                "Share of the search texts whose vector was in the cache.",
                "percentunit",
                Query(
                    share(
                        rate("ml_api_text_cache_requests_total", where=f'{APP},result="hit"'),
                        rate("ml_api_text_cache_requests_total"),
                    )
                ),
            ),
            stat(
                "Loading",
                "Time to load the model at the start.",
                "s",
                Query(f"max(ml_api_model_load_seconds{{{APP}}})"),
            ),
        ],
    ],
    leads_to=["overview"],
)

WHERE = Section(
    "Where does a search's time go?",
    [
        [
            graph(
                "A search, stage by stage",
                "Mean time of a search in each stage, stacked: the height is the mean duration of a search. "
                "`queue` is waiting for the model, `search` waiting for the vector store.",
                "s",
                Query(f"{rate(f'{STAGE}_sum', 'stage')} / on () group_left () {SEARCHES}", "{{stage}}"),
            )
            .stacked()
            .coloured(STAGES),
            graph(
                "Waiting against computing",
                "p95 of waiting for the model and of the model at work. Waiting above computing: the machine is full.",
                "s",
                Query(quantile(0.95, STAGE, where=f'{APP},stage="queue"'), "queue"),
                Query(quantile(0.95, STAGE, where=f'{APP},stage="embed"'), "embed"),
            ).coloured(STAGES),
        ],
        [
            graph(
                "Stages by kind of search",
                "Mean time of each stage, for searches by text, by image and for similar ones.",
                "s",
                Query(mean(STAGE, "operation, stage"), "{{operation}}: {{stage}}"),
            ),
            graph(
                "Queue",
                "Inputs that wait for the model.",
                "short",
                Query(f"sum by (modality) (ml_api_embed_queue_depth{{{APP}}})", "{{modality}}"),
            ).coloured(MODALITIES),
            graph(
                "Bulk work",
                "Inputs of syncs and of changes that wait for the model, behind those of searches: a sync keeps some waiting, and "
                "is owed a pass a second even while searches come all the time.",
                "short",
                Query(f"sum(ml_api_embed_bulk_depth{{{APP}}})", "inputs"),
            ),
        ],
    ],
    leads_to=["endpoints", "store"],
)

BATCHES = Section(
    "Is batching working?",
    [
        [
            graph(
                "Mean batch",
                "Inputs in a forward pass. It grows under load; if it stays near 1, batching has no effect.",
                "short",
                Query(mean("ml_api_embed_batch_size", "modality"), "{{modality}}"),
            ).coloured(MODALITIES),
            graph(
                "Time of a forward pass",
                "p95, by what was embedded.",
                "s",
                Query(quantile(0.95, "ml_api_embed_batch_duration_seconds", "modality"), "{{modality}}"),
            ).coloured(MODALITIES),
            graph(
                "Items by outcome",
                "Inputs a second, by outcome. `expired` were abandoned while waiting.",
                "ops",
                Query(rate("ml_api_embed_items_total", "outcome"), "{{outcome}}"),
            )
            .stacked()
            .coloured(OUTCOMES),
            graph(
                "Remembered texts",
                "Search texts a second whose vector was in the cache, or not.",
                "ops",
                Query(rate("ml_api_text_cache_requests_total", "result"), "{{result}}"),
            )
            .stacked()
            .coloured({"hit": "green", "miss": "blue"}),
        ],
    ],
    leads_to=["endpoints"],
)

QUALITY = Section(
    "Are the answers as good as they were?",
    [
        [
            heatmap(
                "Similarity of the best hit",
                "Searches a second by the score of their best hit. A falling band means other queries, images, or another model.",
                "none",
                Query(rate("ml_api_top1_similarity_bucket", "le"), "{{le}}"),
            ),
            graph(
                "Similarity of the best hit, quantiles",
                "The best hit of half of the searches scores below p50, of 5 % below p5.",
                "none",
                Query(quantile(0.05, "ml_api_top1_similarity"), "p5"),
                Query(quantile(0.5, "ml_api_top1_similarity"), "p50"),
                Query(quantile(0.95, "ml_api_top1_similarity"), "p95"),
            ).coloured(QUANTILES | {"p5": "light-purple"}),
            graph(
                "Searches without hits",
                "Share of the searches without hits.",
                "percentunit",
                Query(
                    share(rate(f"{HITS}_bucket", "modality", f'{APP},le="0.0"'), rate(f"{HITS}_count", "modality")), "{{modality}}"
                ),
            ).coloured(MODALITIES),
        ],
        [
            graph(
                "Length of vectors",
                "L2 norm of the vectors, which should be 1. Other values indicate a broken model or arithmetic.",
                "none",
                *quantiles("ml_api_embedding_norm"),
            ).coloured(QUANTILES),
            graph(
                "Vectors that are no numbers",
                "Inputs a second for which the model returned NaN or infinity. It should be 0.",
                "ops",
                Query(rate("ml_api_embedding_nonfinite_total", "modality"), "{{modality}}"),
            )
            .coloured(MODALITIES)
            .limited({0.001: BAD}),
            graph(
                "Drift of best scores",
                "Largest difference between the distribution of best scores over 6 hours and over the week before "
                "(Kolmogorov-Smirnov): 0 if they are alike, 1 if they have nothing in common. 0 while there is no week before.",
                "percentunit",
                Query(f"max by (modality) (ml_api:top1_similarity:drift6h{{{APP}}})", "{{modality}}"),
            )
            .coloured(MODALITIES)
            .limited({0.25: WARN}),
            graph(
                "Hits of a search",
                "Mean number of hits on a search's first page.",
                "short",
                Query(mean(HITS, "modality"), "{{modality}}"),
            ).coloured(MODALITIES),
        ],
        [
            graph(
                "What people say of hits",
                "Verdicts a second. More that are irrelevant, beside those that are relevant or clicked, mean worse answers.",
                "ops",
                Query(rate("ml_api_feedback_total", "verdict"), "{{verdict}}"),
            )
            .stacked()
            .coloured({"relevant": "green", "irrelevant": "red", "clicked": "blue", "none": "light-purple"}),
            graph(
                "Searches that cannot be judged",
                "Searches a second that the database did not take, as it was away for long. It should be 0.",
                "ops",
                Query(rate("ml_api_searches_unkept_total"), "unkept"),
            ).limited({0.001: WARN}),
        ],
    ],
    leads_to=["store", "corpus"],
)

DASHBOARD = Dashboard(
    "model",
    "Is the model fast enough, well used, and still answering as it did?",
    [WHICH, WHERE, BATCHES, QUALITY, GPU],
)
