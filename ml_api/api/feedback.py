"""Routes of feedback, `/v1/feedback`: they take verdicts on hits, and export judgements. `remember` notes searches for them."""

import time
from collections.abc import Iterator
from itertools import chain
from typing import Final

from flask import Blueprint, Response, current_app

from ml_api.access import Scope
from ml_api.api import examples, services
from ml_api.api.answers import json_answer, timestamp
from ml_api.api.observe import LOG_QUERIES, hash_of
from ml_api.api.operation import NO_NOTE, operation, ref
from ml_api.api.parsing import image_id_of, json_body
from ml_api.api.schemas import TEXT_BODY_BYTES, JsonObject
from ml_api.api.schemas.arrangement import MAX_GROUPED
from ml_api.api.schemas.feedback import FeedbackAnswer, FeedbackRequest, JudgementLine
from ml_api.feedback import Judgement, PastSearch
from ml_api.search import Query, SearchResult, StoredTerm, TextTerm, VectorTerm, Weighted
from ml_api.vectors.filters import plain
from ml_api.vocabulary import Verdict

blueprint = Blueprint("feedback", __name__, url_prefix="/v1/feedback")

LINES: Final = "application/x-ndjson"
EXAMPLE: Final[JsonObject] = {"query_id": examples.REQUEST_ID, "id": examples.DRAWN_ID, "verdict": "relevant"}


@blueprint.post("")
@operation(
    "give_feedback",
    "Judge a hit",
    tag="search",
    scope=Scope.SEARCH,
    description="Of a search that was answered lately: make one, and copy its `query_id` and the `id` of one of its hits; those of "
    "the example are answered 404. It may be repeated, and the last verdict counts.",
    answer=FeedbackAnswer,
    body={"application/json": {"schema": ref(FeedbackRequest), "example": EXAMPLE}},
    fails=(
        *("invalid-query", "invalid-json", "invalid-id", "not-a-hit", "query-not-found", "too-large", "unsupported-media-type"),
        *("overloaded", *NO_NOTE),
    ),
)
def give() -> Response:
    body = json_body(FeedbackRequest, max_bytes=TEXT_BODY_BYTES)
    counts = services().judgements.give(body.query_id, image_id_of(body.id), Verdict(body.verdict), body.comment)
    return json_answer(FeedbackAnswer(query_id=body.query_id, id=body.id, verdict=counts))


@blueprint.get("")
@operation(
    "export_feedback",
    "Export all judgements",
    tag="search",
    scope=Scope.ADMIN,
    description="As JSON lines, in the order of searches, which `evaluate judgements` reads.",
    answer={
        LINES: {"schema": ref(JudgementLine), "example": examples.ANSWERS[JudgementLine]},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},  # as which generated clients know it
    },
    fails=("invalid-query", "database-unavailable"),
)
def export() -> Response:
    judgements = services().judgements.all()
    return Response(
        _lines(judgements), content_type=LINES, direct_passthrough=True
    )  # otherwise Flask would hold all lines in memory to state their length


def remember(query: Query, result: SearchResult, model: str, query_id: str) -> None:
    """Note a search, so that its hits, and the images that the answer shows in their groups, can be judged by `query_id`."""
    searches = services().judgements.searches
    if searches.wanted and result.hits:
        grouped = chain.from_iterable(row.others[:MAX_GROUPED] for row in result.rows)
        ids = tuple(hit.record.id for hit in chain(result.hits, grouped))
        searches.note(PastSearch(query_id, model, _request(query), ids, result.first_rank, time.time()))


def _request(query: Query) -> JsonObject:
    """The query as a body of `/v1/search`, without images. Texts and filters are included only if ML_API_LOG_QUERIES is on;
    otherwise a text is replaced by its hash, by which equal texts can be recognised.
    """
    with_texts: bool = current_app.config[LOG_QUERIES]
    request: JsonObject = {"query": [_term(weighted, with_texts=with_texts) for weighted in query.terms]}
    if not query.exclude_inputs:
        request["exclude_inputs"] = False
    if query.options.filter is not None:
        request["filter"] = plain(query.options.filter) if with_texts else None
    for name, marks in (("more_like", query.marks.more), ("less_like", query.marks.less)):
        if marks:
            request[name] = [mark.image_id for mark in marks]
    return request


def _term(weighted: Weighted, *, with_texts: bool) -> JsonObject:
    weight = {} if weighted.weight == 1 else {"weight": weighted.weight}
    match weighted.term:
        case TextTerm(text):
            return ({"text": text} if with_texts else {"hash": hash_of(text)}) | weight
        case StoredTerm(image_id):
            return {"id": image_id} | weight
        case VectorTerm():
            return {"vector": None} | weight
        case _:
            return {"image": None} | weight


def _lines(judgements: Iterator[Judgement]) -> Iterator[bytes]:
    for judgement in judgements:
        line = JudgementLine(
            query_id=judgement.query_id,
            id=judgement.image_id,
            grade=judgement.grade,
            verdict=judgement.verdict,
            rank=judgement.rank,
            query=dict(judgement.query),
            model=judgement.model,
            comment=judgement.comment,
            judged_at=timestamp(judgement.judged_at),
        )
        yield line.model_dump_json(ensure_ascii=True).encode() + b"\n"  # some readers end a line at U+2028
