"""Declares every field of a log line, with its type in Elasticsearch. The index template has the same fields and refuses others."""

from collections.abc import Mapping
from typing import Final, Literal

from ml_api.vocabulary import Stage, SyncOutcome

Type = Literal["date", "keyword", "wildcard", "match_only_text", "long", "float", "ip"]

_STAGES: Final[Mapping[Stage, str]] = {
    Stage.FETCH: "Time of reading the upload",
    Stage.DECODE: "Time of decoding the image and scaling it for the model",
    Stage.PREPARE: "Time of preprocessing (tokenising, resizing)",
    Stage.QUEUE: "Time of waiting for the model",
    Stage.EMBED: "Time of the forward pass",
    Stage.SEARCH: "Time of the search in the vector store",
    Stage.SERIALIZE: "Time of writing the answer",
}

FIELDS: Final[Mapping[str, tuple[Type, str]]] = {
    "@timestamp": ("date", "Time in UTC, with milliseconds"),
    "log.level": ("keyword", "`debug`, `info`, `warning`, `error` or `critical`"),
    "message": ("match_only_text", "The message"),
    "ecs.version": ("keyword", "Version of the Elastic Common Schema"),
    "service.name": ("keyword", "`ml_api`"),
    "service.version": ("keyword", "Version of this software"),
    "service.environment": ("keyword", "`ML_API_ENVIRONMENT`"),
    "event.dataset": ("keyword", "`ml_api.access`: one line for each request; `ml_api.sync`; `ml_api.app`: all others"),
    "log.logger": ("keyword", "Module that wrote the line"),
    "process.pid": ("long", "Process id"),
    "process.thread.name": ("keyword", "Name of the thread"),
    "http.request.id": ("keyword", "`X-Request-ID`; a list on lines about several requests at once"),
    "trace.id": ("keyword", "Trace id, as in `traceparent` and in exemplars; a list likewise"),
    "span.id": ("keyword", "Span id of this service; a list likewise"),
    "error.id": ("keyword", "Unique id of this occurrence"),
    "error.type": ("keyword", "Class of the exception"),
    "error.message": ("match_only_text", "Message of the exception"),
    "error.stack_trace": ("wildcard", "Stack trace"),
    "event.action": ("keyword", "Method and rule of the route; `sync`; `sync-failure`: a file that could not be indexed"),
    "event.duration": ("long", "Duration in nanoseconds"),
    "event.outcome": ("keyword", "`success` or `failure`"),
    "http.request.method": ("keyword", "Method of the request"),
    "http.request.body.bytes": ("long", "Size of the request's body"),
    "http.response.status_code": ("long", "Status of the answer"),
    "http.response.body.bytes": ("long", "Size of the answer's body"),
    "url.path": ("wildcard", "Path of the request"),
    "client.ip": ("ip", "Address of the client"),
    "user.id": ("keyword", "Id of the API key that the request came with, as `keys list` has it"),
    "user_agent.original": ("keyword", "Header `User-Agent`, at most 256 characters"),
    "ml_api.route": ("keyword", "Rule of the route, as in metrics"),
    "ml_api.operation": ("keyword", "`text`, `image`, `similar`, `composed` or `batch`; `embed` if nothing is searched for"),
    "ml_api.modality": ("keyword", "Modality of the query: `text`, `image`, `vector` or, of several terms, `mixed`"),
    "ml_api.terms": ("long", "Terms of a composed query, or of all queries of a batch"),
    "ml_api.queries": ("long", "Queries of a batch"),
    "ml_api.limit": ("long", "Hits requested"),
    "ml_api.hits": ("long", "Hits returned"),
    "ml_api.top1_similarity": ("float", "Score of the best hit"),
    "ml_api.batch_size": ("long", "Inputs in the same forward pass; 0 if the vector was cached"),
    "ml_api.queue_ms": ("float", "Wait for the model, in milliseconds"),
    **{f"ml_api.stage_ms.{stage}": ("float", meaning) for stage, meaning in _STAGES.items()},
    "ml_api.model": ("keyword", "Name of the model"),
    "ml_api.query.length": ("long", "Length of the search text, in characters; of several, joined"),
    "ml_api.query.hash": ("keyword", "Hash of the search text"),
    "ml_api.query.text": ("match_only_text", "The search text, if `ML_API_LOG_QUERIES` is set"),
    "ml_api.times": ("long", "Occurrences since the last such line: repeated messages are logged once a second"),
    "ml_api.key": ("keyword", "Key of the image"),
    **{f"ml_api.sync.{outcome}": ("long", f"Files of the sync with the outcome `{outcome}`") for outcome in SyncOutcome},
    "ml_api.sync.seconds": ("float", "Duration of the sync, in seconds"),
}
"""The type and the meaning of each field, by name."""


def fields_table() -> str:
    """Every field as a row of a Markdown table: the one in docs/metrics.md."""
    rows = ["| Field | Type | Meaning |", "|---|---|---|"]
    return "\n".join(rows + [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in FIELDS.items()])
