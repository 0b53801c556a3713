"""Routes of searches by several terms (`POST /v1/search`), and of several searches at once (`POST /v1/search/batch`)."""

from typing import Final

from flask import Blueprint, Response

from ml_api import images
from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import batch_answer, query_id, search_answer
from ml_api.api.feedback import remember
from ml_api.api.form import MAX_PARTS
from ml_api.api.observe import note, note_query
from ml_api.api.operation import LATE, NO_DECODING, NO_MODEL, NO_STORE, TIMEOUT, operation, ref
from ml_api.api.parsing import request_deadline
from ml_api.api.problems import problem_of
from ml_api.api.schemas import JsonObject
from ml_api.api.schemas.base import Problem
from ml_api.api.schemas.composed import MAX_BATCH_TERMS, MAX_QUERIES, MAX_TERMS, BatchAnswer, BatchQuery, ComposedQuery
from ml_api.api.schemas.found import SearchAnswer
from ml_api.api.schemas.search import RED_SQUARE
from ml_api.api.search import begin, note_result
from ml_api.api.terms import QUERY_FIELD, Sent, named_fault, query_of, refuse_many, search_body
from ml_api.deadline import Deadline
from ml_api.errors import InsufficientStorage, InvalidInput, MlApiError
from ml_api.search import Fault, Query, SearchResult
from ml_api.stages import stage
from ml_api.vocabulary import Operation, Stage

blueprint = Blueprint("composed", __name__, url_prefix="/v1")

IN_A_FORM: Final = (
    f"Or a form (`multipart/form-data`, {MAX_PARTS} fields at most) with the same JSON in the field `{QUERY_FIELD}`: there the "
    "`image` of a term is the name of another field, which holds the file."
)
BAD_TERMS: Final = (
    *("invalid-query", "invalid-cursor", "invalid-crop", "invalid-id", "invalid-json", "invalid-multipart", "invalid-base64"),
    *("missing-image", "unsupported-media-type", "too-large"),
)
BATCH_HAS: Final = "queries: have, with marked images,"
DOGS: Final[JsonObject] = {"query": [{"text": "two dogs"}, {"text": "snow", "weight": -0.5}], "limit": 10}


def _bodies(model: type[ComposedQuery | BatchQuery], example: JsonObject, in_form: str) -> JsonObject:
    form: JsonObject = {
        "type": "object",
        "properties": {
            QUERY_FIELD: {"type": "string", "description": f"JSON, as the body `{model.__name__}`.", "example": in_form}
        },  # Swagger UI fills fields of a form with examples of their own
        "required": [QUERY_FIELD],
        "additionalProperties": {"type": "string", "format": "binary"},
    }
    return {
        "application/json": {"schema": ref(model), "example": example},
        "multipart/form-data": {"schema": form, "example": {QUERY_FIELD: in_form}},
    }


@blueprint.post("/search")
@operation(
    "search",
    "Find images by any number of texts, images, stored images and vectors",
    tag="search",
    scope=Scope.SEARCH,
    description=f"1 to {MAX_TERMS} terms, each with a weight that may be negative, images with a crop. {IN_A_FORM} "
    f"Formats: {images.ACCEPTED}. Errors name the term: `query[2].crop: …`.",
    answer=SearchAnswer,
    parameters=(TIMEOUT,),
    body=_bodies(
        ComposedQuery,
        {"query": [{"text": "a red flower"}, {"image": RED_SQUARE, "crop": [0, 0, 0.5, 1], "weight": 0.3}], "limit": 10},
        '{"query": [{"text": "two dogs"}, {"text": "snow", "weight": -0.5}], "explain": true}',
    ),
    fails=(*BAD_TERMS, "not-found", *NO_DECODING, *NO_MODEL, *NO_STORE, *LATE),
)
def composed() -> Response:
    begin(Operation.COMPOSED)
    deadline = request_deadline()
    with stage(Stage.FETCH):
        body, sent = search_body(ComposedQuery)
    _note(body)
    query = query_of(body, sent, deadline)
    [result] = services().engine.searcher.search_all([query], deadline)
    if isinstance(result, Fault):
        raise named_fault(result, body)
    model = services().engine.embedder.model.name
    note_result(result, model)
    remember(query, result, model, query_id())
    with stage(Stage.SERIALIZE):
        return search_answer(result, query, model)


@blueprint.post("/search/batch")
@operation(
    "search_batch",
    "Make several searches at once",
    tag="search",
    scope=Scope.SEARCH,
    description=f"Up to {MAX_QUERIES} queries of {MAX_BATCH_TERMS} terms in all, each as `/v1/search` takes it, in the time of a "
    f"few. {IN_A_FORM} What is wrong with one query is its own `problem`; a body that is not as described is refused as a whole.",
    answer=BatchAnswer,
    parameters=(TIMEOUT,),
    body=_bodies(
        BatchQuery,
        {"queries": [DOGS, {"query": [{"text": "a red car at night"}], "limit": 3}]},
        '{"queries": [{"query": [{"text": "two dogs"}]}, {"query": [{"text": "a red car at night"}]}]}',
    ),
    fails=(
        *("invalid-query", "invalid-json", "invalid-multipart", "unsupported-media-type", "too-large"),
        *("decoding-unavailable", *NO_MODEL, *NO_STORE, *LATE),
    ),
)
def batch() -> Response:
    begin(Operation.BATCH)
    deadline = request_deadline()
    with stage(Stage.FETCH):
        body, sent = search_body(BatchQuery)
    terms = sum(len(query.query) + len(query.more_like) + len(query.less_like) for query in body.queries)
    refuse_many(terms, MAX_BATCH_TERMS, BATCH_HAS)
    note({"ml_api.queries": len(body.queries), "ml_api.terms": terms})
    built = [_built(query, sent, deadline, place) for place, query in enumerate(body.queries)]
    queries = [query for query in built if isinstance(query, Query)]
    refuse_many(sum(len(query.vector_terms) for query in queries), MAX_BATCH_TERMS, BATCH_HAS)
    searched = iter(services().engine.searcher.search_all(queries, deadline))
    answers, model = list[tuple[Query, SearchResult] | Problem](), services().engine.embedder.model.name
    for place, (query_body, query) in enumerate(zip(body.queries, built, strict=True)):
        if isinstance(query, MlApiError):
            answers.append(problem_of(query))
        elif isinstance(result := next(searched), Fault):
            answers.append(problem_of(named_fault(result, query_body, _within(place))))
        else:
            remember(query, result, model, query_id(place))
            answers.append((query, result))
    note({"ml_api.model": model})
    with stage(Stage.SERIALIZE):
        return batch_answer(answers, model)


def _within(place: int) -> str:
    return f"queries[{place}]."


def _built(body: ComposedQuery, sent: Sent, deadline: Deadline, place: int) -> Query | MlApiError:
    """The query of a batch at the index `place`, or the error of this query alone. Raises errors that concern the whole batch."""
    try:
        return query_of(body, sent, deadline, _within(place))
    except (InvalidInput, InsufficientStorage) as exc:
        return exc


def _note(body: ComposedQuery) -> None:
    kinds = {"text" if term.text is not None else "vector" if term.vector is not None else "image" for term in body.query}
    note(
        {
            "ml_api.limit": body.limit,
            "ml_api.terms": len(body.query),
            "ml_api.modality": kinds.pop() if len(kinds) == 1 else "mixed",
        }
    )
    if texts := [term.text for term in body.query if term.text is not None]:
        note_query("; ".join(texts))
