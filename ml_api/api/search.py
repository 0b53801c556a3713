"""Routes of searches by one term: a text, an image in the request, or a stored image."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from flask import Blueprint, Response

from ml_api import images, stages
from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import query_id, search_answer
from ml_api.api.feedback import remember
from ml_api.api.form import FILE_FIELD
from ml_api.api.observe import elsewhere, note, note_query
from ml_api.api.operation import IMAGE_ID, LATE, NO_DECODING, NO_MODEL, NO_STORE, TIMEOUT, operation, ref
from ml_api.api.parsing import image_id_of, json_body, naming, query_parameters, request_deadline
from ml_api.api.query_images import image_query
from ml_api.api.schemas import TEXT_BODY_BYTES
from ml_api.api.schemas.found import SearchAnswer
from ml_api.api.schemas.search import RED_SQUARE, ImageQuery, PageBody, PageParameters, TextParameters, TextQuery
from ml_api.api.terms import query_for, reads_negations
from ml_api.deadline import Deadline
from ml_api.search import ImageTerm, Query, SearchResult, StoredTerm, TextTerm, Weighted
from ml_api.search.query import SCORE_DIGITS
from ml_api.stages import stage
from ml_api.vocabulary import Modality, Operation, Stage

_MODALITIES: Final[Mapping[Operation, Modality]] = {Operation.TEXT: "text", Operation.IMAGE: "image", Operation.SIMILAR: "image"}
"""The modality of each operation with a single term."""

blueprint = Blueprint("search", __name__, url_prefix="/v1")

FILE = {"schema": {"type": "string", "format": "binary"}}
IMAGE_BODY = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {FILE_FIELD: {"type": "string", "format": "binary", "description": "The image file."}},
            "required": [FILE_FIELD],
        }
    },
    "application/octet-stream": FILE,
    "application/json": {"schema": ref(ImageQuery), "example": {"image": RED_SQUARE}},
}


@blueprint.get("/search/text")
@operation(
    "search_by_text",
    "Find images by a description",
    tag="search",
    scope=Scope.SEARCH,
    answer=SearchAnswer,
    query=TextParameters,
    parameters=(TIMEOUT,),
    fails=("invalid-query", "invalid-cursor", *NO_MODEL, *NO_STORE, *LATE),
)
def text() -> Response:
    return _by_text(query_parameters(TextParameters))


@blueprint.post("/search/text")
@operation(
    "search_by_text_in_json",
    "Find images by a description sent as JSON",
    tag="search",
    scope=Scope.SEARCH,
    answer=SearchAnswer,
    parameters=(TIMEOUT,),
    body={
        "application/json": {
            "schema": ref(TextQuery),
            "example": {"q": "two dogs playing in the snow", "limit": 10},
        }
    },
    fails=("invalid-query", "invalid-cursor", "invalid-json", "too-large", "unsupported-media-type", *NO_MODEL, *NO_STORE, *LATE),
)
def text_from_json() -> Response:
    return _by_text(json_body(TextQuery, max_bytes=TEXT_BODY_BYTES))


@blueprint.post("/search/image")
@operation(
    "search_by_image",
    "Find images that look like the one sent",
    tag="search",
    scope=Scope.SEARCH,
    description=f"Formats: {images.ACCEPTED}. As a form field, as the raw body (as `image/jpeg`, too), or as base64 in JSON, "
    "which holds nothing else. The other parameters stand in the URL, or beside the image in the form.",
    answer=SearchAnswer,
    query=PageParameters,
    parameters=(TIMEOUT,),
    body=IMAGE_BODY,
    fails=(
        *("missing-image", "invalid-multipart", "invalid-base64", "invalid-json", "invalid-query", "invalid-cursor", "too-large"),
        "unsupported-media-type",
        *(*NO_DECODING, *NO_MODEL, *NO_STORE, *LATE),
    ),
)
def image() -> Response:
    begin(Operation.IMAGE)
    deadline = request_deadline()
    with stage(Stage.FETCH):
        data, page = image_query()
    _note(page)
    with naming(FILE_FIELD), stage(Stage.DECODE), elsewhere():
        decoded = services().decoder.decode(data, services().engine.preprocessor.fit, deadline)
    return _answer(query_for((Weighted(ImageTerm(decoded.pixels)),), page), deadline)


@blueprint.get("/images/<image_id>/similar")
@operation(
    "find_similar",
    "Find more like a stored image",
    tag="search",
    scope=Scope.SEARCH,
    answer=SearchAnswer,
    query=PageParameters,
    parameters=(IMAGE_ID, TIMEOUT),
    fails=("invalid-id", "invalid-query", "invalid-cursor", "not-found", *NO_STORE, *LATE),
)
def similar(image_id: str) -> Response:
    begin(Operation.SIMILAR)
    page = query_parameters(PageParameters)
    _note(page)
    return _answer(query_for((Weighted(StoredTerm(image_id_of(image_id))),), page), request_deadline())


def _by_text(query: TextParameters | TextQuery) -> Response:
    begin(Operation.TEXT)
    _note(query)
    note_query(query.q)
    search = query_for((Weighted(TextTerm(query.q)),), query, with_negations=reads_negations(query))
    return _answer(replace(search, match=query.match), request_deadline())


def begin(operation: Operation) -> None:
    """Begin to record an operation: the request's log line names it, with the times of its stages, even if it fails."""
    note({"ml_api.operation": operation})
    if operation in _MODALITIES:
        note({"ml_api.modality": _MODALITIES[operation]})
    stages.begin(operation)


def _note(page: PageParameters | PageBody) -> None:
    note({"ml_api.limit": page.limit})


def note_result(result: SearchResult, model: str) -> None:
    note({"ml_api.model": model, "ml_api.hits": len(result.hits), "ml_api.batch_size": result.batch_size})
    if result.hits:
        note({"ml_api.top1_similarity": round(result.hits[0].score, SCORE_DIGITS)})


def _answer(query: Query, deadline: Deadline) -> Response:
    result, model = services().engine.searcher.search(query, deadline), services().engine.embedder.model.name
    note_result(result, model)
    remember(query, result, model, query_id())
    with stage(Stage.SERIALIZE):
        return search_answer(result, query, model)
