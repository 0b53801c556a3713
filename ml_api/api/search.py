"""Searching: by text, by an image sent along, by an image already stored."""

from time import perf_counter

from flask import Blueprint, Response

from ml_api import images
from ml_api.api.answers import search_answer
from ml_api.api.observe import note_query
from ml_api.api.openapi import IMAGE_ID, TIMEOUT, operation, query_parameters_of, ref
from ml_api.api.parsing import image_id_of, json_body, query_parameters, request_deadline, uploaded_image
from ml_api.api.schemas import ImageQuery, PageParameters, SearchAnswer, TextQuery
from ml_api.api.state import services
from ml_api.search import Page

blueprint = Blueprint("search", __name__, url_prefix="/v1")

FILE = {"schema": {"type": "string", "format": "binary"}}
IMAGE_BODY = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {"image": {"type": "string", "format": "binary", "description": "The image file."}},
            "required": ["image"],
        }
    },
    "image/*": FILE,
    "application/json": {"schema": ref(ImageQuery)},
}


@blueprint.get("/search/text")
@operation(
    "Find images by a description",
    tag="search",
    answer=SearchAnswer,
    parameters=(*query_parameters_of(TextQuery), TIMEOUT),
    fails=(400, 503, 504),
)
def text() -> Response:
    return _by_text(query_parameters(TextQuery))


@blueprint.post("/search/text")
@operation(
    "Find images by a description sent as JSON",
    tag="search",
    answer=SearchAnswer,
    parameters=(TIMEOUT,),
    body={
        "application/json": {
            "schema": ref(TextQuery),
            "example": {"q": "two dogs playing in the snow", "limit": 10},
        }
    },
    fails=(400, 413, 415, 503, 504),
)
def text_from_json() -> Response:
    return _by_text(json_body(TextQuery))


@blueprint.post("/search/image")
@operation(
    "Find images that look like the one sent",
    tag="search",
    description="JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC: as a form field, as the raw body, or as base64 in JSON.",
    answer=SearchAnswer,
    parameters=(*query_parameters_of(PageParameters), TIMEOUT),
    body=IMAGE_BODY,
    fails=(400, 413, 415, 422, 503, 504),
)
def image() -> Response:
    page, deadline = _page(query_parameters(PageParameters)), request_deadline()
    data = uploaded_image()
    started = perf_counter()
    limits, encoder = services().limits, services().embedder
    decoded = images.decode(data, limits, for_edge_px=encoder.image_edge_px, deadline=deadline)
    decode_s = perf_counter() - started
    services().metrics.search.stage_duration.labels("image", "decode").observe(decode_s)
    result = services().searcher.by_image(decoded.image, page, deadline)
    return search_answer(result, page, encoder.model.name, decode_s)


@blueprint.get("/images/<image_id>/similar")
@operation(
    "Find more like a stored image",
    tag="search",
    answer=SearchAnswer,
    parameters=(IMAGE_ID, *query_parameters_of(PageParameters), TIMEOUT),
    fails=(400, 404, 503, 504),
)
def similar(image_id: str) -> Response:
    page = _page(query_parameters(PageParameters))
    result = services().searcher.similar(image_id_of(image_id), page, request_deadline())
    return search_answer(result, page, services().embedder.model.name)


def _by_text(query: TextQuery) -> Response:
    page = _page(query)
    note_query(query.q)
    result = services().searcher.by_text(query.q, page, request_deadline())
    return search_answer(result, page, services().embedder.model.name)


def _page(wanted: PageParameters) -> Page:
    return Page(wanted.limit, wanted.offset)
