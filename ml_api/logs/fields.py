"""Every field that a log line can have, and its type in Elasticsearch. The index template holds the same, and refuses others."""

from collections.abc import Mapping
from typing import Final, Literal

from ml_api.records import SyncOutcome
from ml_api.stages import Stage

Type = Literal["date", "keyword", "wildcard", "match_only_text", "long", "float", "ip"]

_STAGES: Final[Mapping[Stage, str]] = {
    Stage.FETCH: "Reading the upload",
    Stage.DECODE: "Decoding the image",
    Stage.PREPARE: "Making features for the model",
    Stage.QUEUE: "Wait for the model",
    Stage.EMBED: "The model",
    Stage.SEARCH: "The vector store",
    Stage.SERIALIZE: "Writing the answer",
}

FIELDS: Final[Mapping[str, tuple[Type, str]]] = {
    "@timestamp": ("date", "When, in UTC, to the millisecond"),
    "log.level": ("keyword", "`debug`, `info`, `warning`, `error` or `critical`"),
    "message": ("match_only_text", "What happened"),
    "ecs.version": ("keyword", "Version of the Elastic Common Schema that the names are taken from"),
    "service.name": ("keyword", "`ml_api`"),
    "service.version": ("keyword", "Version of this software"),
    "service.environment": ("keyword", "`ML_API_ENVIRONMENT`"),
    "event.dataset": ("keyword", "`ml_api.access`: one line for each request; `ml_api.sync`; `ml_api.app`: all others"),
    "log.logger": ("keyword", "Module that wrote the line"),
    "process.pid": ("long", "Process"),
    "process.thread.name": ("keyword", "Thread"),
    "http.request.id": ("keyword", "`X-Request-ID`; a list on lines about several requests at once"),
    "trace.id": ("keyword", "Trace, as in `traceparent` and in exemplars; a list likewise"),
    "span.id": ("keyword", "Our part of the trace; a list likewise"),
    "error.id": ("keyword", "Of this one occurrence"),
    "error.type": ("keyword", "Class of the exception"),
    "error.message": ("match_only_text", "What it says"),
    "error.stack_trace": ("wildcard", "Where it was raised"),
    "event.action": ("keyword", "Method and rule of the route; `sync`; `sync-failure`: a file that could not be indexed"),
    "event.duration": ("long", "How long it took, in nanoseconds"),
    "event.outcome": ("keyword", "`success` or `failure`"),
    "http.request.method": ("keyword", "As sent"),
    "http.request.body.bytes": ("long", "Size of the body that came"),
    "http.response.status_code": ("long", "Status of the answer"),
    "http.response.body.bytes": ("long", "Size of the answer's body"),
    "url.path": ("wildcard", "Path that was asked for"),
    "client.ip": ("ip", "Address that the request came from"),
    "user_agent.original": ("keyword", "As sent, at most 256 characters"),
    "ml_api.route": ("keyword", "Rule of the route, as in metrics"),
    "ml_api.operation": ("keyword", "`text`, `image` or `similar`"),
    "ml_api.modality": ("keyword", "What was searched with, `text` or `image`"),
    "ml_api.limit": ("long", "Hits asked for"),
    "ml_api.hits": ("long", "Hits returned"),
    "ml_api.top1_similarity": ("float", "Score of the best of them"),
    "ml_api.batch_size": ("long", "Inputs that went through the model together with this one; 0 if its vector was known"),
    "ml_api.queue_ms": ("float", "Wait for the model"),
    **{f"ml_api.stage_ms.{stage}": ("float", meaning) for stage, meaning in _STAGES.items()},
    "ml_api.model": ("keyword", "Name of the model"),
    "ml_api.query.length": ("long", "Characters of the search text"),
    "ml_api.query.hash": ("keyword", "Equal for equal search texts"),
    "ml_api.query.text": ("match_only_text", "The search text, if `ML_API_LOG_QUERIES` asks for it"),
    "ml_api.times": ("long", "How often this happened since the last such line: what happens all the time is told once a second"),
    "ml_api.key": ("keyword", "Key of the image that the line is about"),
    **{f"ml_api.sync.{outcome}": ("long", f"Files of a sync: {outcome}") for outcome in SyncOutcome},
    "ml_api.sync.seconds": ("float", "How long the sync took"),
}
"""By name: type and meaning."""


def fields_table() -> str:
    """Every field as a row of a Markdown table: the one that Introduction.md shows."""
    rows = ["| Field | Type | Meaning |", "|---|---|---|"]
    return "\n".join(rows + [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in FIELDS.items()])
